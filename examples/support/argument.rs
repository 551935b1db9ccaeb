//! The one argument of a small example.
use std::net::TcpStream;

use anyhow::{Context, Result};
use clap::{Arg, Command};

use crate::start_broker;

/// The address of the broker that the command line names; without one, one in this process.
pub fn broker_or_own(about: &'static str) -> Result<String> {
    let broker = Arg::new("broker")
        .value_name("mqtt://HOST[:PORT]")
        .help("Broker. Without it a small one is started within this program.");
    let mut matches = Command::new(env!("CARGO_PKG_NAME"))
        .about(about)
        .arg(broker)
        .get_matches();
    match matches.remove_one::<String>("broker") {
        Some(broker) => address(&broker),
        None => Ok(start_broker()?.to_string()),
    }
}

/// What a socket wants, from the URL that the other examples take, once it is known to exist.
fn address(broker: &str) -> Result<String> {
    let host = broker.strip_prefix("mqtt://").unwrap_or(broker);
    let address = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:1883"),
    };
    TcpStream::connect(&address).with_context(|| format!("no broker at {address}"))?;
    Ok(address)
}
