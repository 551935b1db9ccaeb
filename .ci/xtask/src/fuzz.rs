//! Runs the fuzz targets. What a run finds is kept in the target folder, so that the seed corpora stay as committed.

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::{project, workspace::Workspace};

const DICTIONARY: &str = "fuzz/mqtt.dict";

pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    // The same functions on the committed seeds alone: a failure here needs no luck to be seen again.
    cmd!(
        workspace.shell,
        "cargo test --manifest-path fuzz/Cargo.toml"
    )
    .run()?;
    run(workspace, &[], project::FUZZ_SECONDS)
}

pub(crate) fn run(workspace: &Workspace, targets: &[String], seconds: u32) -> Result<()> {
    let shell = &workspace.shell;
    let toolchain = project::FUZZ_TOOLCHAIN;
    let listed = cmd!(shell, "rustup run {toolchain} cargo fuzz list").read()?;
    ensure!(!listed.trim().is_empty(), "there is no fuzz target");
    let targets: Vec<_> = if targets.is_empty() {
        listed.lines().collect()
    } else {
        targets.iter().map(String::as_str).collect()
    };

    let dictionary = workspace.root.join(DICTIONARY);
    for target in targets {
        let found = workspace.scratch("fuzz")?.join(target);
        shell.create_dir(&found)?;
        let seeds = workspace.root.join("fuzz/corpus").join(target);
        // libFuzzer writes new inputs into the first folder it is given.
        cmd!(
            shell,
            "rustup run {toolchain} cargo fuzz run {target} {found} {seeds}"
        )
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-dict={}", dictionary.display()))
        .args(["-timeout=10", "-print_final_stats=1"])
        .run()?;
    }
    Ok(())
}
