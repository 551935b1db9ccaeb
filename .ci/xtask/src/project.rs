//! What the project consists of: the one place to edit when a package, an example or a target is added.

/// A published crate.
pub(crate) struct Library {
    pub(crate) package: &'static str,
    /// Features for each bare-metal build, `None` for a library that needs std.
    pub(crate) bare_metal_features: Option<&'static [&'static str]>,
    /// The oldest toolchain it builds with; it declares that as its `rust-version`.
    pub(crate) oldest_toolchain: &'static str,
    /// The most crates a user may get, this one included: without default features, with them.
    pub(crate) crate_limits: (usize, usize),
}

/// In the order in which they are published.
pub(crate) const LIBRARIES: &[Library] = &[
    Library {
        package: "mqboard-codec",
        bare_metal_features: Some(&[""]),
        oldest_toolchain: "1.85.0",
        crate_limits: (1, 1),
    },
    Library {
        package: "mqboard-client-embassy",
        bare_metal_features: Some(&["", "tcp", "log", "defmt", "tcp,log,defmt"]),
        // embassy-sync brings heapless, which needs it
        oldest_toolchain: "1.87.0",
        crate_limits: (23, 25),
    },
    Library {
        package: "mqboard-client",
        bare_metal_features: None,
        oldest_toolchain: "1.85.0",
        crate_limits: (20, 32),
    },
];

/// Packages whose tests start a broker; their step runs after the others.
pub(crate) const INTEROP_PACKAGES: &[&str] = &["mqboard-interop"];

/// Packages whose test programs bring a clock of their own, which no other package may link beside it: tested alone.
pub(crate) const CLOCK_PACKAGES: &[&str] = &["mqboard-embassy-tests"];

/// Tested once more on a host of 32 bits, with [`CLOCK_PACKAGES`]: small processors run other code than hosts in some
/// places, chosen by the width of a pointer.
pub(crate) const SMALL_PACKAGES: &[&str] = &["mqboard-codec", "mqboard-session-tests"];

/// That host: an x86_64 Linux runs its programs, and linking them takes no C library.
pub(crate) const SMALL_HOST: &str = "i686-unknown-linux-musl";

/// As [`CLOCK_PACKAGES`], with another rate of embassy-time's clock, which the workspace has one of: outside it.
pub(crate) const CLOCK_WORKSPACES: &[&str] = &["tests/ticks"];

/// Runnable examples with the arguments they are checked with, and the seconds each may take.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) seconds: u64,
}

pub(crate) const EXAMPLES_PACKAGE: &str = "mqboard-examples";
pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "quickstart",
        arguments: &[],
        seconds: 30,
    },
    Example {
        name: "tls",
        arguments: &[],
        seconds: 30,
    },
    Example {
        name: "upload",
        arguments: &["--size", "8M"],
        seconds: 60,
    },
    Example {
        name: "resume",
        arguments: &[],
        seconds: 30,
    },
    Example {
        name: "sans_io_blocking",
        arguments: &[],
        seconds: 30,
    },
    Example {
        name: "embassy_std",
        arguments: &[],
        seconds: 30,
    },
];

/// A package outside the workspace.
pub(crate) struct SeparateWorkspace {
    pub(crate) folder: &'static str,
    /// What it builds for, each with the features it needs there; none if it builds for the host.
    pub(crate) targets: &'static [(&'static str, &'static str)],
}

pub(crate) const SEPARATE_WORKSPACES: &[SeparateWorkspace] = &[
    SeparateWorkspace {
        folder: "tests/no-alloc",
        targets: &[(LINK_TARGETS[0].name, "")],
    },
    SeparateWorkspace {
        folder: CLOCK_WORKSPACES[0],
        targets: &[],
    },
    SeparateWorkspace {
        folder: "fuzz",
        targets: &[],
    },
    SeparateWorkspace {
        folder: "benches/peers",
        targets: &[],
    },
    SeparateWorkspace {
        folder: QEMU_FIRMWARES,
        targets: &[(QEMU_TARGET, "")],
    },
    SeparateWorkspace {
        folder: ESP32_FIRMWARE,
        targets: &[
            (CHIPS[0].target, CHIPS[0].name),
            (CHIPS[1].target, CHIPS[1].name),
        ],
    },
];

