use std::time::Duration;

use mqtt_codec::wire::{Packet, PacketType};
use tokio::time::{sleep, timeout};

use super::{QOS0, QOS1, connect, numbered, numbers};
use crate::{Adapter, Delivery, Inbox, Setup, World, happenings::listen};

pub async fn a_subscription_receives_until_it_is_unsubscribed<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("rooms/+/temp", QOS1).await.unwrap();
    world.broker(|broker| {
        broker.publish("rooms/1/temp", b"21", QOS1);
        broker.publish("rooms/1/light", b"on", QOS1);
        broker.publish("rooms/2/temp", b"19", QOS0);
    });
    let message = inbox.next().await.unwrap();
    assert_eq!(
        (message.topic(), message.payload()),
        ("rooms/1/temp", &b"21"[..])
    );
    drop(message);
    let message = inbox.next().await.unwrap();
    assert_eq!(
        (message.topic(), message.payload()),
        ("rooms/2/temp", &b"19"[..])
    );
    client.unsubscribe("rooms/+/temp").await.unwrap();
    assert!(inbox.next().await.is_none());
    assert_eq!(world.broker(|broker| broker.subscriptions("client")), []);
    world.assert_no_complaints();
}

pub async fn declared_streams_keep_what_waited_at_the_broker<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        declared: vec![("jobs/#", QOS1)],
        queue: 10,
        ..Setup::default()
    };
    let earlier: A = connect(&world, setup.clone()).await;
    world.arrived(PacketType::Subscribe, 1).await;
    earlier.disconnect(None).await;
    drop(earlier);
    for n in 0..100 {
        world.broker(|broker| broker.publish("jobs/1", &numbered(n), QOS1));
    }
    let client: A = connect(&world, setup).await;
    sleep(Duration::from_secs(1)).await;
    let mut inbox = client.take("jobs/#");
    for n in 0..100 {
        assert_eq!(inbox.next().await.unwrap().payload(), numbered(n));
    }
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
}

pub async fn unmatched_messages_wait_for_the_default_stream<A: Adapter>() {
    let world = World::default();
    let earlier: A = connect(&world, Setup::default()).await;
    drop(earlier.subscribe("old/#", QOS1).await.unwrap());
    earlier.disconnect(None).await;
    for n in 0..5 {
        world.broker(|broker| broker.publish("old/1", &numbered(n), QOS1));
    }
    let client: A = connect(&world, Setup::default()).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.broker(|broker| broker.undelivered("client")), 5);
    let mut rest = client.take_unmatched();
    for n in 0..5 {
        assert_eq!(rest.next().await.unwrap().payload(), numbered(n));
    }
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
}

/// [MQTT-4.6.0-2]
pub async fn acknowledgements_leave_in_order_of_receipt<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    for n in 0..4 {
        world.broker(|broker| broker.publish("t", &numbered(n), QOS1));
    }
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(inbox.next().await.unwrap());
    }
    // the last first
    while let Some(message) = messages.pop() {
        drop(message);
        client.flush().await.unwrap();
        let acks = acked(&world);
        assert_eq!(acks.len(), if messages.is_empty() { 4 } else { 0 });
    }
    assert_eq!(acked(&world), [1, 2, 3, 4]);
}

pub async fn an_unacknowledged_message_comes_again<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    for n in 0..3 {
        world.broker(|broker| broker.publish("t", &numbered(n), QOS1));
    }
    let held = inbox.next().await.unwrap();
    let mut happenings = listen(&client);
    world.cut();
    assert!(happenings.connected().await);
    // the one that is held, and those that lay in the queue: whether they are seen twice is the adapter's choice
    let mut again = Vec::new();
    while again.len() < 3 {
        let message = inbox.next().await.unwrap();
        if message.is_duplicate() {
            again.push(message.payload().to_vec());
        }
    }
    assert_eq!(again, numbers(0..3));
    drop(held);
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
    world.assert_no_complaints();
}

pub async fn a_stale_acknowledgement_is_ignored<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t", b"x", QOS1));
    let stale = inbox.next().await.unwrap();
    world.cut();
    let current = inbox.next().await.unwrap();
    drop(stale);
    client.publish("other", b"", QOS1).await.unwrap();
    assert_eq!(acked(&world), [0u16; 0]);
    drop(current);
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
    world.assert_no_complaints();
}

pub async fn a_message_given_up_does_not_hold_back_the_later_ones<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    inbox.acknowledge_manually();
    for n in 0..3 {
        world.broker(|broker| broker.publish("t", &numbered(n), QOS1));
    }
    drop(inbox.next().await.unwrap());
    inbox.next().await.unwrap().ack();
    inbox.next().await.unwrap().ack();
    world.arrived(PacketType::PubAck, 2).await;
    assert_eq!(acked(&world), [2, 3]);
    assert_eq!(world.broker(|broker| broker.undelivered("client")), 1);
    world.cut();
    let again = inbox.next().await.unwrap();
    assert_eq!(again.payload(), numbered(0));
    again.ack();
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
}

pub async fn handling_a_message_may_publish_and_subscribe<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        in_flight: 3,
        outbox: 3,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut inbox = client.subscribe("in/#", QOS1).await.unwrap();
    let mut happenings = listen(&client);
    for n in 0..100 {
        world.broker(|broker| broker.publish("in/1", &numbered(n), QOS1));
    }
    for n in 0..100 {
        let message = inbox.next().await.unwrap();
        assert_eq!(message.payload(), numbered(n));
        client
            .publish("out", message.payload(), QOS1)
            .await
            .unwrap();
        if n % 10 == 0 {
            let filter = format!("more/{n}");
            client.subscribe(&filter, QOS1).await.unwrap();
        }
    }
    assert_eq!(
        world.broker(|broker| broker.first_deliveries()),
        numbers(0..100)
    );
    let ended = timeout(Duration::from_secs(5), happenings.disconnected()).await;
    assert!(ended.is_err(), "the link was lost: {ended:?}");
    world.assert_no_complaints();
}

/// The acknowledgement that the consumer awaits lies behind messages that its queue has no room for.
pub async fn handling_a_message_may_publish_with_a_queue_smaller_than_the_brokers_window<
    A: Adapter,
>() {
    for (queue, count) in [(1, 10), (2, 11), (3, 100), (19, 100)] {
        let world = World::default();
        let setup = Setup {
            queue,
            ..Setup::default()
        };
        let client: A = connect(&world, setup).await;
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        for n in 0..count {
            world.broker(|broker| broker.publish("in", &numbered(n), QOS1));
        }
        let mut got = std::collections::BTreeSet::new();
        while got.len() < count {
            let message = inbox.next().await.unwrap();
            client
                .publish("out", message.payload(), QOS1)
                .await
                .unwrap();
            got.insert(message.payload().to_vec());
        }
        world.assert_no_complaints();
    }
}

/// The packet ids of the PUBACKs that came, in order.
fn acked(world: &World) -> Vec<u16> {
    world.broker(|broker| {
        let ack = |arrival: &testkit::Arrival| match arrival.frame.packet() {
            Packet::PubAck(id) => Some(id.get()),
            _ => None,
        };
        broker.arrivals().iter().filter_map(ack).collect()
    })
}
