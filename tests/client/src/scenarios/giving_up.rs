//! Messages that nobody acknowledges leave the broker's window open.
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{QOS1, connect, numbered, numbers};
use crate::{Adapter, Delivery, Inbox, Setup, Start, World};

/// Messages that the broker sends unacknowledged.
const WINDOW: usize = 5;
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

fn world() -> World {
    let world = World::default();
    world.broker(|broker| broker.max_in_flight = WINDOW);
    world
}

fn setup(start: Start) -> Setup {
    Setup {
        start,
        stall_timeout: STALL_TIMEOUT,
        ..Setup::default()
    }
}

fn publish(world: &World, topic: &str, count: usize) {
    world.broker(|broker| {
        for n in 0..count {
            broker.publish(topic, &numbered(n), QOS1);
        }
    });
}

async fn assert_receives<A: Adapter>(world: &World, client: &A) {
    let mut inbox = client.subscribe("other", QOS1).await.unwrap();
    publish(world, "other", 3 * WINDOW);
    for n in 0..3 * WINDOW {
        assert_eq!(inbox.next().await.unwrap().payload(), numbered(n));
    }
    world.assert_no_complaints();
}

/// UNSUBSCRIBE does not take back what the broker has begun to deliver (section 3.10.4).
pub async fn a_stream_dropped_unread_in_a_transient_session_leaves_the_window_open<A: Adapter>() {
    let world = world();
    let client: A = connect(&world, setup(Start::Transient)).await;
    let inbox = client.subscribe("in", QOS1).await.unwrap();
    publish(&world, "in", 3 * WINDOW);
    sleep(Duration::from_secs(1)).await;
    drop(inbox);
    assert_receives(&world, &client).await;
    assert_eq!(world.links(), 1);
}

/// Nobody will ask for what was held for it, nor for what the broker still delivers.
pub async fn unsubscribing_from_what_has_no_stream_leaves_the_window_open<A: Adapter>() {
    let world = world();
    let client: A = connect(&world, setup(Start::Resume)).await;
    drop(client.subscribe("in", QOS1).await.unwrap());
    publish(&world, "in", 3 * WINDOW);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        world.broker(|broker| broker.undelivered("client")),
        3 * WINDOW
    );
    client.unsubscribe("in").await.unwrap();
    assert_receives(&world, &client).await;
    let undelivered = |broker: &mut testkit::Broker| broker.undelivered("client");
    world
        .until(|broker| (undelivered(broker) == 0).then_some(()))
        .await;
    assert_eq!(world.links(), 1);
}

/// Another subscription, or one of an earlier run, still stands.
pub async fn unsubscribing_keeps_what_is_held_for_others<A: Adapter>() {
    let world = world();
    let earlier: A = connect(&world, setup(Start::Resume)).await;
    drop(earlier.subscribe("old", QOS1).await.unwrap());
    earlier.disconnect(None).await;
    let client: A = connect(&world, setup(Start::Resume)).await;
    drop(client.subscribe("in/#", QOS1).await.unwrap());
    drop(client.subscribe("in/1", QOS1).await.unwrap());
    publish(&world, "old", 1);
    publish(&world, "in/1", 1);
    publish(&world, "in/2", 1);
    sleep(Duration::from_secs(1)).await;
    client.unsubscribe("in/#").await.unwrap();
    let mut rest = client.take_unmatched();
    for topic in ["old", "in/1"] {
        assert_eq!(rest.next().await.unwrap().topic(), topic);
    }
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
}

pub async fn what_a_transient_session_gives_up_leaves_the_window_open<A: Adapter>() {
    let world = world();
    let client: A = connect(&world, setup(Start::Transient)).await;
    let mut inbox = client.subscribe("in", QOS1).await.unwrap();
    inbox.acknowledge_manually();
    publish(&world, "in", 3 * WINDOW);
    for n in 0..3 * WINDOW {
        assert_eq!(inbox.next().await.unwrap().payload(), numbered(n));
    }
    assert_receives(&world, &client).await;
    assert_eq!(world.links(), 1);
}

pub async fn what_a_transient_session_discards_leaves_the_window_open<A: Adapter>() {
    let world = world();
    let setup = Setup {
        queue: 2,
        ..setup(Start::Transient)
    };
    let client: A = connect(&world, setup).await;
    let mut inbox = client.subscribe("in", QOS1).await.unwrap();
    for round in 1..=2 {
        publish(&world, "in", WINDOW);
        // its acknowledgement stands behind them
        client.publish("out", b"x", QOS1).await.unwrap();
        for n in 0..2 {
            assert_eq!(inbox.next().await.unwrap().payload(), numbered(n));
        }
        let nothing_more = timeout(Duration::from_secs(1), inbox.next()).await;
        assert!(nothing_more.is_err());
        let discarded = client.counts().discarded_while_stalled;
        assert_eq!(discarded, round * (WINDOW - 2) as u64);
    }
    drop(inbox);
    assert_receives(&world, &client).await;
    assert_eq!(world.links(), 1);
}

pub async fn what_a_persistent_session_gives_up_comes_again_and_no_faster_than_the_stall_timeout<
    A: Adapter,
>() {
    let world = world();
    let client: A = connect(&world, setup(Start::Resume)).await;
    let mut inbox = client.subscribe("in", QOS1).await.unwrap();
    inbox.acknowledge_manually();
    publish(&world, "in", WINDOW + 1);
    let begun = Instant::now();
    for round in 0..3 {
        for n in 0..WINDOW {
            let message = inbox.next().await.unwrap();
            assert_eq!(message.payload(), numbered(n));
            assert_eq!(message.is_duplicate(), round > 0);
        }
        assert!(begun.elapsed() >= round * STALL_TIMEOUT);
        assert!(begun.elapsed() < round * STALL_TIMEOUT + Duration::from_secs(1));
    }
    assert_eq!(world.links(), 3);
    let mut again = Vec::new();
    while again.len() < WINDOW + 1 {
        let message = inbox.next().await.unwrap();
        again.push(message.payload().to_vec());
        message.ack();
    }
    assert_eq!(again, numbers(0..WINDOW + 1));
    assert_receives(&world, &client).await;
}
