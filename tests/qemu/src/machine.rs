//! QEMU with a firmware in it.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
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
pub(crate) type Figures = BTreeMap<String, String>;

impl Firmware {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            parameters: String::new(),
        }
    }

    /// Tells it a value.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        writeln!(self.parameters, "{name}={value}").expect("is a string");
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
    /// Waits until it ends by itself, and returns what it measured.
    ///
    /// # Panics
    /// It fails, or takes too long.
    pub(crate) async fn end(mut self) -> Figures {
        let status = self.status().await;
        assert!(
            status.success(),
            "QEMU ended with {status}:\n{}",
            self.output.text()
        );
        self.output
            .read(|lines| lines.iter().filter_map(|line| parse_figure(line)).collect())
    }

    async fn status(&mut self) -> ExitStatus {
        self.output.wait("end of the output", |_| false).await;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        ended
            .expect("it closed its output")
            .expect("it is our child")
    }
}

/// As the board library prints them: `figure <name> <value>`.
fn parse_figure(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
    Some((name.to_owned(), value.to_owned()))
}
