//! Consumers that do not keep up.
use std::{collections::HashSet, time::Duration};

use mqtt_client::{
    Capacity, Client, ConnectOptions, DisconnectReason, Event, Filter, QoS, Subscription,
};
use testkit::net::{Listener, Mosquitto, PATIENCE};
use tokio::{sync::broadcast::error::TryRecvError, time::timeout};

use crate::support::{assert_works, client, options};

const QOS0: usize = 10_000;
const QOS1: usize = 200;

#[tokio::test]
async fn publishes_complete_while_the_queue_of_their_task_is_full() {
    let broker = Mosquitto::start().await;
    let mut consumer = Consumer::start(options(&broker, Listener::Plain)).await;
    consumer.flood(&broker).await;
    consumer.publish_100().await;
    let stats = consumer.client.stats();
    assert_eq!(stats.connections, 1, "{stats:?}");
    consumer.receive_every_qos1_message().await;
}

/// The queue is smaller than the broker's window, so that only discarding gets at the acknowledgements.
#[tokio::test]
async fn publishes_complete_behind_more_than_the_queue_holds() {
    let broker = Mosquitto::start().await;
    let options = options(&broker, Listener::Plain)
        .queue(Capacity::new(5, 1_000_000))
        .stall_timeout(Duration::from_millis(200));
    let mut consumer = Consumer::start(options).await;
    let mut events = consumer.client.events();
    consumer.flood(&broker).await;
    consumer.publish_100().await;
    consumer.receive_every_qos1_message().await;
    let stats = consumer.client.stats();
    assert!(stats.discarded_while_stalled > 0, "{stats:?}");
    let mut cycled = 0;
    loop {
        match events.try_recv() {
            Ok(Event::Disconnected { reason, .. }) => {
                assert!(matches!(reason, DisconnectReason::Cycled), "{reason}");
                cycled += 1;
            }
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(_) => break,
        }
    }
    assert!(cycled > 0);
}

#[tokio::test]
async fn a_sleeping_consumer_keeps_its_link_for_three_keep_alives() {
    // read on, and not read while the queue is full
    tokio::join!(sleep_with_queue(1_024), sleep_with_queue(5));

    async fn sleep_with_queue(messages: usize) {
        let broker = Mosquitto::start().await;
        let options = options(&broker, Listener::Plain)
            .keep_alive(Duration::from_secs(1))
            .queue(Capacity::new(messages, 1_000_000));
        let mut consumer = Consumer::start(options).await;
        consumer.flood(&broker).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let stats = consumer.client.stats();
        assert_eq!(
            (stats.connections, stats.disconnections),
            (1, 0),
            "{stats:?}"
        );
        consumer.receive_every_qos1_message().await;
    }
}

/// Mosquitto sends 20 unacknowledged messages; UNSUBSCRIBE does not take them back.
#[tokio::test]
async fn a_stream_dropped_unread_leaves_the_window_open() {
    let broker = Mosquitto::start().await;
    let client = client(&broker).await;
    let unread = client.subscribe("unread", QoS::AtLeastOnce).await.unwrap();
    let payloads = (0..30).map(|number| number.to_string());
    broker.publish("unread", 1, payloads).await;
    while client.stats().queued_messages < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(unread);
    assert_works(&client).await;
    assert_eq!(client.stats().connections, 1);
}

/// One task that receives and publishes.
struct Consumer {
    client: Client,
    stream: Subscription,
    received: HashSet<String>,
}

impl Consumer {
    async fn start(options: ConnectOptions) -> Self {
        let filter = Filter::new("flood").unwrap();
        let options = options.client_id("consumer");
        let client = Client::connect(options.declare(filter, QoS::AtLeastOnce))
            .await
            .unwrap();
        let stream = client.stream("flood").unwrap();
        // SUBSCRIBE goes out before this
        client
            .publish("other", "subscribed")
            .qos(QoS::AtLeastOnce)
            .await
            .unwrap();
        Self {
            client,
            stream,
            received: HashSet::new(),
        }
    }

    /// Fills the queue, then leaves that much and more at the broker, QoS 0 and QoS 1 mixed.
    async fn flood(&self, broker: &Mosquitto) {
        let payloads = |qos, count| (0..count).map(move |number| format!("{qos} {number}"));
        broker.publish("flood", 1, payloads(1, QOS1 / 2)).await;
        broker.publish("flood", 0, payloads(0, QOS0)).await;
        let rest = payloads(1, QOS1).skip(QOS1 / 2);
        broker.publish("flood", 1, rest).await;
    }

    /// Nothing is received meanwhile.
    async fn publish_100(&self) {
        for number in 0..100 {
            let publish = self.client.publish("other", number.to_string());
            timeout(PATIENCE, publish.qos(QoS::AtLeastOnce).into_future())
                .await
                .expect("acknowledged in time")
                .unwrap();
        }
    }

    async fn receive_every_qos1_message(&mut self) {
        while self.received.len() < QOS1 {
            let message = timeout(PATIENCE, self.stream.next())
                .await
                .unwrap_or_else(|_| {
                    let missing: Vec<_> = (0..QOS1)
                        .filter(|number| !self.received.contains(&format!("1 {number}")))
                        .collect();
                    panic!("missing {missing:?}; {:?}", self.client.stats())
                })
                .unwrap()
                .unwrap();
            if message.qos() == QoS::AtLeastOnce {
                let payload = String::from_utf8_lossy(message.payload()).into_owned();
                assert!(payload.starts_with("1 "), "{payload}");
                self.received.insert(payload);
            }
        }
    }
}
