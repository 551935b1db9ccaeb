//! Faults that other clients have or had, as tests of ours.
use std::{future::IntoFuture, time::Duration};

use client_tests::{Setup, World, scenarios};
use mqtt_client::{Client, Event, QoS, source_fn};
use mqtt_codec::wire::{Delivery, Packet, PacketType};
use testkit::AckOrder;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, advance, sleep},
};

use crate::adapter::{Tokio, options};

/// Scenarios that reproduce a fault as they are.
macro_rules! reproduced {
    ($($name:ident => $group:ident::$scenario:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            scenarios::run(scenarios::$group::$scenario::<Tokio>()).await;
        }
    )*};
}

reproduced! {
    rumqttc_what_is_sent_again_carries_dup
        => resuming::a_cut_resends_with_dup_the_same_ids_and_order_before_anything_new;
    rumqttc_an_unacknowledged_subscribe_is_sent_again
        => resuming::an_unacknowledged_subscribe_goes_out_again_with_its_id;
    mqtt5_what_was_never_sent_carries_no_dup => resuming::what_was_never_sent_goes_out_without_dup;
    mqtt5_what_waits_is_bounded => publishing::a_full_outbox_makes_qos_1_wait;
    ntex_acknowledgements_in_another_order_do_not_close
        => publishing::acknowledgements_in_any_order_settle_their_own_messages;
    minimq_a_subscribe_sent_again_carries_no_dup
        => resuming::an_unacknowledged_subscribe_goes_out_again_with_its_id;
    mqtt_async_an_idle_link_is_pinged => keep_alive::an_idle_link_is_kept_by_pings;
    mqtt_async_session_present_is_heeded
        => resuming::a_session_that_is_present_is_not_asked_for_subscriptions_again;
}

async fn connected(setup: &Setup) -> (World, Client) {
    let world = World::default();
    let client = Client::connect(options(&world, setup)).await.unwrap();
    (world, client)
}

