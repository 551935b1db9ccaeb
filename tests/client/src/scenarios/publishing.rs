use std::time::Duration;

use mqtt_codec::wire::{Dup, Packet, PacketType};
use testkit::{AckOrder, LinkId};

use super::{QOS0, QOS1, assert_pending, connect, numbered, numbers, sent};
use crate::{Adapter, Setup, World, happenings::listen};

pub async fn qos_0_arrives_in_order<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    for n in 0..1_000 {
        client.publish("t", &numbered(n), QOS0).await.unwrap();
    }
    let frames = world.arrived(PacketType::Publish, 1_000).await;
    for (n, frame) in frames.iter().enumerate() {
        let Packet::Publish(publish) = frame.packet() else {
            unreachable!("asked for");
        };
        assert_eq!(publish.payload, numbered(n));
    }
    world.assert_no_complaints();
}

pub async fn qos_1_completes_with_the_acknowledgement_and_not_before<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let client: A = connect(&world, Setup::default()).await;
    let mut publish = Box::pin(client.publish("t", b"x", QOS1));
    assert_pending(&mut publish).await;
    world.arrived(PacketType::Publish, 1).await;
    assert_pending(&mut publish).await;
    world.broker(|broker| broker.release_acks(LinkId(0), &[0]));
    publish.await.unwrap();
    assert_eq!(client.counts().acknowledged, 1);
}

pub async fn a_window_of_messages_overlaps<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let client: A = connect(&world, Setup::default()).await;
    let mut acks = Vec::new();
    for n in 0..100 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    world.arrived(PacketType::Publish, 100).await;
    world.broker(|broker| broker.release_acks(LinkId(0), &(0..100).collect::<Vec<_>>()));
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(world.broker(|broker| broker.published()), numbers(0..100));
}

pub async fn acknowledgements_in_any_order_settle_their_own_messages<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let client: A = connect(&world, Setup::default()).await;
    let mut first = client.enqueue("t", b"0").await.unwrap();
    let second = client.enqueue("t", b"1").await.unwrap();
    let third = client.enqueue("t", b"2").await.unwrap();
    world.arrived(PacketType::Publish, 3).await;
    world.inject(&[0x40, 2, 0, 3, 0x40, 2, 0, 2]);
    third.await.unwrap();
    second.await.unwrap();
    assert_pending(&mut first).await;
    world.broker(|broker| broker.release_acks(LinkId(0), &[0]));
    first.await.unwrap();
}

pub async fn no_more_than_the_window_is_in_flight<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let setup = Setup {
        in_flight: 3,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut acks = Vec::new();
    for n in 0..7 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    assert_pending(&mut acks[0]).await;
    assert_eq!(sent(&world.frames(0)).len(), 3);
    for (held, arrive) in [(3, 6), (3, 7), (1, 7)] {
        world.broker(|broker| broker.release_acks(LinkId(0), &[0, 1, 2][..held]));
        world.arrived(PacketType::Publish, arrive).await;
    }
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(world.broker(|broker| broker.published()), numbers(0..7));
}

pub async fn a_full_outbox_makes_qos_1_wait<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let setup = Setup {
        outbox: 2,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let first = client.enqueue("t", b"0").await.unwrap();
    let _second = client.enqueue("t", b"1").await.unwrap();
    let mut third = Box::pin(client.enqueue("t", b"2"));
    assert_pending_accept(&mut third).await;
    world.broker(|broker| broker.release_acks(LinkId(0), &[0]));
    first.await.unwrap();
    let _third = third.await.unwrap();
    world.arrived(PacketType::Publish, 3).await;
}

pub async fn what_is_published_before_the_connection_arrives_in_order<A: Adapter>() {
    let world = World::default();
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        in_flight: 4,
        ..Setup::default()
    };
    let client = A::start(&world, setup);
    let mut acks = Vec::new();
    for n in 0..20 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    world.dialed(3).await;
    world.set_down(false);
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(world.broker(|broker| broker.published()), numbers(0..20));
    assert!(
        sent(&world.frames(0))
            .iter()
            .all(|sent| sent.dup == Dup::First)
    );
}

pub async fn flush_waits_for_the_transport<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    client.flush().await.unwrap();
    let mut happenings = listen(&client);
    world.take_nothing();
    // more than the stream between them holds
    for _ in 0..3 {
        let _ack = client.enqueue("t", &[0; 60_000]).await.unwrap();
    }
    {
        let mut flush = Box::pin(client.flush());
        assert_pending(&mut flush).await;
    }
    world.cut();
    happenings.disconnected().await;
}

async fn assert_pending_accept<F: Future + Unpin>(future: &mut F) {
    let outcome = tokio::time::timeout(Duration::from_secs(1), future).await;
    assert!(outcome.is_err(), "accepted");
}
