//! Receiving while the link is cut.
use std::time::Duration;

use mqtt_client::{
    BackoffOptions, Client, ConnectOptions, Filter, FirstConnect, QoS, Subscription,
};
use testkit::net::{Direction, Fault, Listener, Mosquitto, Plan, Proxy};

use crate::support::next_text;

const MESSAGES: usize = 1_000;

#[tokio::test]
async fn every_message_is_received_and_in_order_however_often_the_link_is_cut() {
    let broker = Mosquitto::start().await;
    let cuts = (0..40).map(|number| {
        Some(Fault::CutInPacket {
            direction: [Direction::ToBroker, Direction::ToClient][number as usize % 2],
            packets: 2 + number * 7 % 40,
            bytes: 1 + number % 10,
        })
    });
    let plan = Plan::scripted(cuts);
    let proxy = Proxy::start(broker.address(Listener::Plain), plan).await;
    let client = Client::connect(options(&proxy)).await.unwrap();
    let mut stream = client.stream("in").unwrap();
    // SUBSCRIBE goes out before it
    let subscribed = client.publish("other", "").qos(QoS::AtLeastOnce);
    subscribed.await.unwrap();
    let publishing = broker.publish("in", 1, (0..MESSAGES).map(|number| number.to_string()));
    let receiving = assert_all_in_order(&mut stream, MESSAGES);
    tokio::join!(publishing, receiving);
    let counters = proxy.counters();
    assert!(counters.cuts_in_packet_to_broker > 0, "{counters:?}");
    assert!(counters.cuts_in_packet_to_client > 0, "{counters:?}");
}

/// The broker would send them again, if it had not got the acknowledgements.
#[tokio::test]
async fn what_was_acknowledged_does_not_come_again() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.address(Listener::Plain), Plan::faithful()).await;
    let client = Client::connect(options(&proxy)).await.unwrap();
    let mut stream = client.stream("in").unwrap();
    let subscribed = client.publish("other", "").qos(QoS::AtLeastOnce);
    subscribed.await.unwrap();
    broker
        .publish("in", 1, (0..10).map(|number| number.to_string()))
        .await;
    for number in 0..10 {
        assert_eq!(next_text(&mut stream).await, number.to_string());
    }
    // its PUBACK comes behind ours
    client
        .publish("other", "")
        .qos(QoS::AtLeastOnce)
        .await
        .unwrap();
    proxy.cut();
    broker.publish("in", 1, ["10".to_owned()]).await;
    assert_eq!(next_text(&mut stream).await, "10");
}

#[tokio::test]
async fn a_network_that_goes_silent_is_noticed_and_replaced() {
    let broker = Mosquitto::start().await;
    let silent = Fault::Swallow {
        direction: Direction::ToBroker,
        packets: 3,
    };
    let plan = Plan::scripted([Some(silent)]);
    let proxy = Proxy::start(broker.address(Listener::Plain), plan).await;
    let options = options(&proxy).keep_alive(Duration::from_secs(1));
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.stream("in").unwrap();
    for number in 0..20 {
        let publish = client.publish("in", number.to_string());
        publish.qos(QoS::AtLeastOnce).await.unwrap();
    }
    assert_all_in_order(&mut stream, 20).await;
    assert_eq!(client.stats().connections, 2);
}

/// Numbers from 0, each at least once: none comes first behind a later one.
async fn assert_all_in_order(stream: &mut Subscription, messages: usize) {
    let mut next = 0;
    while next < messages {
        let number: usize = next_text(stream).await.parse().unwrap();
        assert!(number <= next, "{number}, and {next} is missing");
        next = next.max(number + 1);
    }
}

fn options(proxy: &Proxy) -> ConnectOptions {
    ConnectOptions::new(proxy.address().into())
        .client_id("receiver")
        .declare(Filter::new("in").unwrap(), QoS::AtLeastOnce)
        .first_connect(FirstConnect::KeepTrying)
        .backoff(
            BackoffOptions::default()
                .min(Duration::from_millis(1))
                .max(Duration::from_millis(20)),
        )
}
