//! ntex-mqtt 9.4 on its tokio runtime. Measured twice at QoS 1: with its ack callback and with its futures.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ntex_bytes::ByteString;
use ntex_mqtt::MqttServiceConfig;
use ntex_mqtt::v3::client::{Connect, MqttConnector, ProtocolMessage};
use ntex_mqtt::v3::{MqttSink, QoS};
use ntex_service::cfg::SharedCfg;
use ntex_service::pipeline::Pipeline;
use ntex_util::time::Seconds;

use crate::contender::{Contender, Progress, consume};
use crate::workload::{Delivery, WINDOW, Work, Workload};

/// QoS 1 without a future for each message: a callback counts the acks.
pub struct Callback(Client);

/// QoS 1 with a future for each message.
pub struct Futures(Client);

struct Client {
    sink: MqttSink,
    acknowledged: Arc<Progress>,
    received: Arc<Progress>,
    expected: u64,
}

impl Contender for Callback {
    const NAME: &'static str = "ntex";

    fn remark(workload: &Workload) -> Option<&'static str> {
        match workload.work {
            Work::Publish(Delivery::AtLeastOnce) => {
                Some("a callback counts the acks; no replay: nothing is kept")
            }
            Work::Receive(_) => Some("messages end in a callback: no queue"),
            Work::Latency => Some("a callback tells of the ack; no replay: nothing is kept"),
            _ => None,
        }
    }

    fn block_on<F>(future: F) -> Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        block_on(future)
    }

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        let client = Client::connect(address, client_id).await?;
        let acknowledged = client.acknowledged.clone();
        client.sink.publish_ack_cb(move |_, _| acknowledged.step());
        Ok(Self(client))
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.0.subscribe(filter, delivery).await
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let topic = ByteString::from_static(topic);
        let payload = ntex_bytes::Bytes::copy_from_slice(payload);
        if delivery == Delivery::AtMostOnce {
            return self.0.publish_unacknowledged(topic, payload, count).await;
        }
        let goal = self.0.acknowledged.done() + count;
        for _ in 0..count {
            self.0.wait_for_room().await?;
            self.0
                .sink
                .publish(topic.clone())
                .send_at_least_once_no_block(payload.clone())?;
        }
        self.0.acknowledged.reach(goal).await;
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<()> {
        self.0.expected += count;
        self.0.received.reach(self.0.expected).await;
        Ok(())
    }
}

impl Contender for Futures {
    const NAME: &'static str = "ntex+future";

    fn handles(workload: &Workload) -> bool {
        matches!(
            workload.work,
            Work::Publish(Delivery::AtLeastOnce) | Work::Latency
        )
    }

    fn remark(workload: &Workload) -> Option<&'static str> {
        Self::handles(workload).then_some("no replay: nothing is kept until the ack")
    }

    fn block_on<F>(future: F) -> Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        block_on(future)
    }

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        Client::connect(address, client_id).await.map(Self)
    }

    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()> {
        self.0.subscribe(filter, delivery).await
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let topic = ByteString::from_static(topic);
        let payload = ntex_bytes::Bytes::copy_from_slice(payload);
        if delivery == Delivery::AtMostOnce {
            return self.0.publish_unacknowledged(topic, payload, count).await;
        }
        let publish = || {
            self.0
                .sink
                .publish(topic.clone())
                .send_at_least_once(payload.clone())
        };
        if count == 1 {
            return Ok(publish().await?);
        }
        let mut in_flight = FuturesUnordered::new();
        for _ in 0..count {
            if in_flight.len() == usize::from(WINDOW) {
                in_flight.next().await.transpose()?;
            }
            in_flight.push(publish());
        }
        while in_flight.next().await.transpose()?.is_some() {}
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
        let config = MqttServiceConfig::new()
            .set_max_size(128 * 1024)
            .set_max_send(WINDOW)
            .set_max_receive(WINDOW)
            .set_max_queue(usize::from(WINDOW));
        let config = SharedCfg::new("bench").add(config).build();
        let options = Connect::new(address.to_string())
            .client_id(client_id)
            .clean_session()
            .keep_alive(Seconds(60));
        let client = Pipeline::new(config, MqttConnector::new())
            .call(options)
            .await
            .map_err(|error| anyhow!("{error:?}"))?;
        let sink = client.sink();
        let received = Progress::new();
        let deliver = received.clone();
        let run = client.start(async move |message: ProtocolMessage| {
            if let ProtocolMessage::Publish(publish) = &message {
                consume(
                    &publish
                        .read_all()
                        .await
                        .map_err(|error| anyhow!("{error:?}"))?,
                );
                deliver.step();
            }
            Ok::<_, anyhow::Error>(message.ack())
        });
        ntex_util::spawn(async move {
            if let Err(error) = run.await {
                eprintln!("ntex-mqtt: {error:?}");
            }
        });
        Ok(Self {
            sink,
            acknowledged: Progress::new(),
            received,
            expected: 0,
        })
    }

    async fn subscribe(&self, filter: &'static str, delivery: Delivery) -> Result<()> {
        let qos = match delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce => QoS::AtLeastOnce,
        };
        self.sink
            .subscribe()
            .topic_filter(filter.into(), qos)
            .send()
            .await?;
        Ok(())
    }

    /// Returns when the write buffer is below its limit and the window is open.
    async fn wait_for_room(&self) -> Result<()> {
        ensure!(
            self.sink.is_ready() || self.sink.ready().await,
            "the connection is gone"
        );
        Ok(())
    }

    async fn publish_unacknowledged(
        &self,
        topic: ByteString,
        payload: ntex_bytes::Bytes,
        count: u64,
    ) -> Result<()> {
        for _ in 0..count {
            self.sink
                .publish(topic.clone())
                .send_at_most_once(payload.clone())
                .await?;
        }
        Ok(())
    }
}

fn block_on<F>(future: F) -> Result<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Ok(ntex_rt::System::build()
        .name("bench")
        .build(ntex_net::DefaultRuntime)
        .block_on(future))
}
