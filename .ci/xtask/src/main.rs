//! The project's task runner: everything that is checked, measured or fuzzed starts here.
//!
//! What the project consists of stands in [`project`]; `cargo xtask test` is the list in [`suite`].

mod checks;
mod client_size;
mod elf;
mod esp32;
mod fuzz;
mod package;
mod programs;
mod project;
mod qemu;
mod size;
mod suite;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

use crate::workspace::Workspace;

const HELP: &str = "\
Task runner of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test [STEP]...                     Install what is missing, then run every check (or the steps named)
  bench [-- ARGUMENT...]             Compare with other MQTT clients and print one table with the ratios
  esp32                              Build flashable images for each chip and print what they need
  fuzz [--seconds N] [TARGET]...     Run each fuzz target (or those named) from its corpus, 10 seconds unless told
  qemu [SCENARIO]...                 Run each scenario (or those named) on an emulated board and print its figures
  size                               Print what engine and Embassy client add to a bare-metal program, beside other clients
  help                               Print this text

Steps of `test`, in this order:
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `Debug`: a backtrace of the task runner says nothing about what failed.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    match arguments.next()? {
        Some(Value(command)) => match command.string()?.as_str() {
            "test" => test(arguments),
            "bench" => bench(arguments),
            "esp32" => esp32(arguments),
            "fuzz" => fuzz(arguments),
            "qemu" => qemu(arguments),
            "size" => size(arguments),
            "help" => help(),
            other => bail!("there is no command `{other}`: see `cargo xtask help`"),
        },
        Some(Long("help") | Short('h')) | None => help(),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn test(mut arguments: lexopt::Parser) -> Result<()> {
    let mut names = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(name) => names.push(name.string()?),
            Long("help") | Short('h') => return help(),
            other => return Err(other.unexpected().into()),
        }
    }
    let steps = suite::select(&names)?;
    suite::run(&Workspace::open()?, &steps)
}

fn bench(mut arguments: lexopt::Parser) -> Result<()> {
    let forwarded: Vec<_> = match arguments.try_raw_args().context("unexpected argument")? {
        raw if raw
            .peek()
            .is_some_and(|first| first == "--help" || first == "-h") =>
        {
            return help();
        }
        raw => raw.collect(),
    };
    programs::bench(&Workspace::open()?, &forwarded)
}

fn fuzz(mut arguments: lexopt::Parser) -> Result<()> {
    let mut seconds = project::FUZZ_SECONDS;
    let mut targets = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Long("help") | Short('h') => return help(),
            Value(target) => targets.push(target.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::open()?;
    tools::install_fuzzer(&workspace)?;
    fuzz::run(&workspace, &targets, seconds)
}

fn qemu(mut arguments: lexopt::Parser) -> Result<()> {
    let mut scenarios = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(name) => scenarios.push(name.string()?),
            Long("help") | Short('h') => return help(),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::open()?;
    tools::install_machine(&workspace)?;
    qemu::run(&workspace, &scenarios)
}

fn esp32(mut arguments: lexopt::Parser) -> Result<()> {
    match arguments.next()? {
        None => {}
        Some(Long("help") | Short('h')) => return help(),
        Some(other) => return Err(other.unexpected().into()),
    }
    let workspace = Workspace::open()?;
    tools::install_flasher(&workspace)?;
    esp32::build(&workspace)
}

fn size(mut arguments: lexopt::Parser) -> Result<()> {
    match arguments.next()? {
        None => {}
        Some(Long("help") | Short('h')) => return help(),
        Some(other) => return Err(other.unexpected().into()),
    }
    let workspace = Workspace::open()?;
    tools::install_targets(&workspace)?;
    size::measure(&workspace)?;
    client_size::measure(&workspace)
}

fn help() -> Result<()> {
    print!("{HELP}");
    for step in suite::STEPS {
        println!("  {:<10} {}", step.name, step.about);
    }
    Ok(())
}
