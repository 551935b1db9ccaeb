//! Runs the fuzz targets. What a run finds is kept in the target folder, so that the seed corpora stay as committed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, ExitStatus, Stdio},
};

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
        println!("$ cargo fuzz run {target} -- -max_total_time={seconds}");
        // libFuzzer writes new inputs into the first folder it is given.
        let command = cmd!(
            shell,
            "rustup run {toolchain} cargo fuzz run {target} {found} {seeds}"
        )
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-dict={}", dictionary.display()))
        .args(["-timeout=10", "-print_final_stats=1"]);
        let status = run_abridged(command.into())?;
        ensure!(status.success(), "fuzz target `{target}` failed: see above");
    }
    Ok(())
}

/// Shows what the fuzzer says, less its thousands of lines of progress.
fn run_abridged(mut command: Command) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(stderr) = child.stderr.take() {
        // Bytes, since a finding is printed as it is.
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if !is_progress(&line) {
                eprintln!("{line}");
            }
        }
    }
    Ok(child.wait()?)
}

/// The last line of each kind stays: `INITED` and `DONE` tell coverage before and after.
fn is_progress(line: &str) -> bool {
    let event = line.split_whitespace().nth(1).unwrap_or_default();
    let counted = line.starts_with('#') && matches!(event, "NEW" | "REDUCE" | "RELOAD" | "pulse");
    counted || line.contains("NEW_FUNC[") || line.contains("\" # Uses: ")
}

#[cfg(test)]
mod tests {
    use super::is_progress;

    #[test]
    fn hides_progress_and_shows_results() {
        for hidden in [
            "#12\tNEW    cov: 8 ft: 9",
            "#65536\tpulse  cov: 885",
            "\tNEW_FUNC[1/2]: 0x55",
            "\"\\001\" # Uses: 3",
        ] {
            assert!(is_progress(hidden), "{hidden}");
        }
        for shown in [
            "#825\tINITED cov: 877",
            "#78094\tDONE   cov: 892",
            "thread panicked at src/lib.rs",
            "stat::peak_rss_mb: 1",
        ] {
            assert!(!is_progress(shown), "{shown}");
        }
    }
}
