//! Our client: a prepared topic, enqueued publishes, a stream.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use mqtt_client::{
    Address, Client, ConnectOptions, PublishAck, QoS, SessionStart, Subscription, Topic,
};

use crate::contender::{Contender, Role, consume};
use crate::workload::{Delivery, WINDOW};

pub struct Ours {
    client: Client,
    stream: Option<Subscription>,
}

impl Contender for Ours {
    const NAME: &'static str = "mqboard";
    const ROLE: Role = Role::Ours;

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        let options = ConnectOptions::new(Address::from(address))
            .client_id(client_id)
            .session_start(SessionStart::Transient)
            .in_flight(WINDOW);
        let client = Client::connect(options).await?;
        Ok(Self {
            client,
            stream: None,
        })
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.stream = Some(self.client.subscribe(filter, qos(delivery)).await?);
        Ok(())
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let topic = Topic::new(topic)?;
        if delivery == Delivery::AtMostOnce {
            for _ in 0..count {
                self.client.publish(&topic, payload.clone()).await?;
            }
            return Ok(());
        }
        let mut acks: VecDeque<PublishAck> = VecDeque::with_capacity(usize::from(WINDOW));
        for _ in 0..count {
            if acks.len() == usize::from(WINDOW)
                && let Some(oldest) = acks.pop_front()
            {
                oldest.await?;
            }
            let publish = self
                .client
                .publish(&topic, payload.clone())
                .qos(QoS::AtLeastOnce);
            acks.push_back(publish.enqueue().await?);
        }
        for ack in acks {
            ack.await?;
        }
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<()> {
        let stream = self.stream.as_mut().context("not subscribed")?;
        for _ in 0..count {
            let message = stream.next().await.context("the stream has ended")??;
            consume(message.payload());
        }
        Ok(())
    }
}

fn qos(delivery: Delivery) -> QoS {
    match delivery {
        Delivery::AtMostOnce => QoS::AtMostOnce,
        Delivery::AtLeastOnce => QoS::AtLeastOnce,
    }
}
