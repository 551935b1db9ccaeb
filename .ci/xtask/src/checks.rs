//! Checks that compile or inspect, but run nothing of ours.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::{
    project::{self, SeparateWorkspace},
    workspace::Workspace,
};

pub(crate) fn fmt(workspace: &Workspace) -> Result<()> {
    workspace
        .lint_cargo()
        .args(["fmt", "--all", "--check"])
        .run()?;
    for separate in project::SEPARATE_WORKSPACES {
        workspace
            .lint_cargo()
            .args(["fmt", "--check", "--manifest-path", &manifest(separate)])
            .run()?;
    }
    Ok(())
}

/// Package by package, so that no lint hides behind a feature that another package switches on.
pub(crate) fn clippy(workspace: &Workspace) -> Result<()> {
    for package in workspace.packages()? {
        lint(workspace, &["--package", &package, "--all-targets"])?;
        lint(
            workspace,
            &["--package", &package, "--all-targets", "--all-features"],
        )?;
        if project::LIBRARIES
            .iter()
            .any(|library| library.package == package)
        {
            lint(
                workspace,
                &[
                    "--package",
                    &package,
                    "--all-targets",
                    "--no-default-features",
                ],
            )?;
        }
    }
    for separate in project::SEPARATE_WORKSPACES {
        let manifest = manifest(separate);
        // a peer may declare a newer Rust than it needs
        let selection = ["--manifest-path", &manifest, "--ignore-rust-version"];
        if separate.targets.is_empty() {
            lint(workspace, &selection)?;
        }
        for (target, features) in separate.targets {
            let target = ["--target", target, "--features", features];
            lint(workspace, &[&selection[..], &target[..]].concat())?;
        }
    }
    Ok(())
}

fn lint(workspace: &Workspace, selection: &[&str]) -> Result<()> {
    workspace
        .lint_cargo()
        .args(["clippy", "--quiet"])
        .args(selection)
        .args(["--", "--deny", "warnings"])
        .run()?;
    Ok(())
}

fn manifest(separate: &SeparateWorkspace) -> String {
    format!("{}/Cargo.toml", separate.folder)
}

pub(crate) fn docs(workspace: &Workspace) -> Result<()> {
    for library in project::LIBRARIES {
        workspace
            .lint_cargo()
            .args([
                "doc",
                "--quiet",
                "--no-deps",
                "--all-features",
                "--package",
                library.package,
            ])
            .env("RUSTDOCFLAGS", "--deny warnings")
            .run()?;
    }
    Ok(())
}

pub(crate) fn deny(workspace: &Workspace) -> Result<()> {
    cmd!(
        workspace.shell,
        "cargo deny --workspace --config .ci/deny.toml check bans licenses sources"
    )
    .run()?;
    Ok(())
}

pub(crate) fn bare_metal(workspace: &Workspace) -> Result<()> {
    for library in project::LIBRARIES {
        let package = library.package;
        for features in library.bare_metal_features.unwrap_or_default() {
            for target in project::BARE_METAL_TARGETS {
                cmd!(
                    workspace.shell,
                    "cargo build --quiet --package {package} --lib --no-default-features --features {features} --target {target}"
                )
                .run()?;
            }
        }
    }
    Ok(())
}

pub(crate) fn dependency_counts(workspace: &Workspace) -> Result<()> {
    for library in project::LIBRARIES {
        let (bare_limit, default_limit) = library.crate_limits;
        for (features, limit) in [
            (&["--no-default-features"][..], bare_limit),
            (&[], default_limit),
        ] {
            let package = library.package;
            let tree = cmd!(
                workspace.shell,
                "cargo tree --edges normal --prefix none --package {package} {features...}"
            )
            .read()?;
            let count = distinct_crates(&tree);
            println!(
                "{package} {}: {count} crates, at most {limit}",
                features.concat()
            );
            ensure!(
                count <= limit,
                "{package} brings {count} crates, {limit} are allowed"
            );
        }
    }
    Ok(())
}

/// How many crates (name and version) the output of `cargo tree --prefix none` names.
fn distinct_crates(tree: &str) -> usize {
    let crates: BTreeSet<_> = tree
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line))
        .filter(|name| !name.is_empty())
        .collect();
    crates.len()
}

#[cfg(test)]
mod tests {
    use super::distinct_crates;

    #[test]
    fn counts_repeated_and_annotated_crates_once() {
        let tree =
            "a v0.1.0 (/somewhere/a)\nb v1.0.0\nb v1.0.0 (*)\n\nb v2.0.0\nc v0.3.1 (proc-macro)\n";
        assert_eq!(distinct_crates(tree), 4);
    }
}
