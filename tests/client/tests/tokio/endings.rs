//! Everything that waits comes to an end, and nothing goes round in circles.
use std::time::Duration;

use client_tests::{Setup, World};
use mqtt_client::{Client, Event, PublishError, QoS, Retain, StreamError, source_fn};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{io::AsyncReadExt, time::Instant};

use crate::adapter::{connected, in_time, options};

const QOS1: QoS = QoS::AtLeastOnce;

#[tokio::test(start_paused = true)]
async fn without_keep_alive_an_idle_client_sleeps() {
    in_time(async {
        let world = World::default();
        let options = options(&world, &Setup::default()).keep_alive(Duration::ZERO);
        let client = Client::connect(options).await.unwrap();
        // the paused clock moves on only while every task sleeps
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(world.packet_types(0), [PacketType::Connect]);
        client.publish("t", "x").qos(QOS1).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_disconnects() {
    let world = World::default();
    let client = connected(&world, &Setup::default()).await;
    let stream = client.subscribe("t", QOS1).await.unwrap();
    let mut events = client.events();
    drop(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        world.packet_types(0),
        [PacketType::Connect, PacketType::Subscribe],
        "a stream is a handle"
    );
    drop(stream);
    while !matches!(events.recv().await.unwrap(), Event::Closed { .. }) {}
    world.all_closed().await;
    assert_eq!(world.packet_types(0).last(), Some(&PacketType::Disconnect));
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}

#[tokio::test(start_paused = true)]
async fn a_declared_subscription_that_is_refused_ends_its_stream_with_an_error() {
    in_time(async {
        let world = World::default();
        world.broker(|broker| broker.swallows = true);
        let setup = Setup {
            declared: vec![("a", QOS1)],
            ..Setup::default()
        };
        let answer = async {
            world.arrived(PacketType::Connect, 1).await;
            world.inject(&[0x20, 2, 0, 0]);
            let requests = world.arrived(PacketType::Subscribe, 1).await;
            let id = &requests[0].bytes()[2..4];
            world.inject(&[0x90, 3, id[0], id[1], 0x80]);
        };
        let (client, ()) = tokio::join!(connected(&world, &setup), answer);
        let mut stream = client.stream("a").unwrap();
        let end = stream.next().await;
        assert!(
            matches!(end, Some(Err(StreamError::Refused { .. }))),
            "{end:?}"
        );
        assert!(stream.next().await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_while_subscribing_ends_even_if_that_is_refused() {
    in_time(async {
        let world = World::default();
        let client = connected(&world, &Setup::default()).await;
        world.broker(|broker| broker.swallows = true);
        let subscribe = client.subscribe("a", QOS1).into_future();
        let unsubscribe = async {
            let requests = world.arrived(PacketType::Subscribe, 1).await;
            let answer = async {
                tokio::task::yield_now().await;
                let id = &requests[0].bytes()[2..4];
                world.inject(&[0x90, 3, id[0], id[1], 0x80]);
            };
            tokio::join!(client.unsubscribe("a").into_future(), answer).0
        };
        let (subscribed, unsubscribed) = tokio::join!(subscribe, unsubscribe);
        assert!(subscribed.is_err());
        unsubscribed.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_ends_a_stream_though_the_filter_is_subscribed_to_again() {
    in_time(async {
        let world = World::default();
        let client = connected(&world, &Setup::default()).await;
        let mut old = client.subscribe("a", QOS1).await.unwrap();
        world.broker(|broker| broker.swallows = true);
        let unsubscribe = client.unsubscribe("a").into_future();
        let subscribe = async {
            let requests = world.arrived(PacketType::Unsubscribe, 1).await;
            let answer = async {
                // subscribed to again before UNSUBACK
                tokio::task::yield_now().await;
                let id = &requests[0].bytes()[2..4];
                world.inject(&[0xB0, 2, id[0], id[1]]);
                let requests = world.arrived(PacketType::Subscribe, 2).await;
                let id = &requests[1].bytes()[2..4];
                world.inject(&[0x90, 3, id[0], id[1], 1]);
            };
            tokio::join!(client.subscribe("a", QOS1).into_future(), answer).0
        };
        let (unsubscribed, new) = tokio::join!(unsubscribe, subscribe);
        unsubscribed.unwrap();
        assert!(old.next().await.is_none());
        world.inject(b"\x30\x04\x00\x01ax");
        let mut new = new.unwrap();
        assert_eq!(new.next().await.unwrap().unwrap().payload(), b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_given_up_before_it_was_granted_is_unsubscribed() {
    in_time(async {
        let world = World::default();
        let client = connected(&world, &Setup::default()).await;
        world.broker(|broker| broker.swallows = true);
        let cancelled = tokio::time::timeout(
            Duration::from_secs(1),
            client.subscribe("a", QOS1).into_future(),
        );
        assert!(cancelled.await.is_err());
        world.broker(|broker| broker.swallows = false);
        let requests = world.arrived(PacketType::Subscribe, 1).await;
        let id = &requests[0].bytes()[2..4];
        world.inject(&[0x90, 3, id[0], id[1], 1]);
        world.arrived(PacketType::Unsubscribe, 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_frees_a_declared_stream_that_nobody_took() {
    in_time(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("a", QOS1), ("b", QOS1)],
            ..Setup::default()
        };
        let client = connected(&world, &setup).await;
        for topic in ["a", "b"] {
            world.broker(|broker| broker.publish(topic, b"x", QOS1));
        }
        while client.stats().queued_messages < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.unsubscribe("a").await.unwrap();
        assert_eq!(client.stats().queued_messages, 1);
        world
            .until(|broker| (broker.undelivered("client") == 1).then_some(()))
            .await;
        // another one of that name begins anew
        let mut stream = client.subscribe("a", QOS1).await.unwrap();
        client.publish("a", "y").qos(QOS1).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().payload(), b"y");
        let mut other = client.stream("b").unwrap();
        assert_eq!(other.next().await.unwrap().unwrap().payload(), b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_id_used_twice_is_told() {
    in_time(async {
        let world = World::default();
        let setup = Setup {
            client_id: "shared",
            ..Setup::default()
        };
        let one = connected(&world, &setup).await;
        let mut events = one.events();
        let other = connected(&world, &setup).await;
        let told = async {
            let mut closed = 0;
            loop {
                match events.recv().await.unwrap() {
                    Event::Disconnected { .. } => closed += 1,
                    Event::RepeatedlyClosed { times } => return (times, closed),
                    _ => {}
                }
            }
        };
        let (times, closed) = told.await;
        assert_eq!((times, closed), (3, 2));
        drop(other);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_closes_now_and_then_is_no_sign_of_a_client_id_used_twice() {
    in_time(async {
        let world = World::default();
        let client = connected(&world, &Setup::default()).await;
        let mut events = client.events().resubscribe();
        for n in 0..6 {
            // longer than a connection takes to be stable
            tokio::time::sleep(Duration::from_secs(60)).await;
            world.cut();
            loop {
                match events.recv().await.unwrap() {
                    Event::RepeatedlyClosed { times } => panic!("{times}"),
                    Event::Connected { .. } => break,
                    _ => {}
                }
            }
            assert_eq!(world.links(), n + 2);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stalls_fails_alone() {
    in_time(async {
        let world = World::default();
        let options = options(&world, &Setup::default()).write_timeout(Duration::from_secs(2));
        let client = Client::connect(options).await.unwrap();
        // the writing half is never written to, nor dropped
        let source = source_fn(1_000_000, || async {
            let (mut write, read) = tokio::io::duplex(64);
            tokio::io::AsyncWriteExt::write_all(&mut write, b"begins").await?;
            std::mem::forget(write);
            Ok(read.take(2_000_000))
        });
        let begun = Instant::now();
        let upload = client.publish_stream("t", source).into_future();
        let other = client.publish("t", "behind").qos(QOS1).into_future();
        let (upload, other) = tokio::join!(upload, other);
        assert!(matches!(upload, Err(PublishError::Source(_))), "{upload:?}");
        other.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            begun.elapsed()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shorter_disconnect_shortens_a_longer_one() {
    in_time(async {
        let world = World::default();
        let setup = Setup {
            keep_trying: true,
            // no attempt to connect comes before
            backoff: (Duration::from_secs(10_000), Duration::from_secs(10_000)),
            ..Setup::default()
        };
        let client = connected(&world, &setup).await;
        world.set_down(true);
        world.cut();
        let ack = client.publish("t", "x").qos(QOS1).enqueue().await.unwrap();
        let begun = Instant::now();
        let long = client.disconnect_within(Duration::from_secs(1_000));
        let short = async {
            tokio::task::yield_now().await;
            client.disconnect_within(Duration::from_secs(1)).await
        };
        let (long, short) = tokio::join!(long, short);
        assert!(long.is_err() || short.is_err());
        assert!(ack.await.is_err());
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_taken_after_the_end_has_ended() {
    in_time(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("a", QOS1)],
            ..Setup::default()
        };
        let client = connected(&world, &setup).await;
        drop(client.stream("a").unwrap());
        let mut events = client.events();
        client.disconnect().await.unwrap();
        while !matches!(events.recv().await, Ok(Event::Closed { .. })) {}
        assert!(client.stream("a").unwrap().next().await.is_none());
        assert!(client.default_stream().unwrap().next().await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_caller_of_disconnect_learns_what_was_not_delivered() {
    in_time(async {
        let world = World::default();
        let client = connected(&world, &Setup::default()).await;
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let publish = client.publish("t", "x").qos(QOS1).retain();
        let ack = publish.enqueue().await.unwrap();
        let limit = Duration::from_secs(1);
        let (one, other) = tokio::join!(
            client.disconnect_within(limit),
            client.disconnect_within(limit)
        );
        let later = client.disconnect().await;
        for left in [one, other, later] {
            let messages = left.unwrap_err().messages;
            assert_eq!(messages.len(), 1);
            assert_eq!(messages[0].topic, "t");
            assert_eq!(messages[0].payload.as_deref(), Some(&b"x"[..]));
            assert_eq!(messages[0].retain, Retain::Yes);
        }
        assert!(ack.await.is_err());
    })
    .await;
}
