//! What more than one example needs.
mod argument;
mod broker;
mod line;

use std::process::ExitCode;

pub use self::{argument::broker_or_own, broker::start_broker, line::Line};

/// Tells a failure in one line, without a backtrace of the example.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
