//! A future may be dropped after any number of polls: what becomes of its message then is what its documentation says.
use std::{future::poll_fn, task::Poll, time::Duration};

use client_tests::{Setup, World};
use embedded_io_async::Read;
use mqtt_client_embassy::{QoS, Retain};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::time::sleep;

use crate::client::{connected, poll_at_most, run, start};

/// No future here completes only after more polls than this.
const POLLS: usize = 40;

/// Longer than a place of the outbox, and than the transmit buffer.
const LONG: [u8; 2_000] = [7; 2_000];

#[tokio::test(start_paused = true)]
async fn a_borrowed_message_dropped_when_it_is_out_awaits_its_acknowledgement() {
    run(async {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let client = connected(&world).await;
        let publish = client.publish_borrowed("t", &LONG, Retain::No);
        assert!(poll_at_most(POLLS, publish).await.is_none());
        world.arrived(PacketType::Publish, 1).await;
        world.broker(|broker| broker.release_acks(testkit::LinkId(0), &[0]));
        world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
        client.publish("after", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 1);
        // all four places are free again
        for _ in 0..4 {
            drop(client.try_enqueue("t", b"x", Retain::No).unwrap());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_message_that_cannot_be_sent_again_starts_the_session_clean() {
    run(async {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let client = connected(&world).await;
        let publish = client.publish_borrowed("t", &LONG, Retain::No);
        assert!(poll_at_most(POLLS, publish).await.is_none());
        world.arrived(PacketType::Publish, 1).await;
        world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
        world.cut();
        client.publish("after", b"x", Retain::No).await.unwrap();
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn waiting_futures_leave_nothing_behind() {
    run(async {
        for polls in 0..10 {
            let world = World::default();
            let (client, _) = start(&world, &Setup::default());
            poll_at_most(polls, client.connected()).await;
            poll_at_most(polls, client.state_changed(client.state())).await;
            poll_at_most(polls, client.flush()).await;
            client.connected().await.unwrap();
            let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
            poll_at_most(polls, inbox.next()).await;
            world.broker(|broker| broker.publish("in", &[5; 1_000], QoS::AtLeastOnce));
            let mut message = match poll_at_most(polls, inbox.next()).await {
                Some(message) => message.unwrap(),
                None => inbox.next().await.unwrap(),
            };
            let mut got: Vec<u8> = Vec::new();
            let mut buffer = [0; 90];
            while got.len() < 1_000 {
                let read = poll_at_most(polls, message.read(&mut buffer)).await;
                let n = match read {
                    Some(n) => n.unwrap(),
                    None => message.read(&mut buffer).await.unwrap(),
                };
                got.extend(&buffer[..n]);
            }
            assert!(got == [5; 1_000]);
            assert_eq!(message.read(&mut buffer).await, Ok(0));
            drop(message);
            client.publish("t", b"x", Retain::No).await.unwrap();
            assert_eq!(world.links(), 1);
            world.assert_no_complaints();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_whose_future_is_dropped_can_be_taken_up() {
    run(async {
        for polls in 0..5 {
            let world = World::default();
            let client = connected(&world).await;
            let done = poll_at_most(polls, client.subscribe("in", QoS::AtLeastOnce)).await;
            let is_done = done.is_some();
            drop(done);
            let mut inbox = match client.inbox("in") {
                Ok(inbox) => inbox,
                Err(_) => client.subscribe("in", QoS::AtLeastOnce).await.unwrap(),
            };
            let subscribed = |broker: &mut testkit::Broker| {
                (broker.subscriptions("client").len() == 1).then_some(())
            };
            world.until(subscribed).await;
            world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
            assert_eq!(inbox.next().await.unwrap().payload(), b"x");
            poll_at_most(polls, client.unsubscribe("in")).await;
            if polls > 0 {
                world
                    .until(|broker| broker.subscriptions("client").is_empty().then_some(()))
                    .await;
            }
            client.publish("t", b"x", Retain::No).await.unwrap();
            if is_done {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_goes_on_without_its_future() {
    run(async {
        let world = World::default();
        let (client, runner) = start(&world, &Setup::default());
        client.connected().await.unwrap();
        poll_at_most(1, client.disconnect()).await;
        assert_eq!(
            runner.await.unwrap(),
            mqtt_client_embassy::CloseReason::Requested
        );
        assert_eq!(world.packet_types(0).last(), Some(&PacketType::Disconnect));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runner_ends_whatever_waits() {
    use mqtt_client_embassy::{CloseReason, ConnectionState, PublishError, SubscribeError};
    run(async {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let (client, runner) = start(&world, &Setup::default());
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        let ack = client.enqueue("t", b"x", Retain::No).await.unwrap();
        world.arrived(PacketType::Publish, 1).await;
        let abort = async { runner.abort() };
        let (acked, next, supplied, ()) = tokio::join!(
            ack,
            inbox.next(),
            client.publish_borrowed("t", &LONG, Retain::No),
            abort
        );
        assert_eq!(acked, Err(PublishError::Closed));
        assert_eq!(next.err(), Some(SubscribeError::Closed));
        assert_eq!(supplied, Err(PublishError::Closed));
        assert_eq!(
            client.state(),
            ConnectionState::Closed(CloseReason::RunnerDropped)
        );
        world.all_closed().await;
    })
    .await;
}

/// What is forgotten is never dropped: nothing may point into it, and nobody may wait for it for ever.
#[tokio::test(start_paused = true)]
async fn forgotten_futures_cost_no_more_than_their_places() {
    run(async {
        let world = World::default();
        let setup = Setup {
            write_timeout: Duration::from_secs(5),
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();

        let mut supplied = Box::pin(client.publish_borrowed("t", &LONG, Retain::No));
        for _ in 0..3 {
            poll_fn(|cx| Poll::Ready(supplied.as_mut().poll(cx).is_ready())).await;
            sleep(Duration::from_millis(1)).await;
        }
        std::mem::forget(supplied);
        // stuck in its midst, it fails alone
        client.publish("after", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 2);

        let writer = client.publish_writer("t", 10, Retain::No).await.unwrap();
        std::mem::forget(writer);
        client.publish("after", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 3);

        world.broker(|broker| broker.publish("in", b"0", QoS::AtMostOnce));
        std::mem::forget(inbox.next().await.unwrap());
        world.broker(|broker| broker.publish("in", b"1", QoS::AtLeastOnce));
        assert_eq!(inbox.next().await.unwrap().payload(), b"1");
        std::mem::forget(client.enqueue("t", b"x", Retain::No).await.unwrap());
        client.publish("after", b"x", Retain::No).await.unwrap();
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_qos_0_message_that_has_to_wait_for_room_is_not_begun() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        // a buffer has 256 bytes
        client
            .publish_at_most_once("first", &[1; 180], Retain::No)
            .await
            .unwrap();
        let second = client.publish_at_most_once("second", &[2; 100], Retain::No);
        assert!(poll_at_most(1, second).await.is_none());
        client.publish("after", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 1);
        assert_eq!(world.arrived(PacketType::Publish, 2).await.len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn payloads_of_several_publishers_do_not_mix() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let (first, second, third) = ([1; 3_000], [2; 3_000], [3; 3_000]);
        let publish = |payload| client.publish_borrowed("t", payload, Retain::No);
        let qos_0 = client.publish_at_most_once("t", &[4; 3_000], Retain::No);
        let (a, b, c, d) = tokio::join!(publish(&first), publish(&second), publish(&third), qos_0);
        for published in [a, b, c, d] {
            published.unwrap();
        }
        let mut arrived = world.broker(|broker| broker.first_deliveries());
        arrived.sort();
        assert!(arrived == [first, second, third]);
        assert_eq!(world.links(), 1);
        world.assert_no_complaints();
    })
    .await;
}

/// The place of a message that is acknowledged goes to the next before its publisher looks again.
#[tokio::test(start_paused = true)]
async fn a_publisher_that_looks_late_does_not_supply_the_next_message() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut late = Box::pin(client.publish_borrowed("t", &[1; 100], Retain::No));
        while world.broker(|broker| broker.published().is_empty()) {
            let polled = poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            sleep(Duration::from_millis(1)).await;
        }
        let mut next = Box::pin(client.publish_borrowed("t", &[2; 100], Retain::No));
        for _ in 0..5 {
            let polled = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
            let looked = poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx))).await;
            if looked.is_ready() {
                break;
            }
            assert!(polled.is_pending());
            sleep(Duration::from_millis(1)).await;
        }
        next.await.unwrap();
        let arrived = world.broker(|broker| broker.published());
        assert!(arrived == [[1; 100], [2; 100]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn behind_a_forgotten_message_the_next_connection_acknowledges() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        for n in 0..3_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
        }
        std::mem::forget(inbox.next().await.unwrap());
        for _ in 1..3 {
            drop(inbox.next().await.unwrap());
        }
        client.publish("t", b"x", Retain::No).await.unwrap();
        assert!(!world.packet_types(0).contains(&PacketType::PubAck));
        world.cut();
        for n in 0..3_u8 {
            assert_eq!(inbox.next().await.unwrap().payload(), [n]);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}
