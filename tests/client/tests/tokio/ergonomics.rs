//! Topics and filters are taken in whatever form a program has them.
use std::borrow::Cow;

use client_tests::{Setup, World};
use mqtt_client::{Client, Filter, QoS, SubscribeError, Topic};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

#[tokio::test(start_paused = true)]
async fn a_topic_is_text_owned_or_borrowed_or_prepared() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    let owned = String::from("t");
    let prepared = Topic::try_from(&owned).unwrap();
    client.publish("t", "1").qos(QOS1).await.unwrap();
    client.publish(&owned, "2").qos(QOS1).await.unwrap();
    client.publish(owned.as_str(), "3").qos(QOS1).await.unwrap();
    client
        .publish(Cow::Borrowed("t"), "4")
        .qos(QOS1)
        .await
        .unwrap();
    client.publish(&prepared, "5").qos(QOS1).await.unwrap();
    client.publish(owned.clone(), "6").qos(QOS1).await.unwrap();
    client.publish(owned, "7").qos(QOS1).await.unwrap();
    client.publish("t", "8").qos(QOS1).await.unwrap();
    let expected: [&[u8]; 8] = [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"];
    assert_eq!(world.broker(|broker| broker.published()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_text_owned_or_borrowed_or_prepared() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    let owned = String::from("b");
    let prepared = Filter::new("c").unwrap();
    let several = client
        .subscribe("a", QOS1)
        .filter(&owned, QOS1)
        .filter(&prepared, QOS1)
        .filter(Cow::Borrowed("d"), QOS1)
        .filter(String::from("e"), QOS1)
        .filter(prepared.as_str().replace('c', "f"), QOS1);
    let stream = several.await.unwrap();
    let granted: Vec<&str> = stream
        .granted()
        .iter()
        .map(|(filter, _)| filter.as_str())
        .collect();
    assert_eq!(granted, ["a", "b", "c", "d", "e", "f"]);
    let one = client.subscribe(prepared.clone(), QOS1).await.unwrap();
    drop((stream, one));
    client.stream(&prepared).unwrap();
    client.stream(&owned).unwrap();
    client.unsubscribe(owned).await.unwrap();
    client.unsubscribe(prepared).await.unwrap();
    let wrong = client.subscribe("a/#/b", QOS1).filter("ok", QOS1).await;
    assert!(matches!(wrong, Err(SubscribeError::Filter(_))), "{wrong:?}");
}
