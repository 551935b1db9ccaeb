//! Connects, subscribes, publishes with acknowledgement, receives and disconnects.
//!
//! ```console
//! $ cargo run --example quickstart
//! $ cargo run --example quickstart -- mqtt://localhost
//! ```
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mqtt_client::{Client, QoS};
use support::{exit_code, start_broker};

/// Connects, subscribes, publishes with acknowledgement, receives and disconnects, step by step.
#[derive(Parser)]
struct Arguments {
    /// Broker, for example mqtt://localhost or mqtts://user:password@broker.example. Without it a small broker is
    /// started within this program.
    url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<()> {
    let url = match arguments.url {
        Some(url) => url,
        None => {
            let broker = start_broker()?;
            println!("A broker of this program listens on {broker}.");
            format!("mqtt://{broker}")
        }
    };
    // so that two who run this with the same public broker do not meet
    let place = format!("mqboard/quickstart/{}", std::process::id());

    let client = Client::connect(url).await.context("cannot connect")?;
    println!("Connected.");

    let mut readings = client
        .subscribe(format!("{place}/+"), QoS::AtLeastOnce)
        .await?;
    let (filter, granted) = &readings.granted()[0];
    println!("Subscribed to {filter}, granted {granted:?}.");

    for (sensor, value) in [("indoors", "21.5"), ("outdoors", "8.0")] {
        let topic = format!("{place}/{sensor}");
        // at QoS 1 this waits for the broker's acknowledgement
        client.publish(&topic, value).qos(QoS::AtLeastOnce).await?;
        println!("Published {value} to {topic}: acknowledged.");
    }

    for _ in 0..2 {
        let message = readings.next().await.context("the stream has ended")??;
        let value = String::from_utf8_lossy(message.payload());
        println!("Received {value} from {}.", message.topic());
        // dropping the message, here, acknowledges it
    }

    // delivers what still waits, acknowledgements too, and says goodbye
    client.disconnect().await?;
    println!("Disconnected.");
    Ok(())
}
