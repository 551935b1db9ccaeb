use std::{collections::BTreeSet, time::Duration};

use tokio::time::sleep;

use super::{QOS0, QOS1, connect, numbered, numbers};
use crate::{Adapter, Delivery, Inbox, Setup, World};

const KEEP_ALIVE: Duration = Duration::from_secs(1);
const QUEUE: usize = 32;

fn setup() -> Setup {
    Setup {
        keep_alive: KEEP_ALIVE,
        stall_timeout: Duration::from_millis(400),
        queue: QUEUE,
        ..Setup::default()
    }
}

/// A broker that sends more unacknowledged than a queue holds.
async fn flooded<A: Adapter>(max_in_flight: usize) -> (World, A, A::Inbox) {
    let world = World::default();
    world.broker(|broker| broker.max_in_flight = max_in_flight);
    let client: A = connect(&world, setup()).await;
    let inbox = client.subscribe("in", QOS1).await.unwrap();
    world.broker(|broker| {
        for n in 0..200 {
            for _ in 0..50 {
                broker.publish("in", b"qos 0", QOS0);
            }
            broker.publish("in", &numbered(n), QOS1);
        }
    });
    (world, client, inbox)
}

pub async fn a_full_queue_does_not_block_acknowledgements<A: Adapter>() {
    let (world, client, _inbox) = flooded::<A>(20).await;
    for n in 0..100 {
        client.publish("out", &numbered(n), QOS1).await.unwrap();
    }
    let mut published = world.broker(|broker| broker.first_deliveries());
    published.retain(|payload| numbers(0..100).contains(payload));
    assert_eq!(published, numbers(0..100));
    assert_eq!(world.links(), 1);
}

pub async fn a_consumer_that_awaits_publishes_gets_every_qos_1_message<A: Adapter>() {
    // within the broker's window, and beyond it
    for max_in_flight in [20, 65_535] {
        let (world, client, mut inbox) = flooded::<A>(max_in_flight).await;
        for n in 0..100 {
            client.publish("out", &numbered(n), QOS1).await.unwrap();
        }
        assert_gets_all(&world, &mut inbox).await;
    }
}

pub async fn a_sleeping_consumer_keeps_the_link_and_gets_every_qos_1_message<A: Adapter>() {
    for max_in_flight in [20, 65_535] {
        let (world, _client, mut inbox) = flooded::<A>(max_in_flight).await;
        sleep(3 * KEEP_ALIVE).await;
        assert_eq!(world.links(), 1, "window {max_in_flight}");
        assert_gets_all(&world, &mut inbox).await;
    }
}

async fn assert_gets_all(world: &World, inbox: &mut impl Inbox) {
    let all: BTreeSet<Vec<u8>> = numbers(0..200).into_iter().collect();
    let mut got = BTreeSet::new();
    while got.len() < all.len() {
        let message = inbox.next().await.unwrap();
        if message.payload() != b"qos 0" {
            got.insert(message.payload().to_vec());
        }
    }
    assert_eq!(got, all);
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
    world.assert_no_complaints();
}
