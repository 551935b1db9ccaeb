//! What the Embassy client adds to the application of a board, beside what other clients add.
//!
//! The application is that of the scenarios in QEMU; its transport is one that the optimiser cannot see through.

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::{
    elf::Program,
    project::{
        CLIENT_MARGIN, EMBASSY_AIM, EMBASSY_LIMIT, EMBASSY_MEMORY_MARGIN, EMBASSY_SIZES,
        EmbassySize,
    },
    size::{MANIFEST, print_largest, read},
    workspace::Workspace,
};

const PROGRAM: &str = "board";
/// Transport and clock in use, without a client.
const BASELINE: &str = "board_baseline";
/// Bytes in the memory of the application's client that are buffers and messages: `RAW_MEMORY` of `tests/resumer`.
const RAW_MEMORY: u64 = 2 * 1024 + 1024;

/// Other clients that do the same, for riscv32imac: text and rodata, bytes of state, and what the future of the
/// application grows by. Measured in November 2026 with the same profile and 1 KiB buffers.
const PEERS: &[(&str, [Option<u64>; 3])] = &[
    (
        "coreMQTT 2.3.1 (C, no retransmission)",
        [Some(6_645), Some(180), None],
    ),
    (
        "minimq 0.13 (MQTT 5)",
        [Some(23_650), Some(728), Some(1_112)],
    ),
    (
        "mountain-mqtt 0.2 (MQTT 5)",
        [Some(32_376), Some(24), Some(2_744)],
    ),
    (
        "rust-mqtt 0.5.1 (MQTT 5)",
        [Some(59_550), Some(104), Some(696)],
    ),
];

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Added {
    flash: u64,
    state: u64,
    future: u64,
}

impl Added {
    /// What is over the record by more than its margin.
    fn outgrown(self, recorded: &EmbassySize) -> Vec<String> {
        [
            ("code", self.flash, allowed(recorded.flash)),
            ("state", self.state, recorded.state + EMBASSY_MEMORY_MARGIN),
            (
                "future",
                self.future,
                recorded.future + EMBASSY_MEMORY_MARGIN,
            ),
        ]
        .into_iter()
        .filter(|(_, bytes, allowed)| bytes > allowed)
        .map(|(what, bytes, allowed)| {
            let target = recorded.target;
            format!("{bytes} bytes of {what} for {target}, {allowed} are allowed")
        })
        .collect()
    }
}

pub(crate) fn measure(workspace: &Workspace) -> Result<()> {
    println!(
        "{:<40} {:>12} {:>8} {:>8}",
        "bytes added by", "text+rodata", "state", "future"
    );
    let mut outgrown = Vec::new();
    for recorded in EMBASSY_SIZES {
        let target = recorded.target;
        cmd!(
            workspace.shell,
            "cargo build --quiet --release --locked --manifest-path {MANIFEST} --target {target} --bin {PROGRAM} --bin {BASELINE}"
        )
        .quiet()
        .run()?;
        let program = read(workspace, target, PROGRAM)?;
        let added = added(&program, &read(workspace, target, BASELINE)?)?;
        print_line(
            &format!("this one, {target}"),
            [added.flash, added.state, added.future].map(Some),
        );
        print_largest(&program);
        outgrown.extend(added.outgrown(recorded));
    }
    for (peer, figures) in PEERS {
        print_line(peer, *figures);
    }
    println!(
        "text+rodata: aim {EMBASSY_AIM}, limit {EMBASSY_LIMIT}; state and future together: aim 512"
    );
    ensure!(
        outgrown.is_empty(),
        "the Embassy client is too large: {}",
        outgrown.join("; ")
    );
    Ok(())
}

/// What a client may add for which this was recorded: once below the limit it stays there.
fn allowed(recorded: u64) -> u64 {
    let grown = recorded + CLIENT_MARGIN;
    match recorded <= EMBASSY_LIMIT {
        true => grown.min(EMBASSY_LIMIT),
        false => grown,
    }
}

fn added(program: &Program, baseline: &Program) -> Result<Added> {
    let future = |program: &Program| {
        program
            .future_size
            .context("the program has no FUTURE_SIZE")
    };
    let sizes = program.sizes.above(baseline.sizes);
    Ok(Added {
        // what is not zero at first has to be kept there
        flash: sizes.flash() + sizes.data,
        state: (sizes.data + sizes.bss).saturating_sub(RAW_MEMORY),
        future: future(program)?.saturating_sub(future(baseline)?),
    })
}

fn print_line(name: &str, figures: [Option<u64>; 3]) {
    let [flash, state, future] =
        figures.map(|figure| figure.map_or("-".to_owned(), |bytes| bytes.to_string()));
    println!("{name:<40} {flash:>12} {state:>8} {future:>8}");
}

#[cfg(test)]
mod tests {
    use super::{Added, allowed};
    use crate::project::{CLIENT_MARGIN, EMBASSY_LIMIT, EMBASSY_MEMORY_MARGIN, EmbassySize};

    #[test]
    fn a_client_below_the_limit_stays_there() {
        assert_eq!(allowed(8_000), 8_000 + CLIENT_MARGIN);
        assert_eq!(allowed(EMBASSY_LIMIT), EMBASSY_LIMIT);
        assert_eq!(allowed(20_000), 20_000 + CLIENT_MARGIN);
    }

    #[test]
    fn refuses_what_has_outgrown_its_margin() {
        let recorded = EmbassySize {
            target: "board",
            flash: 20_000,
            state: 900,
            future: 400,
        };
        let most = Added {
            flash: 20_000 + CLIENT_MARGIN,
            state: 900 + EMBASSY_MEMORY_MARGIN,
            future: 400 + EMBASSY_MEMORY_MARGIN,
        };
        assert!(most.outgrown(&recorded).is_empty());
        let state = most.state + 1;
        let future = most.future + 1;
        let outgrown = [
            Added { state, ..most }.outgrown(&recorded),
            Added { future, ..most }.outgrown(&recorded),
        ];
        assert_eq!(
            outgrown[0],
            ["933 bytes of state for board, 932 are allowed"]
        );
        assert_eq!(
            outgrown[1],
            ["433 bytes of future for board, 432 are allowed"]
        );
    }
}
