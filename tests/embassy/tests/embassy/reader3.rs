//! Found by reading: each test fails until what it names is mended, but those that say that they pass.
use std::time::Duration;

use client_tests::{Setup, World};
use mqtt_client_embassy::QoS;
use tokio::time::{sleep, timeout};

use crate::{
    adapter::options,
    client::{run, start, start_with},
};

#[tokio::test(start_paused = true)]
async fn a_message_of_qos_1_that_is_forgotten_costs_no_more_than_its_place() {
    run(async {
        let world = World::default();
        let (client, _) = start_with::<8, 8, 4, 64, 256>(&world, options(&Setup::default()));
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", b"0", QoS::AtLeastOnce));
        std::mem::forget(inbox.next().await.unwrap());
        for n in 0..60_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
            let next = timeout(Duration::from_secs(600), inbox.next()).await;
            assert!(next.is_ok(), "message {n} does not come");
            sleep(Duration::from_millis(10)).await;
            if n == 3 {
                println!("PUBACKs after 4: {:?}", world.packet_types(0));
            }
        }
    })
    .await;
}

/// What an earlier firmware subscribed to fills the queue of the next one.
#[tokio::test(start_paused = true)]
async fn messages_of_a_subscription_that_is_declared_no_more_do_not_keep_others_away() {
    run(async {
        let world = World::default();
        let setup = |declared| Setup {
            declared,
            ..Setup::default()
        };
        let both = vec![("old", QoS::AtLeastOnce), ("in", QoS::AtLeastOnce)];
        let (earlier, _) = start(&world, &setup(both));
        earlier.connected().await.unwrap();
        earlier.disconnect().await;
        let (client, _) = start(&world, &setup(vec![("in", QoS::AtLeastOnce)]));
        client.connected().await.unwrap();
        let mut inbox = client.inbox("in").unwrap();
        for n in 0..5_u8 {
            world.broker(|broker| broker.publish("old", &[n], QoS::AtLeastOnce));
        }
        sleep(Duration::from_secs(1)).await;
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        let next = timeout(Duration::from_secs(3_600), inbox.next()).await;
        assert!(next.is_ok(), "{:?}", client.stats());
    })
    .await;
}
