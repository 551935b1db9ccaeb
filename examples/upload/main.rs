//! Streams a file of any size at QoS 1 in constant memory, and has the receiving side check its SHA-256.
//!
//! ```console
//! $ cargo run --example upload -- --size 100M
//! $ cargo run --example upload -- --broker mqtt://localhost photo.raw
//! $ cargo run --example upload -- --broker mqtt://localhost --cut photo.raw
//! ```
//! The receiving side keeps the whole message in memory and is therefore a process of its own, started by the sending one
//! or, with `--no-receiver`, by hand: `cargo run --example upload -- receive --broker mqtt://localhost`.
mod arguments;
mod digest;
mod memory;
mod receive;
mod send;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use support::exit_code;

use self::arguments::{Arguments, Command};

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Some(Command::Receive(place)) => receive::run(place).await,
        None => send::run(arguments.send).await,
    }
}
