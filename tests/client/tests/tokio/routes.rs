//! Messages for several streams, and for streams that come and go.
use std::{future::IntoFuture, time::Duration};

use client_tests::{Setup, World};
use mqtt_client::{Client, QoS, StreamError, SubscribeError, Subscription, TakeStreamError};
use mqtt_codec::wire::PacketType;
use tokio::time::sleep;

use crate::adapter::{connected, in_time};

const QOS1: QoS = QoS::AtLeastOnce;

async fn next_payload(stream: &mut Subscription) -> Vec<u8> {
    let message = in_time(stream.next()).await.unwrap().unwrap();
    message.payload().to_vec()
}

/// Answers the `n`-th SUBSCRIBE of all connections.
async fn answer_subscribe(world: &World, n: usize, codes: &[u8]) {
    let requests = world.arrived(PacketType::Subscribe, n + 1).await;
    let id = &requests[n].bytes()[2..4];
    let head = [0x90, 2 + codes.len() as u8, id[0], id[1]];
    world.inject(&[&head, codes].concat());
}

/// The broker forgets the session of a client that has sent two SUBSCRIBEs, and answers so to the renewal of both.
async fn lose_session(world: &World, codes: &[u8]) {
    world.broker(|broker| {
        broker.swallows = true;
        broker.forget_session("client");
    });
    world.arrived(PacketType::Connect, 2).await;
    world.inject(&[0x20, 2, 0, 0]);
    answer_subscribe(world, 2, codes).await;
}

/// The stream tells a refusal and ends.
async fn assert_refused(stream: &mut Subscription) {
    let refusal = in_time(stream.next()).await;
    assert!(
        matches!(refusal, Some(Err(StreamError::Refused { .. }))),
        "{refusal:?}"
    );
    assert!(in_time(stream.next()).await.is_none());
}

