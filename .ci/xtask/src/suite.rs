//! `cargo xtask test`: the list of checks, run in order until one fails, each with its time.

use std::{fs, time::Instant};

use anyhow::{Result, bail};

use crate::{
    checks, client_size, fuzz, package, programs, project, qemu, size, tools, workspace::Workspace,
};

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

/// What needs no build comes first, so that a slip is found early.
pub(crate) const STEPS: &[Step] = &[
    step(
        "tools",
        "install what is missing: broker, targets, toolchains, cargo tools",
        tools::install,
    ),
    step("fmt", "formatting of every package", checks::fmt),
    step(
        "deps",
        "number of crates each library brings",
        checks::dependency_counts,
    ),
    step("deny", "licences, sources and banned crates", checks::deny),
    step(
        "clippy",
        "lints, per package, in each feature set",
        checks::clippy,
    ),
    step(
        "docs",
        "documentation of the libraries without warnings",
        checks::docs,
    ),
    step(
        "tests",
        "unit, integration and documentation tests",
        programs::unit,
    ),
    step(
        "small",
        "tests of the engine and the Embassy client on a host of 32 bits",
        programs::small,
    ),
    step("interop", "tests against mosquitto", programs::interop),
    step(
        "no-std",
        "no_std libraries on targets without std, in each feature set",
        checks::bare_metal,
    ),
    step(
        "no-alloc",
        "the engine linked without an allocator, and its size",
        size::measure,
    ),
    step(
        "size",
        "what the Embassy client adds to the application of a board",
        client_size::measure,
    ),
    step(
        "qemu",
        "test firmwares on an emulated board, against mosquitto",
        qemu::all,
    ),
    step(
        "package",
        "each library as crates.io would get it",
        package::verify,
    ),
    step(
        "msrv",
        "the packaged libraries, alone, with their oldest toolchain",
        package::msrv,
    ),
    step("examples", "every example, run", programs::examples),
    step(
        "fuzz",
        "every fuzz target for 10 seconds from its corpus",
        fuzz::all,
    ),
];

const fn step(name: &'static str, about: &'static str, run: fn(&Workspace) -> Result<()>) -> Step {
    Step { name, about, run }
}

/// The steps of these names, in the order of [`STEPS`]; all of them if none is named.
pub(crate) fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != name.as_str()))
    {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!(
            "there is no step `{unknown}`; the steps are: {}",
            known.join(", ")
        );
    }
    Ok(STEPS
        .iter()
        .filter(|step| names.is_empty() || names.iter().any(|name| name == step.name))
        .collect())
}

pub(crate) fn run(workspace: &Workspace, steps: &[&'static Step]) -> Result<()> {
    // Left by the last complete run; without it nothing was built before.
    let stamp = workspace.scratch("")?.join("complete");
    let state = if stamp.exists() { "warm" } else { "cold" };

    let begin = Instant::now();
    let mut done = Vec::with_capacity(steps.len());
    for step in steps {
        println!("\n==> {}: {}", step.name, step.about);
        let step_begin = Instant::now();
        let outcome = (step.run)(workspace);
        let seconds = step_begin.elapsed().as_secs_f64();
        if let Err(error) = outcome {
            eprintln!("\n{}", summary(&done));
            eprintln!("{:<10} {seconds:>7.1} s  FAILED", step.name);
            eprintln!("steps: {} passed, 1 failed", done.len());
            return Err(error.context(format!(
                "step `{0}` failed; run it alone with `cargo xtask test {0}`",
                step.name
            )));
        }
        println!("<== {}: {seconds:.1} s", step.name);
        done.push((step.name, seconds));
    }

    println!("\n{}", summary(&done));
    println!(
        "{:<10} {:>7.1} s  {state}",
        "total",
        begin.elapsed().as_secs_f64()
    );
    println!("steps: {} passed, 0 failed", done.len());
    if steps.len() == STEPS.len() {
        fs::write(stamp, project::LINT_TOOLCHAIN)?;
    }
    Ok(())
}

fn summary(done: &[(&str, f64)]) -> String {
    done.iter()
        .map(|(name, seconds)| format!("{name:<10} {seconds:>7.1} s\n"))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{STEPS, select};

    #[test]
    fn no_name_selects_every_step() {
        assert_eq!(select(&[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn names_select_in_the_order_of_the_list() {
        let names = ["fuzz", "fmt"].map(str::to_owned);
        let selected: Vec<_> = select(&names)
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(selected, ["fmt", "fuzz"]);
    }

    #[test]
    fn refuses_an_unknown_name() {
        assert!(select(&["lint".to_owned()]).is_err());
    }
}
