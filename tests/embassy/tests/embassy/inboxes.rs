//! Inboxes that are dropped, or not taken: what becomes of their messages and of their subscriptions.
use std::time::Duration;

use client_tests::{Setup, Start, World};
use mqtt_client_embassy::{Inbox, QoS, Retain, SubscribeError, Unmatched};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{
    task::{JoinHandle, spawn_local},
    time::{sleep, timeout},
};

use crate::{
    adapter::options,
    client::{M, TestClient, connected, poll_at_most, run, start, start_sleeping, start_with},
};

/// Longer than any wait here may be.
const LONG: Duration = Duration::from_secs(60);

type Other = Inbox<'static, M>;

/// A subscription that goes on.
async fn other(client: TestClient) -> Other {
    let other = client.subscribe("other", QoS::AtLeastOnce).await;
    other.unwrap()
}

/// Its messages come, at either QoS.
async fn assert_goes_on(world: &World, other: &mut Other) {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        world.broker(|broker| broker.publish("other", b"x", qos));
        let next = timeout(LONG, other.next()).await;
        assert_eq!(next.expect("it hangs").unwrap().payload(), b"x");
    }
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_of_a_dropped_inbox_leave_the_queue_to_others() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut other = other(client).await;
        let inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        for n in 0..2_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtMostOnce));
        }
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        assert_eq!(client.stats().dropped, 2);
        assert_goes_on(&world, &mut other).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unmatched_qos_0_messages_of_a_dropped_inbox_leave_the_queue_to_others() {
    run(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("old", QoS::AtMostOnce)],
            ..Setup::default()
        };
        let (earlier, _) = start(&world, &setup);
        earlier.connected().await.unwrap();
        earlier.disconnect().await;
        let client = connected(&world).await;
        let mut other = other(client).await;
        let unmatched = client.unmatched().unwrap();
        for n in 0..2_u8 {
            world.broker(|broker| broker.publish("old", &[n], QoS::AtMostOnce));
        }
        sleep(Duration::from_secs(1)).await;
        drop(unmatched);
        assert_eq!(client.stats().dropped, 2);
        assert_goes_on(&world, &mut other).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_of_a_dropped_inbox_do_not_block_a_queue_of_one() {
    run(async {
        let world = World::default();
        let (client, _) = start_with::<1, 1, 2, 64, 256>(&world, options(&Setup::default()));
        client.connected().await.unwrap();
        let mut other = other(client).await;
        let inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", b"0", QoS::AtMostOnce));
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        assert_goes_on(&world, &mut other).await;
        assert_eq!(client.stats().dropped, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_qos_0_message_that_is_arriving_goes_with_its_inbox() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut other = other(client).await;
        let inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        // PUBLISH of 500 bytes, which neither a place nor the buffer holds
        let mut publish = [7; 503];
        publish[..7].copy_from_slice(&[0x30, 0xf4, 0x03, 0, 2, b'i', b'n']);
        let (beginning, rest) = publish.split_at(20);
        world.inject(beginning);
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        world.inject(rest);
        assert_goes_on(&world, &mut other).await;
        assert_eq!(client.stats().dropped, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_qos_0_message_that_nobody_has_begun_goes_with_its_inbox() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut other = other(client).await;
        let inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", &[7; 5_000], QoS::AtMostOnce));
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        assert_goes_on(&world, &mut other).await;
        assert_eq!(client.stats().dropped, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_read_outlives_its_inbox() {
    use embedded_io_async::Read;
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut other = other(client).await;
        let mut inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", &[7; 5_000], QoS::AtMostOnce));
        let mut message = inbox.next().await.unwrap();
        drop(inbox);
        let mut whole = [0; 5_000];
        message.read_exact(&mut whole).await.unwrap();
        assert!(whole == [7; 5_000]);
        drop(message);
        assert_goes_on(&world, &mut other).await;
        assert_eq!(client.stats().dropped, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_are_dropped_until_their_inbox_is_taken() {
    run(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("in", QoS::AtMostOnce)],
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let mut other = other(client).await;
        world.broker(|broker| broker.publish("in", &[0; 5_000], QoS::AtMostOnce));
        for n in 1..10_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtMostOnce));
        }
        assert_goes_on(&world, &mut other).await;
        assert_eq!(client.stats().dropped, 10);
        let mut inbox = client.inbox("in").unwrap();
        world.broker(|broker| broker.publish("in", b"x", QoS::AtMostOnce));
        assert_eq!(inbox.next().await.unwrap().payload(), b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_of_a_subscription_that_ends_with_its_inbox_count_as_dropped() {
    run(async {
        let world = World::default();
        let setup = Setup {
            start: Start::Transient,
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        for n in 0..2_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtMostOnce));
        }
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        assert_eq!(client.stats().dropped, 2);
    })
    .await;
}

/// A transient session, with this subscription.
fn transient(world: &World, declared: Vec<(&'static str, QoS)>) -> TestClient {
    let setup = Setup {
        start: Start::Transient,
        declared,
        ..Setup::default()
    };
    start(world, &setup).0
}

/// Asks for a subscription, and drops it before the runner has had its turn.
async fn subscribe_and_drop(client: TestClient, filter: &'static str) {
    let asked = poll_at_most(1, client.subscribe(filter, QoS::AtLeastOnce));
    assert!(asked.await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_transient_subscription_dropped_while_asked_for_again_is_ended() {
    run(async {
        let world = World::default();
        let client = transient(&world, vec![("in", QoS::AtLeastOnce)]);
        client.connected().await.unwrap();
        subscribe_and_drop(client, "in").await;
        world.arrived(PacketType::Unsubscribe, 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_inbox_taken_anew_and_dropped_does_not_fill_the_queue() {
    run(async {
        let world = World::default();
        let client = transient(&world, vec![]);
        client.connected().await.unwrap();
        let mut other = other(client).await;
        drop(client.subscribe("in", QoS::AtLeastOnce).await.unwrap());
        subscribe_and_drop(client, "in").await;
        world.arrived(PacketType::Unsubscribe, 1).await;
        for n in 0..10_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
        }
        assert_goes_on(&world, &mut other).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_dropped_before_it_was_asked_for_leaves_its_place() {
    run(async {
        let world = World::default();
        let client = transient(&world, vec![]);
        // of four
        for filter in ["a", "b", "c", "d", "e", "f"] {
            subscribe_and_drop(client, filter).await;
        }
        client.connected().await.unwrap();
        let mut other = other(client).await;
        assert_goes_on(&world, &mut other).await;
        let sent = world.packet_types(0);
        assert_eq!(sent[..2], [PacketType::Connect, PacketType::Subscribe]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_under_way_survives_a_lost_session() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let _inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        // within UNSUBSCRIBE
        world.cut_after_input(3);
        let forget = async {
            world.dialed(2).await;
            world.broker(|broker| broker.forget_session("client"));
        };
        let ended = timeout(LONG, client.unsubscribe("in"));
        let (ended, ()) = tokio::join!(ended, forget);
        ended.expect("it hangs").unwrap();
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_ended_between_two_sessions_is_in_neither() {
    for start in [Start::Resume, Start::Transient] {
        run(async {
            let world = World::default();
            let setup = Setup {
                start,
                ..Setup::default()
            };
            let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options(&setup));
            client.connected().await.unwrap();
            // within SUBACK
            world.cut_after_output(3);
            let unsubscribe = async {
                world.all_closed().await;
                world.set_down(true);
                sleep(Duration::from_secs(1)).await;
                world.broker(|broker| broker.forget_session("client"));
                world.set_down(false);
                client.unsubscribe("in").await.unwrap();
            };
            let subscribe = client.subscribe("in", QoS::AtLeastOnce);
            let (subscribed, ()) = tokio::join!(timeout(LONG, subscribe), unsubscribe);
            let error = subscribed.expect("it hangs").map(drop).unwrap_err();
            assert_eq!(error, SubscribeError::Unsubscribed);
            sleep(Duration::from_secs(1)).await;
            let left = world.broker(|broker| broker.subscriptions("client"));
            assert!(left.is_empty(), "{left:?}");
        })
        .await;
    }
}

/// A client of the session of an earlier one, which had another subscription.
async fn after_an_update(world: &World, unmatched: Unmatched) -> TestClient {
    let earlier = connected(world).await;
    for filter in ["old", "other"] {
        drop(earlier.subscribe(filter, QoS::AtLeastOnce).await.unwrap());
    }
    earlier.disconnect().await;
    let setup = Setup {
        declared: vec![("other", QoS::AtLeastOnce)],
        ..Setup::default()
    };
    let options = options(&setup).unmatched(unmatched);
    let (client, _) = start_with::<4, 4, 4, 64, 256>(world, options);
    client.connected().await.unwrap();
    for n in 0..6_u8 {
        world.broker(|broker| broker.publish("old", &[n], QoS::AtLeastOnce));
    }
    sleep(Duration::from_secs(1)).await;
    client
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_declared_fills_the_queue_until_it_is_unsubscribed() {
    run(async {
        let world = World::default();
        let client = after_an_update(&world, Unmatched::Hold).await;
        let mut other = client.inbox("other").unwrap();
        world.broker(|broker| broker.publish("other", b"x", QoS::AtLeastOnce));
        assert!(timeout(LONG, other.next()).await.is_err());
        client.unsubscribe("old").await.unwrap();
        let next = timeout(LONG, other.next()).await;
        assert_eq!(next.expect("it hangs").unwrap().payload(), b"x");
        assert_goes_on(&world, &mut other).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_place_is_for_the_inbox_that_is_taken_meanwhile() {
    run(async {
        let world = World::default();
        let earlier = connected(&world).await;
        for filter in ["first", "second"] {
            drop(earlier.subscribe(filter, QoS::AtLeastOnce).await.unwrap());
        }
        earlier.disconnect().await;
        for topic in ["first", "second"] {
            world.broker(|broker| broker.publish(topic, b"x", QoS::AtLeastOnce));
        }
        let (client, _) = start_with::<1, 1, 2, 64, 256>(&world, options(&Setup::default()));
        client.connected().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let read = async {
            let first = client.unmatched().unwrap().next().await.unwrap();
            assert_eq!(first.topic(), "first");
        };
        let (second, ()) = tokio::join!(client.subscribe("second", QoS::AtLeastOnce), read);
        let mut second = second.unwrap();
        let next = timeout(LONG, second.next()).await;
        assert_eq!(next.expect("it hangs").unwrap().topic(), "second");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_declared_is_no_matter_if_it_is_discarded() {
    run(async {
        let world = World::default();
        let client = after_an_update(&world, Unmatched::Discard).await;
        let mut other = client.inbox("other").unwrap();
        assert_goes_on(&world, &mut other).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}

/// Reads one message in a task of its own, which then waits.
async fn waiting(mut inbox: Other) -> JoinHandle<Vec<u8>> {
    let next = async move { inbox.next().await.unwrap().payload().to_vec() };
    let waiting = spawn_local(next);
    sleep(Duration::from_secs(1)).await;
    waiting
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_unmatched_messages_is_woken_when_an_inbox_leaves_some() {
    run(async {
        let world = World::default();
        let client = start_sleeping(&world);
        let inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        let next = waiting(client.unmatched().unwrap()).await;
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        let next = timeout(LONG, next).await.expect("it hangs");
        assert_eq!(next.unwrap(), b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_another_inbox_is_woken_when_an_inbox_leaves_it_some() {
    run(async {
        let world = World::default();
        let client = start_sleeping(&world);
        let inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        let other = client.subscribe("+", QoS::AtMostOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        sleep(Duration::from_secs(1)).await;
        client.unsubscribe("in").await.unwrap();
        let next = waiting(other).await;
        drop(inbox);
        let next = timeout(LONG, next).await.expect("it hangs");
        assert_eq!(next.unwrap(), b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_several_subscriptions_that_match_the_one_with_the_first_place_gets_the_message() {
    run(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("in", QoS::AtMostOnce), ("#", QoS::AtMostOnce)],
            ..Setup::default()
        };
        let (client, _) = start_with::<4, 4, 2, 64, 256>(&world, options(&setup));
        client.connected().await.unwrap();
        let mut last = client.inbox("#").unwrap();
        let mut first = client.inbox("in").unwrap();
        world.inject(b"\x30\x05\0\x02inx");
        assert_eq!(first.next().await.unwrap().payload(), b"x");
        drop(first);
        client.unsubscribe("in").await.unwrap();
        // in the place that is free by now
        let mut first = client.subscribe("+", QoS::AtMostOnce).await.unwrap();
        world.inject(b"\x30\x05\0\x02iny");
        assert_eq!(first.next().await.unwrap().payload(), b"y");
        assert_eq!(poll_at_most(1, last.next()).await.map(drop), None);
    })
    .await;
}

/// PUBLISH of "x" to "in" at QoS 1.
const AT_QOS_1: &[u8] = b"\x32\x07\0\x02in\0\x09x";

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_answer_that_a_subscription_has_ended_is_dropped() {
    run(async {
        let world = World::default();
        let client = transient(&world, vec![]);
        client.connected().await.unwrap();
        let inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.swallows = true);
        world.inject(AT_QOS_1);
        sleep(Duration::from_secs(1)).await;
        drop(inbox);
        let first = timeout(LONG, world.arrived(PacketType::PubAck, 1)).await;
        first.expect("what waited is kept");
        world.inject(AT_QOS_1);
        let second = timeout(LONG, world.arrived(PacketType::PubAck, 2)).await;
        second.expect("what comes is kept");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_qos_0_message_is_dropped_while_consumers_stall() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        for n in 0..6_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
        }
        let published = timeout(LONG, client.publish("t", b"x", Retain::No)).await;
        published.expect("it hangs").unwrap();
        assert!(client.stats().discarded_while_stalled > 0);
        // there is a place, but most of them wait
        drop(inbox.next().await.unwrap());
        world.broker(|broker| broker.publish("in", &[7; 5_000], QoS::AtMostOnce));
        let published = timeout(LONG, client.publish("t", b"x", Retain::No)).await;
        published.expect("it hangs").unwrap();
        assert_eq!(client.stats().dropped, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_subscription_that_ends_with_a_lost_session_is_dropped() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        drop(client.subscribe("in", QoS::AtLeastOnce).await.unwrap());
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        sleep(Duration::from_secs(1)).await;
        world.set_down(true);
        world.cut();
        world.all_closed().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(poll_at_most(1, client.unsubscribe("in")).await, None);
        world.broker(|broker| broker.forget_session("client"));
        world.set_down(false);
        client.state_changed(client.state()).await;
        let mut unmatched = client.unmatched().unwrap();
        assert!(poll_at_most(1, unmatched.next()).await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_an_earlier_inbox_does_not_settle_the_next_one() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        world.broker(|broker| broker.swallows = true);
        let earlier = spawn_local(client.subscribe("in", QoS::AtLeastOnce));
        let asked = world.arrived(PacketType::Subscribe, 1).await;
        earlier.abort();
        sleep(Duration::from_secs(1)).await;
        let next = spawn_local(client.subscribe("in", QoS::AtLeastOnce));
        sleep(Duration::from_secs(1)).await;
        world.broker(|broker| broker.swallows = false);
        // a refusal
        let id = &asked[0].bytes()[2..4];
        world.inject(&[0x90, 3, id[0], id[1], 0x80]);
        let next = timeout(LONG, next).await.expect("it hangs");
        next.unwrap().unwrap();
        assert_eq!(world.arrived(PacketType::Subscribe, 2).await.len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn qos_0_messages_that_wait_for_a_place_do_not_put_off_the_ack_timeout() {
    run(async {
        let world = World::default();
        let options = options(&Setup::default()).ack_timeout(embassy_time::Duration::from_secs(10));
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        client.connected().await.unwrap();
        let _inbox = client.subscribe("in", QoS::AtMostOnce).await.unwrap();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let _ack = client.enqueue("t", b"x", Retain::No).await.unwrap();
        for _ in 0..15 {
            world.broker(|broker| broker.publish("in", b"x", QoS::AtMostOnce));
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(world.links(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_discarded_when_it_matches_nothing_goes_with_the_inbox_of_the_unmatched() {
    run(async {
        let world = World::default();
        let options = options(&Setup::default()).unmatched(Unmatched::Discard);
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        client.connected().await.unwrap();
        let unmatched = client.unmatched().unwrap();
        world.inject(AT_QOS_1);
        sleep(Duration::from_secs(1)).await;
        assert!(!world.packet_types(0).contains(&PacketType::PubAck));
        drop(unmatched);
        let dropped = timeout(LONG, world.arrived(PacketType::PubAck, 1)).await;
        dropped.expect("it is kept");
        assert_eq!(client.stats().dropped, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_filter_has_no_inbox() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let none = client.inbox("a#").map(drop);
        assert_eq!(none, Err(SubscribeError::Unknown));
    })
    .await;
}
