//! Streams end, wake and let go as they should.
use std::{future::IntoFuture, time::Duration};

use client_tests::{Setup, Start, World};
use futures::FutureExt;
use mqtt_client::{Client, QoS, StreamError, Subscription, TryRecvError, Unmatched};
use mqtt_codec::wire::PacketType;
use tokio::time::sleep;

use crate::adapter::{connected, in_time, options};

const QOS1: QoS = QoS::AtLeastOnce;

/// The filter of a refusal.
async fn refusal(stream: &mut Subscription) -> String {
    match in_time(stream.next()).await {
        Some(Err(StreamError::Refused { filter })) => filter.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Answers the `n`-th SUBSCRIBE of all connections.
async fn answer_subscribe(world: &World, n: usize, codes: &[u8]) {
    let requests = world.arrived(PacketType::Subscribe, n + 1).await;
    let id = &requests[n].bytes()[2..4];
    let head = [0x90, 2 + codes.len() as u8, id[0], id[1]];
    world.inject(&[&head, codes].concat());
}

/// A client with a stream on `a` and `b`, whose renewal the broker has answered so; it has read nothing since.
async fn renewed(codes: [u8; 2]) -> (World, Client, Subscription) {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let stream = client.subscribe("a", QOS1).filter("b", QOS1);
    let stream = stream.await.unwrap();
    world.broker(|broker| {
        broker.swallows = true;
        broker.forget_session("client");
    });
    world.arrived(PacketType::Connect, 2).await;
    world.inject(&[0x20, 2, 0, 0]);
    answer_subscribe(&world, 1, &codes).await;
    sleep(Duration::from_secs(1)).await;
    (world, client, stream)
}

#[tokio::test(start_paused = true)]
async fn a_stream_granted_before_the_end_of_the_client_and_polled_after_it_has_ended() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut subscribe = client.subscribe("a", QOS1).into_future();
    assert!((&mut subscribe).now_or_never().is_none());
    sleep(Duration::from_secs(1)).await;
    client.disconnect().await.unwrap();
    let mut stream = subscribe.await.unwrap();
    assert!(in_time(stream.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_not_read_does_not_hide_the_end_of_the_client() {
    let (_world, client, mut stream) = renewed([1, 0x80]).await;
    client.disconnect().await.unwrap();
    assert_eq!(refusal(&mut stream).await, "b");
    assert!(in_time(stream.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn each_refused_filter_is_told_and_the_last_one_ends_the_stream() {
    let (_world, _client, mut stream) = renewed([0x80, 0x80]).await;
    assert_eq!(refusal(&mut stream).await, "a");
    assert_eq!(refusal(&mut stream).await, "b");
    assert!(in_time(stream.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_one_filter_was_refused_and_the_other_is_unsubscribed() {
    let (world, client, mut stream) = renewed([1, 0x80]).await;
    assert_eq!(refusal(&mut stream).await, "b");
    world.inject(b"\x30\x04\x00\x01ax");
    assert_eq!(in_time(stream.next()).await.unwrap().unwrap().topic(), "a");
    let unsubscribe = client.unsubscribe("a").into_future();
    let answer = async {
        let requests = world.arrived(PacketType::Unsubscribe, 1).await;
        let id = &requests[0].bytes()[2..4];
        world.inject(&[0xB0, 2, id[0], id[1]]);
    };
    let (unsubscribed, ()) = in_time(async { tokio::join!(unsubscribe, answer) }).await;
    unsubscribed.unwrap();
    assert!(in_time(stream.next()).await.is_none());
}

/// Nothing else wakes the connection, which waits for room.
#[tokio::test(start_paused = true)]
async fn taking_a_stream_makes_room_for_the_message_that_waits() {
    let world = World::default();
    let setup = Setup {
        queue: 1,
        keep_alive: Duration::ZERO,
        ..Setup::default()
    };
    let client = connected(&world, &setup).await;
    drop(client.subscribe("a", QOS1).await.unwrap());
    drop(client.subscribe("b", QOS1).await.unwrap());
    // no deadline of connecting is left
    sleep(Duration::from_secs(60)).await;
    world.broker(|broker| {
        broker.publish("b", b"x", QOS1);
        broker.publish("a", b"x", QOS1);
    });
    sleep(Duration::from_secs(1)).await;
    let mut stream = client.stream("a").unwrap();
    assert_eq!(in_time(stream.next()).await.unwrap().unwrap().topic(), "a");
}

/// It has room of its own, which says nothing of the consumer.
#[tokio::test(start_paused = true)]
async fn a_qos_0_message_does_not_end_discarding_while_the_consumer_sleeps() {
    let world = World::default();
    let setup = Setup {
        queue: 1,
        stall_timeout: Duration::from_secs(1),
        ..Setup::default()
    };
    let client = connected(&world, &setup).await;
    let mut stream = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.ack_order = testkit::AckOrder::Held);
    let ack = client.publish("u", "x").qos(QOS1).enqueue().await.unwrap();
    for n in 0..2u8 {
        world.broker(|broker| broker.publish("t", &[n], QOS1));
    }
    while client.stats().discarded_while_stalled == 0 {
        sleep(Duration::from_millis(100)).await;
    }
    for n in 2..4u8 {
        world.broker(|broker| broker.publish("t", &[n], QoS::AtMostOnce));
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(world.links(), 1);
    let stats = client.stats();
    assert_eq!((stats.received_qos1, stats.discarded_while_stalled), (2, 1));
    let mut got = Vec::new();
    while !got.contains(&1) {
        let message = in_time(stream.next()).await.unwrap().unwrap();
        got.push(message.payload()[0]);
    }
    assert_eq!(got, [0, 2, 1]);
    assert_eq!(world.links(), 2);
    drop(ack);
}

#[tokio::test(start_paused = true)]
async fn trying_to_receive_tells_nothing_now_from_never_again() {
    let (world, client, mut stream) = renewed([1, 0x80]).await;
    let refused = stream.try_recv();
    assert!(
        matches!(refused, Err(TryRecvError::Stream(_))),
        "{refused:?}"
    );
    let nothing = stream.try_recv();
    assert!(matches!(nothing, Err(TryRecvError::Empty)), "{nothing:?}");
    world.inject(b"\x30\x04\x00\x01ax");
    while client.stats().queued_messages == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stream.try_recv().unwrap().payload(), b"x");
    client.disconnect().await.unwrap();
    let ended = stream.try_recv();
    assert!(matches!(ended, Err(TryRecvError::Ended)), "{ended:?}");
}

/// The message that waited for it is gone with its connection.
#[tokio::test(start_paused = true)]
async fn a_queue_that_held_up_an_earlier_connection_does_not_hold_up_the_next_one() {
    let world = World::default();
    let setup = Setup {
        start: Start::Transient,
        queue: 1,
        stall_timeout: Duration::from_secs(1),
        ..Setup::default()
    };
    let client = connected(&world, &setup).await;
    let _sleeps = client.subscribe("a", QOS1).await.unwrap();
    let mut stream = client.subscribe("b", QOS1).await.unwrap();
    let publish = |topic: &str| {
        for n in 0..2u8 {
            world.broker(|broker| broker.publish(topic, &[n], QOS1));
        }
    };
    publish("a");
    sleep(Duration::from_secs(1)).await;
    world.cut();
    world.dialed(2).await;
    while world.broker(|broker| broker.subscriptions("client").len()) < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    publish("b");
    // its acknowledgement stands behind them
    client.publish("u", "x").qos(QOS1).await.unwrap();
    drop(in_time(stream.next()).await.unwrap().unwrap());
    assert!((&mut Box::pin(stream.next())).now_or_never().is_none());
    sleep(Duration::from_secs(1)).await;
    world.broker(|broker| broker.publish("b", b"later", QOS1));
    let message = in_time(stream.next()).await.unwrap().unwrap();
    assert_eq!(message.payload(), b"later");
}

/// It would hold up the acknowledgement of every later message.
#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_leaves_unread_is_acknowledged_unless_it_is_held() {
    for (start, unmatched, is_default, held) in [
        (Start::Transient, Unmatched::Hold, true, 0),
        (Start::Resume, Unmatched::Hold, true, 1),
        (Start::Resume, Unmatched::Discard, true, 0),
        (Start::Resume, Unmatched::Hold, false, 1),
        (Start::Resume, Unmatched::Discard, false, 0),
    ] {
        let world = World::default();
        let setup = Setup {
            start,
            ..Setup::default()
        };
        let options = options(&world, &setup).unmatched(unmatched);
        let client = Client::connect(options).await.unwrap();
        let stream = match is_default {
            true => client.default_stream().unwrap(),
            false => client.subscribe("t", QOS1).await.unwrap(),
        };
        world.inject(b"\x30\x04\x00\x01tx\x32\x06\x00\x01t\x00\x07x");
        while client.stats().queued_messages < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        drop(stream);
        sleep(Duration::from_secs(1)).await;
        let acknowledged = world.packet_types(0).contains(&PacketType::PubAck);
        let queued = client.stats().queued_messages;
        let what = format!("{start:?}, {unmatched:?}, default: {is_default}");
        assert_eq!((acknowledged, queued), (held == 0, held), "{what}");
        let stats = client.stats();
        assert_eq!(
            stats.dropped_unmatched + stats.given_up + held,
            2,
            "{what}: {stats:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_ends_though_the_filter_is_subscribed_to_again_before_it_is_sent() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut old = client.subscribe("t", QOS1).await.unwrap();
    let both = async {
        tokio::join!(
            client.unsubscribe("t").into_future(),
            client.subscribe("t", QOS1).into_future()
        )
    };
    let (unsubscribed, new) = in_time(both).await;
    unsubscribed.unwrap();
    assert!(in_time(old.next()).await.is_none());
    world.broker(|broker| broker.publish("t", b"x", QOS1));
    let message = in_time(new.unwrap().next()).await.unwrap().unwrap();
    assert_eq!(message.payload(), b"x");
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_ends_though_the_filter_is_subscribed_to_before_and_behind_it() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    world.broker(|broker| broker.swallows = true);
    let behind = async {
        let requests = world.arrived(PacketType::Subscribe, 1).await;
        let answer = async {
            tokio::task::yield_now().await;
            world.broker(|broker| broker.swallows = false);
            let id = &requests[0].bytes()[2..4];
            world.inject(&[0x90, 3, id[0], id[1], 1]);
        };
        tokio::join!(
            client.unsubscribe("t").into_future(),
            client.subscribe("t", QOS1).into_future(),
            answer
        )
    };
    let before = client.subscribe("t", QOS1).into_future();
    let (_, (unsubscribed, new, ())) = in_time(async { tokio::join!(before, behind) }).await;
    unsubscribed.unwrap();
    world.broker(|broker| broker.publish("t", b"x", QOS1));
    let message = in_time(new.unwrap().next()).await.unwrap().unwrap();
    assert_eq!(message.payload(), b"x");
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_is_not_undone_by_a_subscription_that_was_given_up() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let mut old = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.swallows = true);
    let answer = async {
        let requests = world.arrived(PacketType::Unsubscribe, 1).await;
        let mut given_up = client.subscribe("t", QOS1).into_future();
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        world.broker(|broker| broker.swallows = false);
        let id = &requests[0].bytes()[2..4];
        world.inject(&[0xB0, 2, id[0], id[1]]);
    };
    let unsubscribe = client.unsubscribe("t").into_future();
    let (unsubscribed, ()) = in_time(async { tokio::join!(unsubscribe, answer) }).await;
    unsubscribed.unwrap();
    assert!(in_time(old.next()).await.is_none());
    sleep(Duration::from_secs(1)).await;
    let types = world.packet_types(0);
    let is_subscribe = |packet_type: &&PacketType| **packet_type == PacketType::Subscribe;
    assert_eq!(types.iter().filter(is_subscribe).count(), 1, "{types:?}");
}