async fn queued(client: &Client, count: u64) {
    let reached = async {
        while client.stats().queued_messages < count {
            sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(reached).await;
}

/// Nobody reads a stream behind its end: what lay there would hold up the acknowledgement of every later message.
#[tokio::test(start_paused = true)]
async fn a_stream_whose_renewal_was_refused_gets_no_more_messages() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut refused = client.subscribe("a", QOS1).await.unwrap();
    let mut all = client.subscribe("#", QOS1).await.unwrap();
    lose_session(&world, &[0x80, 1]).await;
    assert_refused(&mut refused).await;
    world.inject(b"\x32\x06\x00\x01a\x00\x07x");
    assert_eq!(next_payload(&mut all).await, b"x");
    in_time(world.arrived(PacketType::PubAck, 1)).await;
}

/// It would hold up the acknowledgement of every later message, for the one who reads them.
#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_leaves_unread_is_not_held_for_others_that_have_it() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let sleeps = client.subscribe("t", QOS1).await.unwrap();
    let mut stream = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t", b"0", QOS1));
    queued(&client, 2).await;
    drop(sleeps);
    for n in 1..50 {
        world.broker(|broker| broker.publish("t", n.to_string().as_bytes(), QOS1));
    }
    for n in 0..50 {
        assert_eq!(next_payload(&mut stream).await, n.to_string().as_bytes());
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_leaves_unread_goes_to_the_stream_that_replaces_it() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let old = client.subscribe("t/+", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t/a", b"0", QOS1));
    queued(&client, 1).await;
    let mut new = client.subscribe("t/+", QOS1).await.unwrap();
    drop(old);
    assert_eq!(next_payload(&mut new).await, b"0");
    in_time(world.arrived(PacketType::PubAck, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_renewal_was_refused_gets_nothing_while_its_filter_is_unsubscribed() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut refused = client.subscribe("a", QOS1).await.unwrap();
    let mut all = client.subscribe("#", QOS1).await.unwrap();
    lose_session(&world, &[0x80, 1]).await;
    assert_refused(&mut refused).await;
    let unsubscribed = client.unsubscribe("a").into_future();
    let behind = async {
        world.arrived(PacketType::Unsubscribe, 1).await;
        world.inject(b"\x32\x06\x00\x01a\x00\x07x");
        assert_eq!(next_payload(&mut all).await, b"x");
        in_time(world.arrived(PacketType::PubAck, 1)).await;
    };
    tokio::select! {
        unsubscribed = unsubscribed => panic!("{unsubscribed:?}"),
        () = behind => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_ends_its_stream_though_the_filter_is_granted_to_another() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut old = client.subscribe("a", QOS1).await.unwrap();
    world.broker(|broker| {
        broker.swallows = true;
        broker.forget_session("client");
    });
    world.arrived(PacketType::Connect, 2).await;
    world.inject(&[0x20, 2, 0, 0]);
    world.arrived(PacketType::Subscribe, 2).await;
    let answers = async {
        answer_subscribe(&world, 1, &[0x80]).await;
        answer_subscribe(&world, 2, &[1]).await;
    };
    let new = client.subscribe("a", QOS1).into_future();
    let (new, ()) = in_time(async { tokio::join!(new, answers) }).await;
    let mut new = new.unwrap();
    assert_refused(&mut old).await;
    world.inject(b"\x32\x06\x00\x01a\x00\x07x");
    assert_eq!(next_payload(&mut new).await, b"x");
    in_time(world.arrived(PacketType::PubAck, 1)).await;
}

/// Whoever asks for it otherwise still gets it.
#[tokio::test(start_paused = true)]
async fn a_refused_subscription_gives_back_what_was_held() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    world.broker(|broker| broker.swallows = true);
    world.inject(b"\x32\x06\x00\x01t\x00\x07x");
    queued(&client, 1).await;
    let subscribe = client.subscribe("#", QOS1).into_future();
    let answer = answer_subscribe(&world, 0, &[0x80]);
    let (refused, ()) = in_time(async { tokio::join!(subscribe, answer) }).await;
    assert!(
        matches!(refused, Err(SubscribeError::Refused { granted: None, .. })),
        "{refused:?}"
    );
    sleep(Duration::from_secs(1)).await;
    assert!(!world.packet_types(0).contains(&PacketType::PubAck));
    let mut stream = client.default_stream().unwrap();
    assert_eq!(next_payload(&mut stream).await, b"x");
    in_time(world.arrived(PacketType::PubAck, 1)).await;
}

/// What lay in it would hold up the acknowledgement of every later message.
#[tokio::test(start_paused = true)]
async fn a_declared_stream_that_nobody_took_ends_though_its_filter_is_subscribed_to_again() {
    let world = World::default();
    let setup = Setup {
        declared: vec![("t", QOS1)],
        ..Setup::default()
    };
    let client = connected(&world, &setup).await;
    world.broker(|broker| broker.publish("t", b"old", QOS1));
    queued(&client, 1).await;
    let both = async {
        tokio::join!(
            client.unsubscribe("t").into_future(),
            client.subscribe("t", QOS1).into_future()
        )
    };
    let (unsubscribed, new) = in_time(both).await;
    unsubscribed.unwrap();
    let mut new = new.unwrap();
    world.broker(|broker| broker.publish("t", b"new", QOS1));
    while next_payload(&mut new).await != b"new" {}
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    let taken = client.stream("t");
    assert!(
        matches!(taken, Err(TakeStreamError::Taken { .. })),
        "{taken:?}"
    );
}

/// What is held for nobody stays: there is room beside it.
#[tokio::test(start_paused = true)]
async fn discarding_ends_when_the_default_queue_has_room_again() {
    let world = World::default();
    let setup = Setup {
        queue: 2,
        stall_timeout: Duration::from_secs(1),
        ..Setup::default()
    };
    let client = connected(&world, &setup).await;
    drop(client.subscribe("a", QOS1).await.unwrap());
    drop(client.subscribe("b", QOS1).await.unwrap());
    world.broker(|broker| broker.ack_order = testkit::AckOrder::Held);
    let _ack = client.publish("u", "x").qos(QOS1).enqueue().await.unwrap();
    for (topic, payload) in [("a", b"0"), ("b", b"1"), ("b", b"2")] {
        world.broker(|broker| broker.publish(topic, payload, QOS1));
    }
    while client.stats().discarded_while_stalled == 0 {
        sleep(Duration::from_millis(100)).await;
    }
    let mut stream = client.stream("b").unwrap();
    assert_eq!(next_payload(&mut stream).await, b"1");
    while next_payload(&mut stream).await != b"2" {}
}