/// The test firmwares, what they build for, and the package that runs them.
pub(crate) const QEMU_FIRMWARES: &str = "mqboard-fw/qemu";
pub(crate) const QEMU_TARGET: &str = "riscv32imac-unknown-none-elf";
pub(crate) const QEMU_SCENARIOS: &str = "mqboard-qemu-scenarios";

/// A chip that the firmware is built for.
pub(crate) struct Chip {
    /// As espflash names it, and the firmware's feature.
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// Its RAM as a program sees its data: where it begins, and its bytes.
    pub(crate) ram: (u64, u64),
}

pub(crate) const ESP32_FIRMWARE: &str = "mqboard-fw/esp32";
pub(crate) const ESP32_PROGRAM: &str = "mqboard-esp32";
pub(crate) const CHIPS: &[Chip] = &[
    Chip {
        name: "esp32c6",
        target: "riscv32imac-unknown-none-elf",
        ram: (0x4080_0000, 512 * 1024),
    },
    Chip {
        name: "esp32c3",
        target: "riscv32imc-unknown-none-elf",
        ram: (0x3fc8_0000, 384 * 1024),
    },
];

/// The toolchain whose rustfmt, clippy and rustdoc judge: a newer one brings new lints of its own.
pub(crate) const LINT_TOOLCHAIN: &str = "1.95.0";

/// The toolchain of cargo-fuzz.
pub(crate) const FUZZ_TOOLCHAIN: &str = "nightly";

/// Seconds for each fuzz target unless told.
pub(crate) const FUZZ_SECONDS: u32 = 10;

/// The oldest cargo that packages a crate together with an unpublished dependency.
pub(crate) const OLDEST_CARGO_MINOR: u32 = 90;

/// Targets without std that every no_std library is built for.
pub(crate) const BARE_METAL_TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "riscv32imc-unknown-none-elf",
    "riscv32imac-unknown-none-elf",
];

/// A target that the programs without an allocator are linked for.
pub(crate) struct LinkTarget {
    pub(crate) name: &'static str,
    /// Bytes of text and rodata that the client of a plain board adds, as last recorded.
    pub(crate) client_bytes: u64,
}

pub(crate) const LINK_TARGETS: &[LinkTarget] = &[
    LinkTarget {
        name: "riscv32imac-unknown-none-elf",
        client_bytes: 7146,
    },
    LinkTarget {
        name: "thumbv6m-none-eabi",
        client_bytes: 7072,
    },
];

/// Bytes by which a client may exceed its record: compilers differ by as much.
pub(crate) const CLIENT_MARGIN: u64 = 256;

/// What the Embassy client may add to a board's application, text and rodata, in bytes: the aim, and what is refused as
/// soon as the record is below.
pub(crate) const EMBASSY_AIM: u64 = 8_192;
pub(crate) const EMBASSY_LIMIT: u64 = 12_288;

/// Bytes that the state and the future of a client may be larger than recorded: compilers lay them out differently.
pub(crate) const EMBASSY_MEMORY_MARGIN: u64 = 32;

/// What the Embassy client adds for a target, in bytes, when last recorded.
pub(crate) struct EmbassySize {
    pub(crate) target: &'static str,
    pub(crate) flash: u64,
    pub(crate) state: u64,
    pub(crate) future: u64,
}

/// Targets for which that is measured. A change that adds more than [`CLIENT_MARGIN`], or [`EMBASSY_MEMORY_MARGIN`] of
/// state or future, must record it anew, and say why.
pub(crate) const EMBASSY_SIZES: &[EmbassySize] = &[
    EmbassySize {
        target: "riscv32imac-unknown-none-elf",
        flash: 14_329,
        state: 864,
        future: 248,
    },
    EmbassySize {
        target: "thumbv7em-none-eabihf",
        flash: 14_221,
        state: 864,
        future: 248,
    },
];
