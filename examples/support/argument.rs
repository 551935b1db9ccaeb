//! The one argument of a small example.
use anyhow::Result;
use clap::{Arg, Command};

use crate::start_broker;

/// The broker that the command line names as HOST:PORT; without it, one in this process.
pub fn broker_or_own(about: &'static str) -> Result<String> {
    let broker = Arg::new("broker")
        .value_name("HOST:PORT")
        .help("Broker. Without it a small one is started within this program.");
    let mut matches = Command::new(env!("CARGO_PKG_NAME"))
        .about(about)
        .arg(broker)
        .get_matches();
    match matches.remove_one("broker") {
        Some(broker) => Ok(broker),
        None => Ok(start_broker()?.to_string()),
    }
}
