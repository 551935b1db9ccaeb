//! QEMU with a firmware in it.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    str::FromStr,
};

use tempfile::TempDir;
use testkit::net::{Output, PATIENCE};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// The machine: an ESP32-C6 has the same instructions. Without the first option it has floating point and more.
const MACHINE: &str = "-cpu rv32,f=off,d=off,h=off,s=off -machine virt -m 16M -smp 1 -nographic -bios none \
    -global virtio-mmio.force-legacy=false -netdev user,id=n0 -device virtio-net-device,netdev=n0 \
    -device virtio-rng-device -semihosting-config enable=on,target=native";

/// A firmware, and what it is told.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    path: PathBuf,
    parameters: String,
    counting: Counting,
}

/// Whether time in the machine is its count of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    Yes,
    No,
}

/// A running QEMU, killed when dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    process: Child,
    output: Output,
    /// Its own, unless it was started in another one's.
    _folder: Option<TempDir>,
}

/// What a firmware measured, by name.
#[derive(Debug)]
pub(crate) struct Figures(BTreeMap<String, String>);

impl Firmware {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            parameters: String::new(),
            counting: Counting::No,
        }
    }

    /// Tells it a value.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        writeln!(self.parameters, "{name}={value}").expect("is a string");
        self
    }

    /// Lets a nanosecond pass with each instruction, so that both can be counted.
    pub(crate) fn counting(mut self) -> Self {
        self.counting = Counting::Yes;
        self
    }

    /// Starts it in a folder of its own.
    pub(crate) fn start(self) -> Machine {
        let folder = TempDir::new().expect("a folder can be made");
        let mut machine = self.start_in(folder.path());
        machine._folder = Some(folder);
        machine
    }

    /// Starts it in this folder, where the files are that it opens.
    pub(crate) fn start_in(self, folder: &Path) -> Machine {
        fs::write(folder.join("parameters"), &self.parameters)
            .expect("the folder can be written to");
        let mut command = Command::new("qemu-system-riscv32");
        command
            .args(MACHINE.split_whitespace())
            .args([
                "-device",
                "loader,file=parameters,addr=0x80f00000,force-raw=on",
            ])
            .arg("-kernel")
            .arg(self.path)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if self.counting == Counting::Yes {
            command.args(["-icount", "shift=0"]);
        }
        let mut process = command.spawn().expect(
            "`cargo xtask qemu` installs QEMU, by hand: `apt-get install qemu-system-misc`",
        );
        let output = Output::collect(process.stdout.take().expect("is piped"), |_| true);
        Machine {
            process,
            output,
            _folder: None,
        }
    }
}

impl Machine {
    /// Waits until it has printed a line that ends like this.
    ///
    /// # Panics
    /// It ends before, or takes too long.
    pub(crate) async fn wait_for(&self, end: &str) {
        let is_there = |lines: &[String]| lines.iter().any(|line| line.ends_with(end));
        let came = self.output.wait(end, is_there).await;
        assert!(
            came,
            "the firmware ended before it printed `{end}`:\n{}",
            self.output.text()
        );
    }

    /// Lines so far that end like this.
    pub(crate) fn count(&self, end: &str) -> usize {
        self.output
            .read(|lines| lines.iter().filter(|line| line.ends_with(end)).count())
    }

    /// Waits until it ends by itself, and returns what it measured.
    ///
    /// # Panics
    /// It fails, or takes too long.
    pub(crate) async fn end(&mut self) -> Figures {
        let status = self.status().await;
        assert!(
            status.success(),
            "QEMU ended with {status}:\n{}",
            self.output.text()
        );
        self.output
            .read(|lines| Figures(lines.iter().filter_map(|line| parse_figure(line)).collect()))
    }

    async fn status(&mut self) -> ExitStatus {
        self.output.wait("end of the output", |_| false).await;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        ended
            .expect("it closed its output")
            .expect("it is our child")
    }
}

impl Figures {
    /// A measured number.
    ///
    /// # Panics
    /// There is no such figure, or it is of another type.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> T {
        let value = self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` was not measured"));
        value
            .parse()
            .unwrap_or_else(|_| panic!("`{name}` is {value}"))
    }
}

/// As the board library prints them: `figure <name> <value>`.
fn parse_figure(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
    Some((name.to_owned(), value.to_owned()))
}
