//! Messages whose topic has no place, and that nobody wants.
use std::time::Duration;

use client_tests::{Setup, World};
use mqtt_client_embassy::{Oversized, QoS, Unmatched};
use mqtt_codec::wire::PacketType;
use tokio::time::sleep;

use crate::{
    adapter::options,
    client::{TestClient, run, start_with},
};

/// Longer than any wait here may be.
const LONG: Duration = Duration::from_secs(60);

/// PUBLISH of a topic longer than a place, at QoS 1 if it has an id.
fn with_a_long_topic(id: Option<u8>) -> Vec<u8> {
    let mut publish = vec![0x30, 2 + 70, 0, 70];
    publish.extend([b'o'; 70]);
    if let Some(id) = id {
        publish[0] |= 2;
        publish[1] += 2;
        publish.extend([0, id]);
    }
    publish
}

/// Messages with a long topic, at either QoS, are acknowledged or counted, and the connection stays.
async fn assert_passed_over(world: &World, client: TestClient) {
    let links = world.links();
    world.inject(&with_a_long_topic(None));
    world.inject(&with_a_long_topic(Some(9)));
    world.arrived(PacketType::PubAck, 1).await;
    sleep(LONG).await;
    assert_eq!(world.links(), links);
    assert_eq!(client.stats().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_discarded_may_have_a_long_topic() {
    run(async {
        let world = World::default();
        let options = options(&Setup::default())
            .unmatched(Unmatched::Discard)
            .max_incoming(1_000, Oversized::Close);
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        client.connected().await.unwrap();
        assert_passed_over(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_still_comes_for_an_ended_subscription_may_have_a_long_topic() {
    run(async {
        let world = World::default();
        let options = options(&Setup::default()).max_incoming(1_000, Oversized::Close);
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        client.connected().await.unwrap();
        drop(client.subscribe("#", QoS::AtLeastOnce).await.unwrap());
        client.unsubscribe("#").await.unwrap();
        assert_passed_over(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_with_a_long_topic_and_no_inbox_count_as_dropped() {
    run(async {
        for has_queue in [true, false] {
            let world = World::default();
            // one that were oversized would end the connection
            let options = options(&Setup::default()).max_incoming(1_000, Oversized::Close);
            let (client, _) = match has_queue {
                true => start_with::<4, 4, 4, 64, 256>(&world, options),
                false => start_with::<4, 0, 0, 64, 256>(&world, options),
            };
            client.connected().await.unwrap();
            world.inject(&with_a_long_topic(None));
            sleep(Duration::from_secs(1)).await;
            assert_eq!(client.stats().dropped, 1);
            assert_eq!(world.links(), 1);
        }
    })
    .await;
}
