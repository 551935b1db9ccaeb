//! A process that connects to a persistent session with a declared subscription, takes its time before it takes the
//! stream, and prints each payload.
//!
//! `late_consumer URL FILTER DELAY_MILLISECONDS`
use std::{env, io::Write, time::Duration};

use anyhow::{Context, Result};
use mqtt_client::{Client, ConnectOptions, Filter, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().context("an argument is missing");
    let (url, filter, delay) = (argument()?, argument()?, argument()?.parse()?);

    let options: ConnectOptions = url.parse()?;
    let options = options.declare(Filter::new(filter.as_str())?, QoS::AtLeastOnce);
    let client = Client::connect(options).await?;
    print("connected")?;
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let mut stream = client.stream(&filter)?;
    while let Some(message) = stream.next().await {
        print(&String::from_utf8_lossy(message?.payload()))?;
    }
    Ok(())
}

/// At once: the reader waits for it, and this process may be killed.
fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
