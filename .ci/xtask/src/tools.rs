//! Installs what the checks need and a bare machine lacks. Nothing that is present is touched.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use xshell::cmd;

use crate::{project, workspace::Workspace};

/// Programs from Debian's archive: (program, package).
const PROGRAMS: &[(&str, &str)] = &[
    ("mosquitto", "mosquitto"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("c++", "g++"),
    ("qemu-system-riscv32", "qemu-system-misc"),
];

pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    install_programs(workspace)?;
    install_lints(workspace)?;
    install_targets(workspace)?;
    for library in project::LIBRARIES {
        install_toolchain(workspace, library.oldest_toolchain)?;
    }
    install_cargo_tool(workspace, "deny")?;
    install_fuzzer(workspace)
}

/// What the scenarios in QEMU need.
pub(crate) fn install_machine(workspace: &Workspace) -> Result<()> {
    install_programs(workspace)?;
    install_targets(workspace)
}

/// What makes images for the chips.
pub(crate) fn install_flasher(workspace: &Workspace) -> Result<()> {
    install_targets(workspace)?;
    if !is_on_path(workspace, "espflash") {
        let selection = ["--no-default-features", "--features", "cli"];
        build_tool(workspace, "espflash", &selection)?;
    }
    Ok(())
}

pub(crate) fn install_targets(workspace: &Workspace) -> Result<()> {
    let installed = cmd!(workspace.shell, "rustup target list --installed")
        .quiet()
        .read()
        .context(RUSTUP_MISSING)?;
    let firmwares = project::SEPARATE_WORKSPACES
        .iter()
        .flat_map(|separate| separate.targets)
        .map(|(target, _)| target);
    let targets: BTreeSet<_> = project::BARE_METAL_TARGETS
        .iter()
        .chain(project::LINK_TARGETS.iter().map(|target| &target.name))
        .chain(project::EMBASSY_SIZES.iter().map(|size| &size.target))
        .chain([&project::SMALL_HOST])
        .chain(firmwares)
        .collect();
    for target in targets {
        if !installed.lines().any(|line| line == *target) {
            cmd!(workspace.shell, "rustup target add {target}").run()?;
        }
    }
    Ok(())
}

pub(crate) fn install_fuzzer(workspace: &Workspace) -> Result<()> {
    install_toolchain(workspace, project::FUZZ_TOOLCHAIN)?;
    install_cargo_tool(workspace, "fuzz")
}

const RUSTUP_MISSING: &str =
    "rustup is needed to install targets and toolchains: https://rustup.rs";

fn install_programs(workspace: &Workspace) -> Result<()> {
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_on_path(workspace, program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }

    let shell = &workspace.shell;
    let sudo: &[&str] = match cmd!(shell, "id -u").quiet().read()?.as_str() {
        "0" => &[],
        _ if cmd!(shell, "sudo -n true")
            .quiet()
            .ignore_stderr()
            .run()
            .is_ok() =>
        {
            &["sudo", "-n"]
        }
        _ => bail!(
            "install these first: sudo apt-get update && sudo apt-get install {}",
            missing.join(" ")
        ),
    };
    let apt = [
        sudo,
        &[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-y",
        ],
    ]
    .concat();
    let (program, options) = apt
        .split_first()
        .context("the command begins with a program")?;
    if cmd!(shell, "{program} {options...} update").run().is_err() {
        // One unreachable source among several is enough for that.
        eprintln!("apt-get update failed: going on with the package lists there are");
    }
    cmd!(
        shell,
        "{program} {options...} install --no-install-recommends {missing...}"
    )
    .run()?;
    Ok(())
}

fn is_on_path(workspace: &Workspace, program: &str) -> bool {
    let path = workspace.shell.var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn install_lints(workspace: &Workspace) -> Result<()> {
    let shell = &workspace.shell;
    let Some(toolchain) = workspace.lint_toolchain() else {
        // A minimal installation has neither.
        for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
            if cmd!(shell, "{program} --version")
                .quiet()
                .ignore_stdout()
                .ignore_stderr()
                .run()
                .is_err()
            {
                cmd!(shell, "rustup component add {component}")
                    .run()
                    .context(RUSTUP_MISSING)?;
            }
        }
        return Ok(());
    };
    if !is_toolchain_installed(workspace, toolchain)? {
        cmd!(shell, "rustup toolchain install {toolchain} --profile minimal --component clippy,rustfmt --no-self-update").run()?;
    }
    Ok(())
}

fn install_toolchain(workspace: &Workspace, toolchain: &str) -> Result<()> {
    if !is_toolchain_installed(workspace, toolchain)? {
        cmd!(
            workspace.shell,
            "rustup toolchain install {toolchain} --profile minimal --no-self-update"
        )
        .run()?;
    }
    Ok(())
}

fn is_toolchain_installed(workspace: &Workspace, toolchain: &str) -> Result<bool> {
    let installed = cmd!(workspace.shell, "rustup toolchain list")
        .quiet()
        .read()
        .context(RUSTUP_MISSING)?;
    // Each line is the channel followed by the host: `1.85.0-x86_64-unknown-linux-gnu`.
    Ok(installed.lines().any(|line| {
        line.strip_prefix(toolchain)
            .is_some_and(|host| host.starts_with('-'))
    }))
}

fn install_cargo_tool(workspace: &Workspace, tool: &str) -> Result<()> {
    let shell = &workspace.shell;
    if cmd!(shell, "cargo {tool} --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_err()
    {
        build_tool(workspace, &format!("cargo-{tool}"), &[])?;
    }
    Ok(())
}

/// Built in half the time that its own profile takes; the tool itself runs for a second.
fn build_tool(workspace: &Workspace, package: &str, selection: &[&str]) -> Result<()> {
    cmd!(
        workspace.shell,
        "cargo install --locked {package} {selection...}"
    )
    .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
    .env("CARGO_PROFILE_RELEASE_LTO", "off")
    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
    .run()?;
    Ok(())
}
