use std::time::Duration;

use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::time::Instant;

use super::{QOS0, QOS1, connect, numbered, numbers};
use crate::{Adapter, Failure, Inbox, Setup, World};

pub async fn disconnecting_drains<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        in_flight: 2,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut acks = Vec::new();
    for n in 0..20 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    for _ in 0..20 {
        client.publish("t", b"qos 0", QOS0).await.unwrap();
    }
    assert_eq!(client.disconnect(None).await, Vec::<Vec<u8>>::new());
    for ack in acks {
        ack.await.unwrap();
    }
    world.all_closed().await;
    assert_eq!(world.broker(|broker| broker.published()), numbers(0..20));
    let types = world.packet_types(0);
    assert_eq!(types.len(), 42, "{types:?}");
    assert_eq!(types.last(), Some(&PacketType::Disconnect));
    world.assert_no_complaints();
}

pub async fn what_was_not_delivered_is_told<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let client: A = connect(&world, Setup::default()).await;
    let mut acks = Vec::new();
    for n in 0..3 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    let before = Instant::now();
    let undelivered = client.disconnect(Some(Duration::from_secs(3))).await;
    assert_eq!(undelivered, numbers(0..3));
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_secs(3) && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    for ack in acks {
        assert_eq!(ack.await, Err(Failure::Closed));
    }
    world.all_closed().await;
    assert_eq!(world.packet_types(0).last(), Some(&PacketType::Disconnect));
}

pub async fn a_client_without_connection_still_ends<A: Adapter>() {
    let world = World::default();
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let client = A::start(&world, setup);
    let ack = client.enqueue("t", b"x").await.unwrap();
    let undelivered = client.disconnect(Some(Duration::from_secs(5))).await;
    assert_eq!(undelivered, [b"x"]);
    assert_eq!(ack.await, Err(Failure::Closed));
    assert_eq!(client.connected().await, Err(Failure::Closed));
}

pub async fn nothing_is_accepted_after_disconnect<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let other = client.clone();
    client.disconnect(None).await;
    for client in [client, other] {
        for qos in [QOS0, QOS1] {
            assert_eq!(client.publish("t", b"x", qos).await, Err(Failure::Closed));
        }
        assert_eq!(client.enqueue("t", b"x").await.err(), Some(Failure::Closed));
        assert_eq!(
            client.subscribe("t", QOS1).await.err(),
            Some(Failure::Closed)
        );
        assert_eq!(client.unsubscribe("t").await.err(), Some(Failure::Closed));
        assert_eq!(client.flush().await.err(), Some(Failure::Closed));
        assert_eq!(client.disconnect(None).await, Vec::<Vec<u8>>::new());
    }
}

pub async fn streams_end_with_the_client<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    client.disconnect(None).await;
    assert!(inbox.next().await.is_none());
}
