//! A future may be dropped after any number of polls.
use std::{
    future::{Future, IntoFuture, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use client_tests::{Setup, World};
use mqtt_client::{Client, QoS, source_fn};
use mqtt_codec::wire::PacketType;
use testkit::{AckOrder, LinkId};

use crate::adapter::options;

/// No future here completes only after more polls than this.
const POLLS: usize = 6;

/// Polls as often as it is woken, `polls` times at most, and drops it.
async fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let polling = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(Duration::from_secs(5), polling)
        .await
        .unwrap_or(None)
}

async fn connected(setup: &Setup) -> (World, Client) {
    let world = World::default();
    let client = Client::connect(options(&world, setup)).await.unwrap();
    (world, client)
}

async fn assert_sound(world: &World, client: &Client) {
    let publish = client.publish("sound", "x").qos(QoS::AtLeastOnce);
    publish.await.unwrap();
    client.flush().await.unwrap();
    client.publish("sound", "x").await.unwrap();
    let subscription = client.subscribe("sound", QoS::AtLeastOnce).await.unwrap();
    drop(subscription);
    assert_eq!(client.stats().outbox_messages, 0);
    client.disconnect().await.unwrap();
    world.all_closed().await;
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_publish_leaves_the_connection_sound() {
    for polls in 0..POLLS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let (world, client) = connected(&Setup::default()).await;
            for len in [1, 10_000, 200_000] {
                let payload = vec![7; len];
                poll_at_most(polls, client.publish("t", &payload).qos(qos).into_future()).await;
            }
            assert_sound(&world, &client).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_publish_that_waits_for_room_is_not_sent_and_lets_the_next_one_pass() {
    for polls in 1..POLLS {
        let setup = Setup {
            outbox: 1,
            ..Setup::default()
        };
        let (world, client) = connected(&setup).await;
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let publish = |payload: &'static str| client.publish("t", payload).qos(QoS::AtLeastOnce);
        let first = publish("first").enqueue().await.unwrap();
        let dropped = poll_at_most(polls, publish("dropped").into_future());
        let waits = publish("waits").into_future();
        let (dropped, waited, ()) = tokio::join!(dropped, waits, async {
            world.arrived(PacketType::Publish, 1).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            world.broker(|broker| {
                broker.ack_order = AckOrder::AsReceived;
                broker.release_acks(LinkId(0), &[0]);
            });
        });
        assert!(dropped.is_none());
        waited.unwrap();
        first.await.unwrap();
        assert_eq!(
            world.broker(|broker| broker.published()),
            [&b"first"[..], b"waits"]
        );
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_publish_that_was_accepted_is_sent_all_the_same() {
    for polls in 1..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        poll_at_most(
            polls,
            client.publish("t", "x").qos(QoS::AtLeastOnce).into_future(),
        )
        .await;
        let enqueue = client.publish("t", "y").qos(QoS::AtLeastOnce).enqueue();
        drop(poll_at_most(polls, enqueue).await);
        world
            .until(|broker| (broker.published() == [b"x", b"y"]).then_some(()))
            .await;
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_upload_is_sent_all_the_same() {
    for polls in 1..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        let source = source_fn(100_000, || async {
            Ok(tokio::io::AsyncReadExt::take(tokio::io::repeat(7), 100_000))
        });
        poll_at_most(polls, client.publish_stream("t", source).into_future()).await;
        world
            .until(|broker| (broker.published() == [vec![7; 100_000]]).then_some(()))
            .await;
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscribe_leaves_the_filter_free() {
    for polls in 0..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        drop(poll_at_most(polls, client.subscribe("t", QoS::AtLeastOnce).into_future()).await);
        let mut again = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.publish("t", b"x", QoS::AtLeastOnce));
        assert_eq!(again.next().await.unwrap().unwrap().payload(), b"x");
        drop(again);
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscribe_leaves_a_subscription_that_stood_before_and_what_is_held_for_it() {
    for polls in 1..POLLS {
        for declared in [vec![], vec![("t", QoS::AtLeastOnce)]] {
            let (world, client) = connected(&Setup {
                declared: declared.clone(),
                ..Setup::default()
            })
            .await;
            drop(match declared[..] {
                [] => client.subscribe("t", QoS::AtLeastOnce).await.unwrap(),
                _ => client.stream("t").unwrap(),
            });
            for n in 0..3u8 {
                world.broker(|broker| broker.publish("t", &[n], QoS::AtLeastOnce));
            }
            while client.stats().queued_messages < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // nothing is answered, so that it is dropped before it has completed
            world.broker(|broker| broker.swallows = true);
            let subscribe = client.subscribe("t", QoS::AtLeastOnce).into_future();
            assert!(poll_at_most(polls, subscribe).await.is_none());
            world.broker(|broker| {
                broker.swallows = false;
                broker.forget_session("client");
            });
            let mut stream = client.stream("t").unwrap();
            for n in 0..3u8 {
                assert_eq!(stream.next().await.unwrap().unwrap().payload(), [n]);
            }
            let subscriptions = world.until(|broker| {
                let subscriptions = broker.subscriptions("client");
                (!subscriptions.is_empty()).then_some(subscriptions)
            });
            assert_eq!(subscriptions.await, [("t".into(), QoS::AtLeastOnce)]);
            let types: Vec<_> = (0..world.links())
                .flat_map(|n| world.packet_types(n))
                .collect();
            assert!(!types.contains(&PacketType::Unsubscribe), "{types:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_unsubscribe_is_carried_out_once_it_was_polled() {
    for polls in 1..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        poll_at_most(polls, client.unsubscribe("t").into_future()).await;
        assert!(stream.next().await.is_none());
        assert_eq!(world.broker(|broker| broker.subscriptions("client")), []);
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_flush_or_wait_has_no_effect() {
    for polls in 0..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        let ack = client.publish("t", "x").qos(QoS::AtLeastOnce).enqueue();
        let ack = ack.await.unwrap();
        poll_at_most(polls, client.flush()).await;
        poll_at_most(polls, client.connected()).await;
        poll_at_most(polls, ack).await;
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_no_message() {
    for polls in 0..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        drop(poll_at_most(polls, stream.next()).await);
        for n in 0..3u8 {
            world.broker(|broker| broker.publish("t", &[n], QoS::AtLeastOnce));
        }
        let mut got = Vec::new();
        while got.len() < 3 {
            if let Some(message) = poll_at_most(polls.max(1), stream.next()).await {
                got.push(message.unwrap().unwrap().payload()[0]);
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(got, [0, 1, 2]);
        assert_sound(&world, &client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_disconnect_goes_on() {
    for polls in 1..POLLS {
        let (world, client) = connected(&Setup::default()).await;
        let ack = client.publish("t", "x").qos(QoS::AtLeastOnce).enqueue();
        let ack = ack.await.unwrap();
        drop(poll_at_most(polls, client.disconnect()).await);
        ack.await.unwrap();
        world.all_closed().await;
        let types = world.packet_types(0);
        assert_eq!(types.last(), Some(&PacketType::Disconnect));
        world.assert_no_complaints();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connect_ends_the_client() {
    for polls in 1..POLLS {
        let world = World::default();
        world.broker(|broker| broker.swallows = true);
        drop(poll_at_most(polls, Client::connect(options(&world, &Setup::default()))).await);
        world.all_closed().await;
        assert!(world.links() <= 1);
    }
}
