//! rumqttc 0.25: an event loop polled in a task of its own, which is where user code sees messages and acks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};

use crate::contender::{Contender, Progress, consume};
use crate::workload::{Delivery, WINDOW, Work, Workload};

const CHANNEL: usize = WINDOW as usize;

pub struct Rumqttc {
    client: AsyncClient,
    acknowledged: Arc<Progress>,
    subscribed: Arc<Progress>,
    received: Arc<Progress>,
    expected: u64,
}

impl Contender for Rumqttc {
    const NAME: &'static str = "rumqttc";

    fn remark(workload: &Workload) -> Option<&'static str> {
        match workload.work {
            Work::Publish(Delivery::AtLeastOnce) => {
                Some("acks are counted in the event loop; no publish learns of its own")
            }
            Work::Receive(_) => Some("messages end in the polling loop: no routing, no queue"),
            _ => None,
        }
    }

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        let mut options = MqttOptions::new(client_id, address.ip().to_string(), address.port());
        options
            .set_keep_alive(Duration::from_secs(60))
            .set_inflight(WINDOW)
            .set_max_packet_size(128 * 1024, 128 * 1024);
        let (client, mut event_loop) = AsyncClient::new(options, CHANNEL);
        while !matches!(
            event_loop.poll().await?,
            Event::Incoming(Packet::ConnAck(_))
        ) {}

        let contender = Self {
            client,
            acknowledged: Progress::new(),
            subscribed: Progress::new(),
            received: Progress::new(),
            expected: 0,
        };
        tokio::spawn(poll(
            event_loop,
            contender.acknowledged.clone(),
            contender.subscribed.clone(),
            contender.received.clone(),
        ));
        Ok(contender)
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.client.subscribe(filter, qos(delivery)).await?;
        self.subscribed.reach(1).await;
        Ok(())
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let goal = self.acknowledged.done() + count;
        for _ in 0..count {
            self.client
                .publish_bytes(topic, qos(delivery), false, payload.clone())
                .await?;
        }
        if delivery == Delivery::AtLeastOnce {
            self.acknowledged.reach(goal).await;
        }
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<()> {
        self.expected += count;
        self.received.reach(self.expected).await;
        Ok(())
    }
}

async fn poll(
    mut event_loop: EventLoop,
    acknowledged: Arc<Progress>,
    subscribed: Arc<Progress>,
    received: Arc<Progress>,
) {
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => acknowledged.step(),
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                consume(&publish.payload);
                received.step();
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.step(),
            Ok(_) => {}
            Err(error) => {
                eprintln!("rumqttc: {error}");
                return;
            }
        }
    }
}

fn qos(delivery: Delivery) -> QoS {
    match delivery {
        Delivery::AtMostOnce => QoS::AtMostOnce,
        Delivery::AtLeastOnce => QoS::AtLeastOnce,
    }
}
