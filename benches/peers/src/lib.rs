//! Our MQTT client and codec measured beside other libraries.
//!
//! The driver starts itself again for every run: one process measures one client at one workload, a
//! second process is the minimal broker at the other end. Runs are interleaved; the medians make one
//! table.
//!
//! To add a client, implement [`Contender`] in a file below `contenders` and list it in
//! [`contenders::ALL`]; to add a codec, implement [`codecs::Codec`] and list it in [`codecs::ALL`].

mod args;
pub mod codecs;
pub mod contender;
pub mod contenders;
mod measure;
mod packets;
mod report;
mod rounds;
mod sink;
mod table;
mod targets;
mod workload;

use std::process::ExitCode;

use anyhow::{Result, ensure};

pub use contender::{AllocationCounter, Contender};

use args::Command;
use rounds::Results;

/// The whole program; the counter comes from the binary that has a counting allocator.
pub fn main(allocations: Option<AllocationCounter>) -> ExitCode {
    match run(allocations) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(allocations: Option<AllocationCounter>) -> Result<()> {
    match Command::parse(std::env::args().skip(1))? {
        Command::Help => print!("{}", args::USAGE),
        Command::Sink { cpu } => sink::run(cpu)?,
        Command::Contender { arguments } => contender::run(&arguments, allocations)?,
        Command::Codec { name, cpu } => codecs::run(&name, cpu)?,
        Command::Table(plan) => {
            let results = Results::measure(&plan)?;
            print!("{}", table::render(&results));
            if let Some(path) = &plan.save {
                std::fs::write(path, results.to_lines())?;
            }
            ensure!(
                results.failures.is_empty(),
                "{} runs failed",
                results.failures.len()
            );
        }
    }
    Ok(())
}
