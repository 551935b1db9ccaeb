use std::time::Duration;

use super::{QOS1, connect, numbered, numbers};
use crate::{Adapter, Failure, Happening, Setup, World, happenings::listen};

/// A broker that closes on one topic.
fn world() -> World {
    let world = World::default();
    world.broker(|broker| broker.close_on_topic = Some("poison".into()));
    world
}

pub async fn with_a_limit_it_fails_and_those_behind_it_arrive<A: Adapter>() {
    let world = world();
    let setup = Setup {
        max_attempts: Some(3),
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut happenings = listen(&client);
    let poisoned = client.enqueue("poison", b"p").await.unwrap();
    let mut acks = Vec::new();
    for n in 0..50 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    assert_eq!(poisoned.await, Err(Failure::Undeliverable { attempts: 3 }));
    for ack in acks {
        ack.await.unwrap();
    }
    let told = happenings
        .until(|happening| match happening {
            Happening::Undeliverable { topic, attempts } => Some((topic.clone(), *attempts)),
            _ => None,
        })
        .await;
    assert_eq!(told, ("poison".into(), 3));
    let arrived = world.broker(|broker| broker.first_deliveries());
    assert_eq!(arrived.len(), 51);
    assert_eq!(arrived[1..], numbers(0..50));
    world.assert_no_complaints();
}

pub async fn without_a_limit_it_is_told_and_the_backoff_grows<A: Adapter>() {
    let world = world();
    let client: A = connect(&world, Setup::default()).await;
    let mut happenings = listen(&client);
    let mut poisoned = client.enqueue("poison", b"p").await.unwrap();
    let mut longest = Duration::ZERO;
    for expected in 1..=10 {
        let attempts = happenings
            .until(|happening| match happening {
                Happening::Suspect { topic, attempts } if topic == "poison" => Some(*attempts),
                _ => None,
            })
            .await;
        assert_eq!(attempts, expected);
        longest = longest.max(happenings.retry_in().await);
    }
    // 10 random delays that all lie below the first bound: less than one in 10^9
    assert!(longest > Duration::from_millis(500), "{longest:?}");
    super::assert_pending(&mut poisoned).await;
    world.broker(|broker| broker.close_on_topic = None);
    poisoned.await.unwrap();
    client.publish("t", b"x", QOS1).await.unwrap();
}
