//! A session that outlives its connections, and then its process.
//!
//! ```console
//! $ cargo run --example resume
//! $ cargo run --example resume -- mqtt://localhost
//! ```
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use mqtt_client::{Client, ConnectOptions, Event, Filter, QoS, SessionStart, Stats, Subscription};
use support::{Line, exit_code, start_broker};
use tokio::time::{sleep, timeout};

/// Shows what becomes of messages, sent and received, when a link breaks and when a program is restarted.
#[derive(Parser)]
struct Arguments {
    /// Broker, mqtt://host[:port]. Without it a small broker is started within this program.
    url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<()> {
    let url = match arguments.url {
        Some(url) => url,
        None => format!("mqtt://{}", start_broker()?),
    };
    let id = std::process::id();
    let reports = format!("mqboard/resume/{id}/reports");
    let commands = format!("mqboard/resume/{id}/commands");

    // the other side: sends commands and watches reports
    let operator = Client::connect(url.as_str())
        .await
        .context("cannot connect")?;
    let mut watched = operator
        .subscribe(reports.as_str(), QoS::AtLeastOnce)
        .await?;

    println!("The gateway connects with a client id: its session lasts.");
    let line = Line::new();
    let options = url
        .parse::<ConnectOptions>()?
        .client_id(format!("gateway{id}"))
        .declare(Filter::new(commands.as_str())?, QoS::AtLeastOnce);
    let gateway = Client::connect(
        options
            .clone()
            // forget what an earlier run may have left; what follows resumes all the same
            .session_start(SessionStart::CleanSlate)
            .connector(line.connector()),
    )
    .await?;
    let mut orders = gateway.stream(&commands)?;
    // the subscription goes out before the first message: when this is acknowledged, the broker has both
    gateway
        .publish(&reports, "started")
        .qos(QoS::AtLeastOnce)
        .await?;
    receive("operator", &mut watched, 1).await?;
    send(&operator, &commands, "open the valve").await?;
    receive("gateway", &mut orders, 1).await?;

    println!("\nThe link breaks. Both sides go on publishing.");
    let mut events = gateway.events();
    line.take_down();
    loop {
        if let Event::Disconnected { reason, .. } = events.recv().await? {
            println!("  gateway: {reason}");
            break;
        }
    }
    let mut waiting = Vec::new();
    for report in ["pressure 1.1", "pressure 1.2", "pressure 1.3"] {
        // the outbox takes it without a connection; `ack` completes when the broker has it
        let ack = gateway
            .publish(&reports, report)
            .qos(QoS::AtLeastOnce)
            .enqueue()
            .await?;
        waiting.push((report, ack));
        println!("  gateway: `{report}` waits in the outbox");
    }
    send(&operator, &commands, "close the valve").await?;
    send(&operator, &commands, "report the temperature").await?;

    println!("\nThe link is back.");
    line.put_up();
    loop {
        if let Event::Connected { session, .. } = events.recv().await? {
            println!("  gateway: connected, session {session:?}");
            break;
        }
    }
    for (report, ack) in waiting {
        ack.await?;
        println!("  gateway: `{report}` was acknowledged");
    }
    receive("operator", &mut watched, 3).await?;
    receive("gateway", &mut orders, 2).await?;

    println!("\nThe gateway's program ends. Commands go on arriving at the broker.");
    drop(orders);
    gateway.disconnect().await?;
    let Stats {
        connections,
        resent,
        acknowledged,
        ..
    } = gateway.stats();
    println!(
        "  gateway: {connections} connections, {acknowledged} acknowledged, {resent} sent again"
    );
    for order in ["open the valve", "wait", "close the valve"] {
        send(&operator, &commands, order).await?;
    }

    println!("\nIt starts again, and is in no hurry to take its stream.");
    let gateway = Client::connect(options).await?;
    sleep(Duration::from_secs(1)).await;
    receive("gateway", &mut gateway.stream(&commands)?, 3).await?;

    // a session that nobody will come back for should not stay at the broker
    gateway.unsubscribe(commands.as_str()).await?;
    gateway.disconnect().await?;
    operator.disconnect().await?;
    Ok(())
}

async fn send(operator: &Client, topic: &str, order: &str) -> Result<()> {
    operator.publish(topic, order).qos(QoS::AtLeastOnce).await?;
    println!("  operator: `{order}` is with the broker");
    Ok(())
}

async fn receive(who: &str, stream: &mut Subscription, count: usize) -> Result<()> {
    for _ in 0..count {
        let message = timeout(Duration::from_secs(20), stream.next())
            .await
            .with_context(|| format!("{who}: a message is missing"))?
            .with_context(|| format!("{who}: the stream has ended"))??;
        let text = String::from_utf8_lossy(message.payload());
        println!("  {who}: received `{text}`");
    }
    Ok(())
}