#[tokio::test(start_paused = true)]
async fn rumqttc_a_subscribe_takes_no_id_that_a_publish_in_flight_holds() {
    let (world, client) = connected(&Setup::default()).await;
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    for _ in 0..100 {
        let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
        drop(publish.enqueue().await.unwrap());
    }
    for filter in ["a", "b", "c"] {
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    }
    client.unsubscribe("a").await.unwrap();
    world.arrived(PacketType::Publish, 100).await;
    let mut ids: Vec<u16> = world
        .frames(0)
        .iter()
        .filter_map(|frame| match frame.packet() {
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtLeastOnce { id, .. } => Some(id.get()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    for frame in world.frames(0) {
        match frame.packet() {
            Packet::Subscribe(subscribe) => ids.retain(|id| *id != subscribe.id().get()),
            Packet::Unsubscribe(unsubscribe) => ids.retain(|id| *id != unsubscribe.id().get()),
            _ => {}
        }
    }
    assert_eq!(ids.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn rumqttc_a_session_that_is_absent_drops_neither_unacknowledged_nor_unsent_publishes() {
    let setup = Setup {
        in_flight: 1,
        ..Setup::default()
    };
    let (world, client) = connected(&setup).await;
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let mut acks = Vec::new();
    for payload in ["unacknowledged", "unsent", "unsent too"] {
        let publish = client.publish("t", payload).qos(QoS::AtLeastOnce);
        acks.push(publish.enqueue().await.unwrap());
    }
    world.arrived(PacketType::Publish, 1).await;
    world.broker(|broker| {
        broker.ack_order = AckOrder::AsReceived;
        broker.forget_session("client");
    });
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(
        world.broker(|broker| broker.published()),
        [
            &b"unacknowledged"[..],
            b"unacknowledged",
            b"unsent",
            b"unsent too"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn rumqttc_publishing_while_handling_does_not_deadlock() {
    let setup = Setup {
        in_flight: 3,
        outbox: 3,
        queue: 3,
        ..Setup::default()
    };
    let (world, client) = connected(&setup).await;
    let mut stream = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
    let before = Instant::now();
    for n in 0..9u8 {
        world.broker(|broker| broker.publish("in", &[n], QoS::AtMostOnce));
        let message = stream.next().await.unwrap().unwrap();
        assert_eq!(message.payload(), [n]);
        let publish = client
            .publish("out", message.payload())
            .qos(QoS::AtLeastOnce);
        publish.await.unwrap();
    }
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn mqtt_protocol_core_a_connection_lost_inside_a_packet_leaves_nothing_to_the_next() {
    for half in [
        &b"\x32"[..],
        b"\x32\x90",
        b"\x32\x90\x4e\x00\x01t\x00\x01half",
        b"\x20\x02\x00",
    ] {
        let (world, client) = connected(&Setup::default()).await;
        let mut events = client.events().resubscribe();
        world.inject(half);
        while client.stats().bytes_received < 4 + half.len() as u64 {
            sleep(Duration::from_millis(1)).await;
        }
        world.cut();
        while !matches!(events.recv().await.unwrap(), Event::Connected { .. }) {}
        let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
        publish.await.unwrap();
        assert_eq!(world.links(), 2);
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn slow_source(pieces: usize, pause: Duration) -> impl mqtt_client::PayloadSource {
    source_fn(pieces as u64 * 100, move || async move {
        let (mut writer, reader) = tokio::io::duplex(100);
        tokio::spawn(async move {
            for _ in 0..pieces {
                sleep(pause).await;
                // the upload may have been given up
                writer.write_all(&[7; 100]).await.ok();
            }
        });
        Ok(reader)
    })
}

#[tokio::test(start_paused = true)]
async fn ntex_a_ping_that_falls_into_an_upload_does_not_end_keep_alive() {
    let setup = Setup {
        keep_alive: KEEP_ALIVE,
        ..Setup::default()
    };
    let (world, client) = connected(&setup).await;
    // 12 s: the interval ends inside the packet
    let source = slow_source(12, Duration::from_secs(1));
    client.publish_stream("t", source).await.unwrap();
    sleep(5 * KEEP_ALIVE).await;
    assert_eq!(world.links(), 1);
    let pings = world
        .packet_types(0)
        .iter()
        .filter(|&&kind| kind == PacketType::PingReq)
        .count();
    assert!(pings >= 5, "{pings} pings");
    let mut events = client.events();
    world.broker(|broker| broker.swallows = true);
    let before = Instant::now();
    while !matches!(events.recv().await.unwrap(), Event::Disconnected { .. }) {}
    assert!(before.elapsed() <= KEEP_ALIVE * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn ntex_what_is_published_during_an_upload_arrives() {
    let (world, client) = connected(&Setup::default()).await;
    let source = slow_source(10, Duration::from_millis(100));
    let others = async {
        for n in 0..20u8 {
            sleep(Duration::from_millis(50)).await;
            let payload = [n];
            client.publish("t", &payload).await.unwrap();
            let publish = client.publish("t", &payload).qos(QoS::AtLeastOnce);
            drop(publish.enqueue().await.unwrap());
        }
    };
    let upload = client.publish_stream("t", source).into_future();
    let (upload, ()) = tokio::join!(upload, others);
    upload.unwrap();
    world.arrived(PacketType::Publish, 41).await;
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}

#[tokio::test(start_paused = true)]
async fn minimq_a_full_outbox_leaves_room_for_connect_and_subscribe() {
    let setup = Setup {
        in_flight: 4,
        outbox: 4,
        ..Setup::default()
    };
    let (world, client) = connected(&setup).await;
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let mut acks = Vec::new();
    for n in 0..4u8 {
        let payload = [n];
        let publish = client.publish("t", &payload).qos(QoS::AtLeastOnce);
        acks.push(publish.enqueue().await.unwrap());
    }
    client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
    world.cut();
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(world.links(), 2);
}

#[tokio::test(start_paused = true)]
async fn minimq_an_answer_that_lies_in_the_socket_counts_before_the_deadline() {
    let setup = Setup {
        keep_alive: KEEP_ALIVE,
        ..Setup::default()
    };
    let (world, client) = connected(&setup).await;
    world.broker(|broker| broker.swallows = true);
    world.arrived(PacketType::PingReq, 1).await;
    world.inject(&[0xD0, 0]);
    world.broker(|broker| broker.swallows = false);
    // the task sleeps over its deadline, as on a machine that was suspended
    advance(KEEP_ALIVE).await;
    let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
    publish.await.unwrap();
    assert_eq!(world.links(), 1);
}

#[tokio::test(start_paused = true)]
async fn rust_mqtt_and_mqtt_async_a_dropped_send_does_not_desynchronise_the_stream() {
    let (world, client) = connected(&Setup::default()).await;
    let payload = vec![7; 200_000];
    for _ in 0..5 {
        let publish = client.publish("t", &payload).qos(QoS::AtLeastOnce);
        let publish = tokio::time::timeout(Duration::ZERO, publish.into_future());
        // dropped while its bytes are under way
        publish.await.ok();
    }
    let publish = client.publish("t", "last").qos(QoS::AtLeastOnce);
    publish.await.unwrap();
    assert_eq!(world.broker(|broker| broker.published()).len(), 6);
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}

#[tokio::test(start_paused = true)]
async fn mqtt_async_a_subscribe_over_122_bytes_is_well_formed() {
    let (world, client) = connected(&Setup::default()).await;
    for len in [
        100, 121, 122, 123, 124, 200, 16_376, 16_377, 16_378, 16_379, 65_535,
    ] {
        let filter = "f".repeat(len);
        client
            .subscribe(filter.as_str(), QoS::AtLeastOnce)
            .await
            .unwrap();
        client.unsubscribe(filter.as_str()).await.unwrap();
    }
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}
