//! What becomes of messages that came for a subscription before the broker refused it.
use std::time::Duration;

use client_tests::{Setup, World};
use mqtt_client_embassy::{QoS, SubscribeError, Unmatched};
use tokio::time::{sleep, timeout};

use crate::{
    adapter::options,
    client::{TestClient, run, start, start_with},
};

/// Longer than any wait here may be.
const LONG: Duration = Duration::from_secs(60);

/// Leaves a session with a subscription to `in`, and messages for it.
async fn earlier_run(world: &World) {
    let setup = Setup {
        declared: vec![("in", QoS::AtLeastOnce)],
        ..Setup::default()
    };
    let (earlier, _) = start(world, &setup);
    earlier.connected().await.unwrap();
    earlier.disconnect().await;
    for n in 0..3_u8 {
        world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
    }
}

/// With a queue of 4 and these subscriptions, the first of which is refused.
fn refused(world: &World, declared: &[&'static str], unmatched: Unmatched) -> TestClient {
    world.broker(|broker| broker.refused_filter = Some(declared[0]));
    let setup = Setup {
        declared: declared
            .iter()
            .map(|filter| (*filter, QoS::AtLeastOnce))
            .collect(),
        ..Setup::default()
    };
    let options = options(&setup).unmatched(unmatched);
    start_with::<4, 4, 2, 64, 256>(world, options).0
}

#[tokio::test(start_paused = true)]
async fn messages_go_to_the_next_subscription_if_the_first_is_refused() {
    run(async {
        let world = World::default();
        earlier_run(&world).await;
        let client = refused(&world, &["#", "in"], Unmatched::Hold);
        client.connected().await.unwrap();
        let mut inbox = client.inbox("in").unwrap();
        for n in 0..3_u8 {
            let message = timeout(LONG, inbox.next()).await.expect("it hangs");
            assert_eq!(message.unwrap().payload(), [n]);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_refused_subscription_do_not_go_to_its_successor() {
    run(async {
        let world = World::default();
        earlier_run(&world).await;
        let client = refused(&world, &["#"], Unmatched::Hold);
        client.connected().await.unwrap();
        let ended = client.inbox("#").unwrap().next().await.map(drop);
        assert_eq!(ended, Err(SubscribeError::Refused));
        // in its place
        let mut others = Vec::new();
        for filter in ["other", "another"] {
            others.push(client.subscribe(filter, QoS::AtLeastOnce).await.unwrap());
        }
        for other in &mut others {
            assert!(timeout(LONG, other.next()).await.is_err());
        }
        let mut unmatched = client.unmatched().unwrap();
        for n in 0..3_u8 {
            let message = timeout(LONG, unmatched.next()).await.expect("it hangs");
            assert_eq!(message.unwrap().payload(), [n]);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_refused_subscription_are_discarded_if_unmatched_ones_are() {
    run(async {
        let world = World::default();
        earlier_run(&world).await;
        let client = refused(&world, &["#"], Unmatched::Discard);
        client.connected().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}
