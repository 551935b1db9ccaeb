//! The receiving side: takes each message into memory and compares it with what was announced.
use anyhow::{Context, Result};
use mqtt_client::{Capacity, Client, ConnectOptions, QoS, SessionStart};
use support::start_broker;

use crate::{arguments::Place, digest::Digest};

/// The line on standard output that tells the sending process where to go.
pub(crate) const READY: &str = "receiving at ";

pub(crate) async fn run(place: Place) -> Result<()> {
    let url = match &place.broker {
        Some(url) => url.clone(),
        None => format!("mqtt://{}", start_broker()?),
    };
    let options = url
        .parse::<ConnectOptions>()?
        // a client id in the URL is the sending side's
        .client_id("")
        .session_start(SessionStart::Transient)
        // no message of MQTT is longer: none is skipped
        .packet_limit(268_435_455)
        // one message at a time; more wait at the broker
        .queue(Capacity::new(100, 1));
    let client = Client::connect(options).await.context("cannot connect")?;
    let mut stream = client
        .subscribe(place.announcement(), QoS::AtLeastOnce)
        .filter(place.content(), QoS::AtLeastOnce)
        .await?;
    if place.broker.is_none() {
        println!("{READY}{url}");
    } else {
        println!("{READY}{}", place.topic);
    }
    let mut announced = None;
    while let Some(message) = stream.next().await {
        let message = message?;
        if message.topic() == place.announcement() {
            announced = Some(Digest::from_text(message.payload()));
            continue;
        }
        let received = Digest::of(message.payload())?;
        // acknowledges it before the answer is awaited
        drop(message);
        let verdict = match &announced {
            Some(announced) if *announced == received => "right",
            Some(_) => "wrong",
            None => "not announced",
        };
        let answer = format!("{verdict}: {received}");
        client
            .publish(place.verdict(), answer)
            .qos(QoS::AtLeastOnce)
            .await?;
    }
    Ok(())
}
