//! rumqttc-v4-next 0.34: an event loop polled in a task of its own. Measured twice at QoS 1: with acks counted
//! in the event loop, and with its notice for each publish.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use rumqttc_next::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishNotice, PublishOptions,
    PublishTopic, QoS, ValidatedTopic,
};

use crate::contender::{Contender, Progress, consume};
use crate::workload::{Delivery, WINDOW, Work, Workload};

const CHANNEL: usize = WINDOW as usize;
/// Requests taken from the channel in one iteration; the default of one is several times slower.
const REQUEST_BATCH: usize = WINDOW as usize;

/// Acks are counted where the event loop is polled.
pub struct Counted(Client);

/// Every publish is awaited through its notice.
pub struct Tracked(Client);

struct Client {
    client: AsyncClient,
    acknowledged: Arc<Progress>,
    subscribed: Arc<Progress>,
    received: Arc<Progress>,
    expected: u64,
}

impl Contender for Counted {
    const NAME: &'static str = "v4-next";

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
        Client::connect(address, client_id).await.map(Self)
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.0.client.subscribe(filter, qos(delivery)).await?;
        self.0.subscribed.reach(1).await;
        Ok(())
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let goal = self.0.acknowledged.done() + count;
        let topic = ValidatedTopic::new(topic)?;
        let options = PublishOptions::new(qos(delivery));
        for _ in 0..count {
            let topic = PublishTopic::Validated(topic.clone());
            self.0
                .client
                .publish(topic, payload.clone(), options)
                .await?;
        }
        if delivery == Delivery::AtLeastOnce {
            self.0.acknowledged.reach(goal).await;
        }
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<()> {
        self.0.expected += count;
        self.0.received.reach(self.0.expected).await;
        Ok(())
    }
}

impl Contender for Tracked {
    const NAME: &'static str = "v4-next+notice";

    fn handles(workload: &Workload) -> bool {
        matches!(
            workload.work,
            Work::Publish(Delivery::AtLeastOnce) | Work::Latency
        )
    }

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        Client::connect(address, client_id).await.map(Self)
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.0
            .client
            .subscribe_tracked(filter, qos(delivery))
            .await?
            .wait_async()
            .await?;
        Ok(())
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let topic = ValidatedTopic::new(topic)?;
        let options = PublishOptions::new(qos(delivery));
        let mut notices: VecDeque<PublishNotice> = VecDeque::with_capacity(usize::from(WINDOW));
        for _ in 0..count {
            if notices.len() == usize::from(WINDOW)
                && let Some(oldest) = notices.pop_front()
            {
                oldest.wait_async().await?;
            }
            let topic = PublishTopic::Validated(topic.clone());
            notices.push_back(
                self.0
                    .client
                    .publish_tracked(topic, payload.clone(), options)
                    .await?,
            );
        }
        for notice in notices {
            notice.wait_async().await?;
        }
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<()> {
        self.0.expected += count;
        self.0.received.reach(self.0.expected).await;
        Ok(())
    }
}

impl Client {
    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        let mut options = MqttOptions::new(client_id, (address.ip().to_string(), address.port()));
        options.set_keep_alive(60);
        options.set_inflight(WINDOW);
        options.set_max_packet_size(128 * 1024, 128 * 1024);
        options.set_max_request_batch(REQUEST_BATCH);
        let (client, mut event_loop) = AsyncClient::builder(options).capacity(CHANNEL).build();
        while !matches!(
            event_loop.poll().await?,
            Event::Incoming(Packet::ConnAck(_))
        ) {}

        let client = Self {
            client,
            acknowledged: Progress::new(),
            subscribed: Progress::new(),
            received: Progress::new(),
            expected: 0,
        };
        tokio::spawn(poll(
            event_loop,
            client.acknowledged.clone(),
            client.subscribed.clone(),
            client.received.clone(),
        ));
        Ok(client)
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
                eprintln!("rumqttc-v4-next: {error}");
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
