//! The engine linked into a bare-metal program without an allocator: that it links, and what it adds.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::{
    elf::{self, Program, Symbol},
    project,
    workspace::Workspace,
};

pub(crate) const MANIFEST: &str = "tests/no-alloc/Cargo.toml";
/// A program with the same frame that calls nothing of ours.
const BASELINE: &str = "baseline";
/// Programs measured against it.
const PROGRAMS: &[&str] = &["wire", CLIENT, "engine"];
/// The one whose size is recorded.
const CLIENT: &str = "client";
const LARGEST: usize = 12;

/// Where the calls of the engine are, and the program that must make each of them.
const ENGINE: &str = "mqtt-codec/src/session";
const CALLER: &str = "tests/no-alloc/src/bin/engine.rs";
/// The normative id of a broken rule: text for people, which a board leaves out.
const NOT_CALLED: &[&str] = &["id"];

/// Helpers that compilers call for 64-bit division: too slow and too big for a 32-bit core.
const WIDE_DIVISION: &[&str] = &[
    "__udivdi3",
    "__umoddi3",
    "__udivmoddi4",
    "__divdi3",
    "__moddi3",
    "__aeabi_uldivmod",
    "__aeabi_ldivmod",
];
/// Part of the mangled name of everything that formats text.
const FORMATTING: &str = "4core3fmt";

pub(crate) fn measure(workspace: &Workspace) -> Result<()> {
    let uncalled = uncalled(workspace)?;
    ensure!(
        uncalled.is_empty(),
        "{CALLER} does not call {}",
        uncalled.join(", ")
    );

    println!(
        "{:<30} {:<8} {:>6} {:>7} {:>6} {:>6} {:>12}",
        "bytes added on", "by", "text", "rodata", "data", "bss", "text+rodata"
    );
    for link_target in project::LINK_TARGETS {
        let target = link_target.name;
        let programs = PROGRAMS.iter().flat_map(|name| ["--bin", name]);
        cmd!(
            workspace.shell,
            "cargo build --quiet --release --locked --manifest-path {MANIFEST} --target {target} --bin {BASELINE} {programs...}"
        )
        .quiet()
        .run()?;
        let baseline = read(workspace, target, BASELINE)?;
        for name in PROGRAMS {
            let program = read(workspace, target, name)?;
            let added = program.sizes.above(baseline.sizes);
            println!(
                "{target:<30} {name:<8} {:>6} {:>7} {:>6} {:>6} {:>12}",
                added.text,
                added.rodata,
                added.data,
                added.bss,
                added.flash()
            );
            print_largest(&program);
            ensure!(
                name != &CLIENT
                    || added.flash() <= link_target.client_bytes + project::CLIENT_MARGIN,
                "`{CLIENT}` adds {} bytes on {target}, over the {} recorded in project.rs and the {} of margin",
                added.flash(),
                link_target.client_bytes,
                project::CLIENT_MARGIN
            );
            refuse(&program, target, "64-bit division", |symbol| {
                WIDE_DIVISION.contains(&symbol)
            })?;
            refuse(&program, target, "formatting", |symbol| {
                symbol.contains(FORMATTING)
            })?;
        }
    }
    Ok(())
}

/// Public functions of the engine that the program does not name.
fn uncalled(workspace: &Workspace) -> Result<Vec<String>> {
    let caller = workspace.shell.read_file(CALLER)?;
    let mut uncalled = Vec::new();
    for file in workspace.shell.read_dir(ENGINE)? {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = workspace.shell.read_file(&file)?;
        let calls = public_functions(&source).filter(|name| !NOT_CALLED.contains(name));
        uncalled.extend(
            calls
                .filter(|name| !calls_it(&caller, name))
                .map(str::to_owned),
        );
    }
    Ok(uncalled)
}

/// As a method, or by its path.
fn calls_it(caller: &str, name: &str) -> bool {
    [".", "::"]
        .iter()
        .any(|prefix| caller.contains(&format!("{prefix}{name}")))
}

fn public_functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let signature = line
            .strip_prefix("pub fn ")
            .or_else(|| line.strip_prefix("pub const fn "))?;
        signature.split(['(', '<']).next()
    })
}

pub(crate) fn read(workspace: &Workspace, target: &str, name: &str) -> Result<Program> {
    let path = workspace.target.join(target).join("release").join(name);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    elf::read(&bytes)
}

fn refuse(
    program: &Program,
    target: &str,
    what: &str,
    is_refused: impl Fn(&str) -> bool,
) -> Result<()> {
    let found: Vec<_> = program
        .functions
        .iter()
        .map(|function| function.name.as_str())
        .filter(|name| is_refused(name))
        .collect();
    ensure!(
        found.is_empty(),
        "{what} was linked for {target}: {}",
        found.join(", ")
    );
    Ok(())
}

/// What the most of a program is.
pub(crate) fn print_largest(program: &Program) {
    for Symbol { name, size } in program.functions.iter().take(LARGEST) {
        println!("    {size:>6}  {}", readable(name));
    }
}

/// The name as written in Rust, without the hash at its end.
fn readable(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

#[cfg(test)]
mod tests {
    use super::public_functions;

    #[test]
    fn finds_public_functions_alone() {
        let source = "    pub fn open<T>(a: T)\n    pub const fn new() -> Self {\n    pub(super) fn end(\n    fn cut(";
        assert_eq!(
            public_functions(source).collect::<Vec<_>>(),
            ["open", "new"]
        );
    }
}
