//! Checks that run our code: tests, examples, benchmarks.

use std::{
    ffi::OsString,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::cmd;

use crate::{
    project::{self, Example},
    workspace::Workspace,
};

pub(crate) fn unit(workspace: &Workspace) -> Result<()> {
    let excluded = [project::INTEROP_PACKAGES, project::CLOCK_PACKAGES]
        .concat()
        .into_iter()
        .flat_map(|package| ["--exclude", package]);
    cmd!(workspace.shell, "cargo test --workspace {excluded...}").run()?;
    for package in project::CLOCK_PACKAGES {
        cmd!(workspace.shell, "cargo test --package {package}").run()?;
    }
    for folder in project::CLOCK_WORKSPACES {
        let manifest = format!("{folder}/Cargo.toml");
        cmd!(workspace.shell, "cargo test --manifest-path {manifest}").run()?;
    }
    Ok(())
}

pub(crate) fn small(workspace: &Workspace) -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("not run: only Linux on x86_64 runs programs of 32 bits");
        return Ok(());
    }
    let target = project::SMALL_HOST;
    let packages = project::SMALL_PACKAGES
        .iter()
        .flat_map(|package| ["--package", package]);
    cmd!(
        workspace.shell,
        "cargo test --tests --target {target} {packages...}"
    )
    .run()?;
    for package in project::CLOCK_PACKAGES {
        cmd!(
            workspace.shell,
            "cargo test --target {target} --package {package}"
        )
        .run()?;
    }
    Ok(())
}

pub(crate) fn interop(workspace: &Workspace) -> Result<()> {
    for package in project::INTEROP_PACKAGES {
        cmd!(workspace.shell, "cargo test --package {package}").run()?;
    }
    Ok(())
}

pub(crate) fn examples(workspace: &Workspace) -> Result<()> {
    let manifest = workspace.shell.read_file("examples/Cargo.toml")?;
    for declared in declared_examples(&manifest) {
        let is_listed = project::EXAMPLES
            .iter()
            .any(|example| example.name == declared);
        ensure!(
            is_listed,
            "example `{declared}` is not among those to run, in project.rs"
        );
    }

    let package = project::EXAMPLES_PACKAGE;
    cmd!(
        workspace.shell,
        "cargo build --quiet --package {package} --examples"
    )
    .run()?;
    for example in project::EXAMPLES {
        println!("$ {} {}", example.name, example.arguments.join(" "));
        run_example(workspace, example).with_context(|| format!("example `{}`", example.name))?;
    }
    Ok(())
}

/// Names of the `[[example]]` tables of a manifest.
fn declared_examples(manifest: &str) -> impl Iterator<Item = &str> {
    manifest.split("[[example]]").skip(1).filter_map(|table| {
        let name = table
            .lines()
            .find_map(|line| line.strip_prefix("name = "))?;
        Some(name.trim_matches('"'))
    })
}

fn run_example(workspace: &Workspace, example: &Example) -> Result<()> {
    let program = workspace.target.join("debug/examples").join(example.name);
    let mut child = Command::new(program)
        .args(example.arguments)
        .current_dir(&workspace.root)
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(example.seconds);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("still running after {} seconds", example.seconds);
        }
        thread::sleep(Duration::from_millis(20));
    };
    ensure!(status.success(), "{status}");
    Ok(())
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let manifest = "benches/peers/Cargo.toml";
    let network = without_bbr(workspace)?;
    // The driver starts the other programs, each in a process of its own.
    cmd!(
        workspace.shell,
        "cargo build --release --bins --ignore-rust-version --manifest-path {manifest}"
    )
    .run()?;
    cmd!(
        workspace.shell,
        "env {network...} cargo run --quiet --release --ignore-rust-version --manifest-path {manifest} -- {arguments...}"
    )
    .run()?;
    Ok(())
}

/// A command before which others use TCP without BBR: empty where it is not the default.
///
/// BBR spaces large writes by timers. On loopback these cost more than the bytes, and its estimate of the bandwidth
/// decides by chance whether they run: figures of one program differ by a factor of two. Sockets take their congestion
/// control from the network namespace.
fn without_bbr(workspace: &Workspace) -> Result<Vec<&'static str>> {
    const NAMESPACE: [&str; 8] = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        "ip link set lo up && echo cubic > /proc/sys/net/ipv4/tcp_congestion_control && exec \"$@\"",
        "sh",
    ];
    let is_bbr = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")
        .is_ok_and(|name| name.trim() == "bbr");
    if !is_bbr {
        return Ok(Vec::new());
    }
    let tried = cmd!(workspace.shell, "env {NAMESPACE...} true")
        .quiet()
        .ignore_status()
        .output()?;
    if tried.status.success() {
        return Ok(NAMESPACE.to_vec());
    }
    eprintln!(
        "note: TCP uses BBR here, with which the rows of 64 KiB vary by a factor of two, and a network namespace \
         without it cannot be made ({}). Install what is missing (apt-get install iproute2 util-linux), or, as root, run \
         `sysctl -w net.ipv4.tcp_congestion_control=cubic` first.",
        String::from_utf8_lossy(&tried.stderr).trim()
    );
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::declared_examples;

    #[test]
    fn names_each_declared_example() {
        let manifest = "[package]\nname = \"p\"\n\n[[example]]\nname = \"a\"\npath = \"a.rs\"\n\n[[example]]\nname = \"b\"\n";
        assert_eq!(declared_examples(manifest).collect::<Vec<_>>(), ["a", "b"]);
    }
}
