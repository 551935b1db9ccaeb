//! Where the repository is and how commands are run in it.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell, cmd};

use crate::project;

/// Folders where Debian keeps servers such as mosquitto, absent from the `PATH` of ordinary users.
const SERVER_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin"];

pub(crate) struct Workspace {
    pub(crate) shell: Shell,
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Whether the active toolchain is not the one whose lints are enforced.
    foreign_toolchain: bool,
}

impl Workspace {
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("xtask lies two folders below the root")?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };

        let shell = Shell::new()?;
        shell.change_dir(&root);
        shell.set_var("CARGO_TARGET_DIR", &target);
        shell.set_var("PATH", path_with_servers()?);

        let version = cmd!(shell, "cargo --version").quiet().read()?;
        if cargo_minor(&version).is_none_or(|minor| minor < project::OLDEST_CARGO_MINOR) {
            bail!(
                "cargo 1.{} or newer is needed, this is {version}: run `rustup update stable`",
                project::OLDEST_CARGO_MINOR
            );
        }
        let rustc = cmd!(shell, "rustc --version").quiet().read()?;
        let foreign_toolchain = rustc.split(' ').nth(1) != Some(project::LINT_TOOLCHAIN);
        Ok(Self {
            shell,
            root,
            target,
            foreign_toolchain,
        })
    }

    /// Names of all workspace members.
    pub(crate) fn packages(&self) -> Result<Vec<String>> {
        let format = "{p}";
        let members = cmd!(
            self.shell,
            "cargo tree --workspace --depth 0 --prefix none --format {format}"
        )
        .quiet()
        .read()?;
        Ok(members
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// `cargo` of the toolchain whose lints are enforced.
    pub(crate) fn lint_cargo(&self) -> Cmd<'_> {
        match self.lint_toolchain() {
            Some(toolchain) => cmd!(self.shell, "cargo +{toolchain}"),
            None => cmd!(self.shell, "cargo"),
        }
    }

    /// The toolchain to install for linting, if the active one does not serve.
    pub(crate) fn lint_toolchain(&self) -> Option<&'static str> {
        self.foreign_toolchain.then_some(project::LINT_TOOLCHAIN)
    }

    /// A folder for the task runner's own output, created empty when missing.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        Ok(self
            .shell
            .create_dir(self.target.join("xtask").join(name))?)
    }
}

fn path_with_servers() -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVER_FOLDERS.iter().map(PathBuf::from));
    Ok(env::join_paths(folders)?)
}

/// The minor number of `cargo 1.95.0 (…)`.
fn cargo_minor(version: &str) -> Option<u32> {
    version.split(' ').nth(1)?.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::cargo_minor;

    #[test]
    fn reads_the_minor_version_of_stable_and_nightly() {
        assert_eq!(cargo_minor("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"), Some(95));
        assert_eq!(
            cargo_minor("cargo 1.101.0-nightly (92b5b8c87 2026-10-29)"),
            Some(101)
        );
        assert_eq!(cargo_minor("cargo"), None);
    }
}
