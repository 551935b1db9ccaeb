//! The libraries as crates.io would get them, and whether those build with the oldest toolchain promised.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::{
    project::{self, LIBRARIES},
    workspace::Workspace,
};

/// Files without which a crate must not be published.
const REQUIRED_FILES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Packages and builds each library from its package. Together, since none may be on crates.io yet.
pub(crate) fn verify(workspace: &Workspace) -> Result<()> {
    let libraries = package_arguments();
    cmd!(
        workspace.shell,
        "cargo package --quiet --allow-dirty {libraries...}"
    )
    .run()?;
    for library in LIBRARIES {
        let package = library.package;
        let files = cmd!(
            workspace.shell,
            "cargo package --list --allow-dirty --package {package}"
        )
        .quiet()
        .read()?;
        for required in REQUIRED_FILES {
            ensure!(
                files.lines().any(|file| file == *required),
                "the package of {package} lacks {required}"
            );
        }
    }
    Ok(())
}

/// Checks the packages in a workspace of their own, so that no other member's dependencies or features count.
pub(crate) fn msrv(workspace: &Workspace) -> Result<()> {
    let shell = &workspace.shell;
    let scratch = workspace.scratch("msrv")?;
    let packages = scratch.join("target/package");
    let stage = scratch.join("stage");
    shell.remove_path(&packages)?;
    shell.remove_path(&stage)?;
    shell.create_dir(&stage)?;

    let libraries = package_arguments();
    cmd!(
        shell,
        "cargo package --quiet --allow-dirty --no-verify {libraries...}"
    )
    .env("CARGO_TARGET_DIR", scratch.join("target"))
    .run()?;
    let mut manifest =
        String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n");
    for library in LIBRARIES {
        let folder = unpack(workspace, &packages, &stage, library.package)?;
        writeln!(manifest, "{} = {{ path = \"{folder}\" }}", library.package)?;
        check_declared_version(&stage.join(folder))?;
    }
    fs::write(stage.join("Cargo.toml"), manifest)?;
    fs::copy(workspace.root.join("Cargo.lock"), stage.join("Cargo.lock"))?;

    let _folder = shell.push_dir(&stage);
    let toolchain = project::MSRV;
    for library in LIBRARIES {
        let package = library.package;
        for features in [&[][..], &["--no-default-features"], &["--all-features"]] {
            cmd!(
                shell,
                "cargo +{toolchain} check --quiet --package {package} --lib {features...}"
            )
            .run()?;
        }
    }
    Ok(())
}

fn package_arguments() -> Vec<&'static str> {
    LIBRARIES
        .iter()
        .flat_map(|library| ["--package", library.package])
        .collect()
}

/// Unpacks the only version of `package` there is, and returns the name of its folder in `stage`.
fn unpack(workspace: &Workspace, packages: &Path, stage: &Path, package: &str) -> Result<String> {
    let is_of_package = |name: &str| {
        name.strip_prefix(package).is_some_and(|version| {
            version
                .trim_start_matches('-')
                .starts_with(|first: char| first.is_ascii_digit())
        })
    };
    let names =
        fs::read_dir(packages)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let folder = names
        .filter_map(|name| name.strip_suffix(".crate").map(str::to_owned))
        .find(|name| is_of_package(name))
        .with_context(|| format!("cargo made no package of {package}"))?;
    let archive = packages.join(format!("{folder}.crate"));
    cmd!(workspace.shell, "tar -xzf {archive} -C {stage}")
        .quiet()
        .run()?;
    Ok(folder)
}

fn check_declared_version(folder: &Path) -> Result<()> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let declared = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let declared = declared.map(|version| version.trim_matches('"'));
    ensure!(
        declared.is_some_and(|version| project::MSRV.starts_with(version)),
        "{} declares rust-version {declared:?}, the oldest toolchain checked is {}",
        folder.display(),
        project::MSRV
    );
    Ok(())
}
