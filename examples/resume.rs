//! A session that outlives its connections, and then its process.
//!
//! ```console
//! $ cargo run --example resume
//! $ cargo run --example resume -- mqtt://localhost
//! ```
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
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
    receive("operator", &mut watched, &[], &["started"]).await?;
    send(&operator, &commands, "open the valve").await?;
    receive("gateway", &mut orders, &[], &["open the valve"]).await?;

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
    let pressures = ["pressure 1.1", "pressure 1.2", "pressure 1.3"];
    for report in pressures {
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
    receive("operator", &mut watched, &[], &pressures).await?;
    let expected = ["close the valve", "report the temperature"];
    receive("gateway", &mut orders, &["open the valve"], &expected).await?;

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
    let expected = ["open the valve", "wait", "close the valve"];
    for order in expected {
        send(&operator, &commands, order).await?;
    }

    println!("\nIt starts again, and is in no hurry to take its stream.");
    let gateway = Client::connect(options).await?;
    sleep(Duration::from_secs(1)).await;
    let mut orders = gateway.stream(&commands)?;
    receive("gateway", &mut orders, &[], &expected).await?;
    drop(orders);

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

/// Receives what is expected and nothing else, in this order; but what was received `before` may come again.
async fn receive(
    who: &str,
    stream: &mut Subscription,
    before: &[&str],
    expected: &[&str],
) -> Result<()> {
    for expected in expected {
        loop {
            let message = timeout(Duration::from_secs(20), stream.next())
                .await
                .with_context(|| format!("{who}: `{expected}` is missing"))?
                .with_context(|| format!("{who}: the stream has ended"))??;
            let text = String::from_utf8_lossy(message.payload());
            if text == *expected {
                println!("  {who}: received `{text}`");
                break;
            }
            // `is_duplicate` does not decide: not every broker sets DUP, and the first delivery may not have come here
            ensure!(
                before.contains(&&*text),
                "{who}: received `{text}` instead of `{expected}`"
            );
            println!(
                "  {who}: received `{text}` again: its acknowledgement was lost with the link"
            );
        }
    }
    Ok(())
}
