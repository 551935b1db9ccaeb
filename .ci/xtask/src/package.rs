//! The libraries as crates.io would get them, and whether those build, with the oldest toolchain promised too.
//!
//! cargo's own verification is not used: it takes an unpublished dependency from the first package of that version
//! it ever saw, not from the present one.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::{
    project::{LIBRARIES, Library},
    workspace::Workspace,
};

/// Files without which a crate must not be published.
const REQUIRED_FILES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

pub(crate) fn verify(workspace: &Workspace) -> Result<()> {
    let stage = stage(workspace)?;
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

    let _folder = workspace.shell.push_dir(&stage);
    cmd!(
        workspace.shell,
        "cargo build --quiet --workspace --lib --target-dir ../target"
    )
    .run()?;
    Ok(())
}

pub(crate) fn msrv(workspace: &Workspace) -> Result<()> {
    let shell = &workspace.shell;
    let _folder = shell.push_dir(stage(workspace)?);
    for library in LIBRARIES {
        let (package, toolchain) = (library.package, library.oldest_toolchain);
        for features in [&[][..], &["--no-default-features"], &["--all-features"]] {
            cmd!(
                shell,
                "cargo +{toolchain} check --quiet --package {package} --lib --target-dir ../target {features...}"
            )
            .run()?;
        }
    }
    Ok(())
}

/// Packages the libraries, together, since none may be on crates.io yet, and unpacks them into a workspace of their
/// own, where no other member's dependencies or features count. Returns its folder.
fn stage(workspace: &Workspace) -> Result<PathBuf> {
    let shell = &workspace.shell;
    let scratch = workspace.scratch("package")?;
    let packages = scratch.join("package");
    let stage = scratch.join("stage");
    shell.remove_path(&packages)?;
    shell.remove_path(&stage)?;
    shell.create_dir(&stage)?;

    let libraries = package_arguments();
    cmd!(
        shell,
        "cargo package --quiet --allow-dirty --no-verify {libraries...}"
    )
    .env("CARGO_TARGET_DIR", &scratch)
    .run()?;
    let mut manifest =
        String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n");
    for library in LIBRARIES {
        let folder = unpack(workspace, &packages, &stage, library.package)?;
        writeln!(manifest, "{} = {{ path = \"{folder}\" }}", library.package)?;
        check_declared_version(&stage.join(folder), library)?;
    }
    fs::write(stage.join("Cargo.toml"), manifest)?;
    fs::copy(workspace.root.join("Cargo.lock"), stage.join("Cargo.lock"))?;
    Ok(stage)
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
    // With the time of now: all files in a package are of the same old age, and cargo would not build them anew.
    cmd!(workspace.shell, "tar -xzmf {archive} -C {stage}")
        .quiet()
        .run()?;
    Ok(folder)
}

fn check_declared_version(folder: &Path, library: &Library) -> Result<()> {
    let oldest = library.oldest_toolchain;
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let declared = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let declared = declared.map(|version| version.trim_matches('"'));
    ensure!(
        declared.is_some_and(|version| oldest.starts_with(version)),
        "{} declares rust-version {declared:?}, the oldest toolchain checked is {oldest}",
        folder.display(),
    );
    Ok(())
}
