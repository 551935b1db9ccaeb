//! Builds the test firmwares and lets the package of scenarios run them.

use anyhow::Result;
use xshell::cmd;

use crate::{
    project::{QEMU_FIRMWARES, QEMU_SCENARIOS, QEMU_TARGET},
    workspace::Workspace,
};

pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    run(workspace, &[])
}

pub(crate) fn run(workspace: &Workspace, scenarios: &[String]) -> Result<()> {
    let shell = &workspace.shell;
    cmd!(
        shell,
        "cargo build --quiet --release --locked --manifest-path {QEMU_FIRMWARES}/Cargo.toml --target {QEMU_TARGET}"
    )
    .run()?;
    let firmwares = workspace.target.join(QEMU_TARGET).join("release");
    cmd!(
        shell,
        "cargo run --quiet --package {QEMU_SCENARIOS} -- {firmwares} {scenarios...}"
    )
    .run()?;
    Ok(())
}
