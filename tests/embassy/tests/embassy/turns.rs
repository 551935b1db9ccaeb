//! Whose turn it is to hand something out, and that nobody waits for one who has nothing.
use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};

use client_tests::{Setup, World};
use embedded_io_async::Write;
use mqtt_client_embassy::{Options, PublishError, QoS, Resources, Retain, new};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    adapter::{Dialler, leak, options},
    client::{M, TestClient, run, start_with},
};

/// No ping comes to the help of what was forgotten.
fn setup() -> Setup {
    Setup {
        keep_alive: Duration::from_secs(60_000),
        ..Setup::default()
    }
}

/// A client with a place for each waker, so that nobody is woken without need.
async fn connected(world: &World) -> TestClient {
    connected_with::<8>(world).await
}

/// So many places for wakers.
async fn connected_with<const TASKS: usize>(world: &World) -> TestClient {
    let resources = leak(Resources::<M, 4, 2, 4, 64, 256, TASKS>::new());
    let random: fn() -> u32 = || 0;
    let dialler = Dialler(world.clone());
    let made = new(resources, leak(options(&setup())), dialler, random);
    let (client, mut runner) = made.unwrap();
    spawn_local(async move { runner.run().await });
    client.connected().await.unwrap();
    client
}

/// One whose source does not open a second time, after a cut, and another one behind it.
async fn two_that_supply(world: &World, client: TestClient) {
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    spawn_local(async move {
        let mut is_open = false;
        let open = async || {
            if std::mem::replace(&mut is_open, true) {
                sleep(Duration::from_secs(100_000)).await;
            }
            Ok(&[1_u8; 300][..])
        };
        let mut buffer = [0; 100];
        client
            .publish_source("t", 300, Retain::No, &mut buffer, open)
            .await
    });
    world.arrived(PacketType::Publish, 1).await;
    world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
    world.cut();
    spawn_local(async move { client.publish_borrowed("t", &[2; 300], Retain::No).await });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.links(), 2);
}

async fn soon<F: Future>(future: F) -> F::Output {
    let ended = timeout(Duration::from_secs(5), future).await;
    ended.expect("nothing is forgotten")
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_and_qos_0_pass_those_whose_payload_is_not_there() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        two_that_supply(&world, client).await;
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        drop(soon(inbox.next()).await.unwrap());
        soon(world.arrived(PacketType::PubAck, 1)).await;
        soon(client.publish_at_most_once("now", b"x", Retain::No))
            .await
            .unwrap();
        client
            .disconnect_within(embassy_time::Duration::from_secs(2))
            .await;
        world.all_closed().await;
        let last = world.packet_types(1).pop();
        assert_eq!(last, Some(PacketType::Disconnect));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn those_who_flush_do_not_wake_each_other_for_ever() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        two_that_supply(&world, client).await;
        let polls = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let polls = polls.clone();
            spawn_local(async move {
                let mut flush = pin!(client.flush());
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    match polls.get() {
                        ..10_000 => flush.as_mut().poll(cx).map(drop),
                        _ => Poll::Ready(()),
                    }
                })
                .await;
            });
        }
        sleep(Duration::from_secs(5)).await;
        assert!(polls.get() < 100, "{} polls", polls.get());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_inbox_dropped_after_its_subscription_ended_leaves_nothing_behind() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        for payload in [b"1", b"2"] {
            world.broker(|broker| broker.publish("in", payload, QoS::AtLeastOnce));
        }
        sleep(Duration::from_secs(1)).await;
        client.unsubscribe("in").await.unwrap();
        drop(inbox);
        let undelivered = |broker: &mut testkit::Broker| broker.undelivered("client");
        let settled = world.until(|broker| (undelivered(broker) == 0).then_some(()));
        soon(settled).await;
        let mut other = client.subscribe("other", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.publish("other", b"3", QoS::AtLeastOnce));
        soon(other.next()).await.unwrap();
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_dropped_before_it_ran_ends_the_client() {
    run(async {
        let world = World::default();
        let resources = leak(Resources::<M, 4, 2, 4, 64, 256, 8>::new());
        let random: fn() -> u32 = || 0;
        let made = new(
            resources,
            leak(options(&setup())),
            Dialler(world.clone()),
            random,
        );
        let (client, runner) = made.unwrap();
        drop(runner);
        let ended = soon(client.publish("t", b"x", Retain::No)).await;
        assert_eq!(ended, Err(PublishError::Closed));
    })
    .await;
}

/// Four tasks wait for a message each, for so long; how often they were polled.
async fn polls_of_four<const TASKS: usize>(wait: Duration) -> u64 {
    let world = World::default();
    let client = connected_with::<TASKS>(&world).await;
    let polls = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for filter in ["0", "1", "2", "3"] {
        let mut inbox = client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let polls = polls.clone();
        tasks.push(spawn_local(async move {
            let mut next = pin!(inbox.next());
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                assert!(polls.get() < 100_000, "they spin");
                next.as_mut().poll(cx).map(drop)
            })
            .await;
        }));
    }
    sleep(wait).await;
    let while_waiting = polls.get();
    // each is found by its message
    for filter in ["0", "1", "2", "3"] {
        world.broker(|broker| broker.publish(filter, b"x", QoS::AtLeastOnce));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    while_waiting
}

#[tokio::test(start_paused = true)]
async fn more_tasks_than_places_for_wakers_do_not_spin_and_are_not_forgotten() {
    run(async {
        let minute = Duration::from_secs(60);
        // those without a place look 50 times a second
        let most = |without: u64| without * 60 * 50 + 20;
        let polls = polls_of_four::<1>(minute).await;
        assert!(polls <= most(3), "{polls} polls");
        let polls = polls_of_four::<2>(minute).await;
        assert!(polls <= most(2), "{polls} polls");
        let polls = polls_of_four::<4>(minute).await;
        assert!(polls <= 20, "{polls} polls");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_flushes_does_not_wait_for_those_behind_it() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let ack = client.enqueue("t", b"behind", Retain::No).await.unwrap();
        let mut writer = client.publish_writer("t", 10, Retain::No).await.unwrap();
        for _ in 0..2 {
            writer.write_all(&[7; 5]).await.unwrap();
            soon(writer.flush()).await.unwrap();
        }
        soon(ack).await.unwrap();
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn publishing_waits_for_a_subscription_to_be_asked_for_and_not_for_its_answer() {
    run(async {
        let world = World::default();
        world.broker(|broker| broker.swallows = true);
        let options = Options::new("client").declare(&[("in", QoS::AtLeastOnce)]);
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        world.arrived(PacketType::Connect, 1).await;
        world.inject(&[0x20, 2, 0, 0]);
        world.arrived(PacketType::Subscribe, 1).await;
        let at_most_once = client.publish_at_most_once("t", b"x", Retain::No);
        let published = timeout(Duration::from_secs(1), at_most_once).await;
        published.expect("it waits for the answer").unwrap();
        let _ack = client.enqueue("t", b"y", Retain::No).await.unwrap();
        let arrived = timeout(
            Duration::from_secs(1),
            world.arrived(PacketType::Publish, 2),
        )
        .await;
        arrived.expect("it waits for the answer");
    })
    .await;
}
