//! The one argument of a small example.
use std::{net::TcpStream, process::exit};

use anyhow::{Context, Result, bail};
use clap::{Arg, Command};
use mqtt_client::{Address, UrlError};

use crate::start_broker;

/// The address of the broker that the command line names; without one, one in this process. A wrong one ends the process
/// with one line and exit code 1.
pub fn broker_or_own(about: &'static str) -> String {
    let broker = Arg::new("broker")
        .value_name("mqtt://HOST[:PORT]")
        .help("Broker. Without it a small one is started within this program.");
    let mut matches = Command::new(env!("CARGO_PKG_NAME"))
        .about(about)
        .arg(broker)
        .get_matches();
    let broker = match matches.remove_one::<String>("broker") {
        Some(broker) => address(&broker),
        None => start_broker().map(|broker| broker.to_string()),
    };
    broker.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        exit(1);
    })
}

/// What a socket wants, from the URL that the other examples take, once it is known to exist.
fn address(broker: &str) -> Result<String> {
    let parsed = broker.parse::<Address>();
    if let Err(error @ UrlError::MoreThanAnAddress) = parsed {
        bail!("{error}; this example has neither login nor options");
    }
    let address = parsed?;
    let Address::Tcp(endpoint) = &address else {
        bail!("this example speaks plain TCP alone: mqtt://HOST[:PORT], not {address}");
    };
    let endpoint = endpoint.to_string();
    TcpStream::connect(&endpoint).with_context(|| format!("no broker at {endpoint}"))?;
    Ok(endpoint)
}
