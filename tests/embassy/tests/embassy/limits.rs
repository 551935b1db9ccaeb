//! Small capacities work; what is over one is refused by an error that says which, and the client goes on.
use std::{collections::BTreeSet, time::Duration};

use client_tests::{Setup, World};
use embedded_io_async::Write;
use mqtt_client_embassy::{
    CloseReason, ConnectError, ConnectionState, FirstConnect, Limit, Options, OptionsError,
    Oversized, PublishError, QoS, Retain, SessionStart, SubscribeError, Will,
};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;

use crate::{
    adapter::options,
    client::{TestClient, connected, run, start, start_with, try_start_with},
};

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

/// It works, on its first connection.
async fn assert_usable(world: &World, client: TestClient) {
    client.publish("usable", b"x", Retain::No).await.unwrap();
    assert_eq!(world.links(), 1);
    world.assert_no_complaints();
}

/// One place for everything, 20 messages waiting at the broker, and a handler that publishes and awaits.
#[tokio::test(start_paused = true)]
async fn capacities_of_one_suffice() {
    run(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("in", QOS1)],
            ..Setup::default()
        };
        let (earlier, _) = start(&world, &setup);
        earlier.connected().await.unwrap();
        earlier.disconnect().await;
        for n in 0..20_u8 {
            world.broker(|broker| broker.publish("in", &[n], QOS1));
        }
        let (client, _) = start_with::<1, 1, 1, 16, 64>(&world, options(&setup));
        let mut inbox = client.inbox("in").unwrap();
        let mut got = BTreeSet::new();
        while got.len() < 20 {
            let message = inbox.next().await.unwrap();
            client
                .publish("out", message.payload(), Retain::No)
                .await
                .unwrap();
            got.extend(message.payload().to_vec());
        }
        world
            .until(|broker| (broker.undelivered("client") == 0).then_some(()))
            .await;
        let sent = world.broker(|broker| broker.first_deliveries());
        assert_eq!(sent.into_iter().flatten().collect::<BTreeSet<_>>(), got);
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_capacity_of_0_is_a_typed_error() {
    run(async {
        let options = || options(&Setup::default());
        let outbox = Err(PublishError::Limit(Limit::Outbox));

        let world = World::default();
        let (client, _) = start_with::<0, 1, 1, 16, 64>(&world, options());
        client.connected().await.unwrap();
        assert_eq!(client.publish("t", b"x", Retain::No).await, outbox);
        assert_eq!(
            client.enqueue("t", b"x", Retain::No).await.map(drop),
            outbox
        );
        client
            .publish_at_most_once("t", b"x", Retain::No)
            .await
            .unwrap();
        world.arrived(PacketType::Publish, 1).await;

        let world = World::default();
        let (client, _) = start_with::<1, 0, 1, 16, 64>(&world, options());
        client.connected().await.unwrap();
        let refused = client.subscribe("in", QOS1).await;
        assert_eq!(refused.map(drop), Err(SubscribeError::Limit(Limit::Queue)));
        assert_usable(&world, client).await;

        let world = World::default();
        let (client, _) = start_with::<1, 1, 0, 16, 64>(&world, options());
        client.connected().await.unwrap();
        let refused = client.subscribe("in", QOS1).await;
        assert_eq!(
            refused.map(drop),
            Err(SubscribeError::Limit(Limit::Subscriptions))
        );
        assert_usable(&world, client).await;

        let world = World::default();
        let (client, _) = start_with::<1, 1, 1, 0, 64>(&world, options());
        client.connected().await.unwrap();
        assert_eq!(
            client.publish("t", b"x", Retain::No).await,
            Err(PublishError::Limit(Limit::Message))
        );

        let refused = try_start_with::<1, 1, 1, 16, 0>(&world, options());
        let needed = 14 + "client".len();
        let too_small = OptionsError::BufferTooSmall { needed };
        assert_eq!(refused.map(drop), Err(too_small));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_declared_subscription_needs_its_place() {
    run(async {
        let world = World::default();
        let declares = |filters: &'static [(&'static str, QoS)]| Options::new("c").declare(filters);
        let one = declares(&[("a", QOS1)]);
        let none = try_start_with::<1, 1, 0, 16, 64>(&world, one.clone());
        let limit = SubscribeError::Limit(Limit::Subscriptions);
        assert_eq!(none.map(drop), Err(OptionsError::Subscription(limit)));
        let none = try_start_with::<1, 0, 1, 16, 64>(&world, one.clone());
        assert_eq!(none.map(drop), Err(OptionsError::Limit(Limit::Queue)));
        let none = try_start_with::<1, 1, 1, 0, 64>(&world, one);
        assert_eq!(none.map(drop), Err(OptionsError::Limit(Limit::Message)));
        let twice = declares(&[("a", QOS1), ("a", QOS0)]);
        let none = try_start_with::<1, 1, 2, 16, 64>(&world, twice);
        let taken = OptionsError::Subscription(SubscribeError::Taken);
        assert_eq!(none.map(drop), Err(taken));
        let alike = declares(&[("a", QOS1), ("ab", QOS1), ("b", QOS1)]);
        assert!(try_start_with::<1, 1, 3, 16, 64>(&world, alike).is_ok());
        let none = try_start_with::<1, 1, 1, 16, 64>(&world, Options::new(""));
        assert_eq!(none.map(drop), Err(OptionsError::ClientIdRequired));
        assert_eq!(world.links(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_is_told_and_waited_for() {
    run(async {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let client = connected(&world).await;
        let mut acks = Vec::new();
        for n in 0..4_u8 {
            acks.push(client.try_enqueue("t", &[n], Retain::No).unwrap());
        }
        let full = client.try_enqueue("t", &[4], Retain::No);
        assert_eq!(full.map(drop), Err(PublishError::Limit(Limit::Outbox)));
        // no place would do, however long one waits
        assert_eq!(
            client.enqueue("t", &[0; 64], Retain::No).await.map(drop),
            Err(PublishError::Limit(Limit::Message))
        );
        world.arrived(PacketType::Publish, 4).await;
        let release = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.broker(|broker| {
                broker.ack_order = AckOrder::AsReceived;
                broker.release_acks(testkit::LinkId(0), &[0, 1, 2, 3]);
            });
        };
        let (waited, ()) = tokio::join!(client.publish("t", &[4], Retain::No), release);
        waited.unwrap();
        for ack in acks {
            ack.await.unwrap();
        }
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_window_of_0_counts_as_1() {
    run(async {
        let world = World::default();
        let options = options(&Setup::default()).window(0);
        let (client, _) = start_with::<4, 4, 4, 64, 256>(&world, options);
        client.connected().await.unwrap();
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_its_place_is_refused() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let topic = "t".repeat(65);
        let long = client.try_enqueue("t", &[0; 64], Retain::No);
        assert_eq!(long.map(drop), Err(PublishError::Limit(Limit::Message)));
        let fits = client.try_enqueue("t", &[0; 63], Retain::No);
        fits.unwrap().await.unwrap();
        assert_eq!(
            client.publish(&topic, b"", Retain::No).await,
            Err(PublishError::Limit(Limit::Message))
        );
        // at QoS 0 the buffer is the limit: it holds the topic as a whole
        client
            .publish_at_most_once(&topic, b"", Retain::No)
            .await
            .unwrap();
        assert_eq!(
            client
                .publish_at_most_once(&"t".repeat(300), b"", Retain::No)
                .await,
            Err(PublishError::Limit(Limit::Buffer))
        );
        let too_long = Err(PublishError::Limit(Limit::Packet));
        for len in [u32::MAX - 7, u32::MAX - 3, u32::MAX] {
            let writer = client.publish_writer("t", len, Retain::No).await;
            assert_eq!(writer.map(drop), too_long);
            let open = async || Ok(&[7; 10][..]);
            let mut buffer = [0; 10];
            let source = client.publish_source("t", len, Retain::No, &mut buffer, open);
            assert_eq!(source.await, too_long);
        }
        assert!(matches!(
            client.publish("a/#", b"", Retain::No).await,
            Err(PublishError::Topic(_))
        ));
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_incoming_topic_over_the_place_is_passed_over() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in/#", QOS1).await.unwrap();
        let long = format!("in/{}", "x".repeat(62));
        // with a payload that comes in pieces, and over the receive buffer
        for topic in [long.clone(), format!("in/{}", "x".repeat(400))] {
            for len in [0, 1_000] {
                for qos in [QOS0, QOS1] {
                    world.broker(|broker| broker.publish(&topic, &vec![0; len], qos));
                }
            }
        }
        world.broker(|broker| broker.publish("in/short", b"x", QOS1));
        assert_eq!(inbox.next().await.unwrap().topic(), "in/short");
        world
            .until(|broker| (broker.undelivered("client") == 0).then_some(()))
            .await;
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_incoming_topic_over_the_place_closes_if_oversized_messages_do() {
    run(async {
        for qos in [QOS0, QOS1] {
            let world = World::default();
            let options = options(&Setup::default()).max_incoming(1_000, Oversized::Close);
            let (client, runner) = start_with::<4, 4, 4, 64, 256>(&world, options);
            client.connected().await.unwrap();
            let _inbox = client.subscribe("in/#", QOS1).await.unwrap();
            let topic = format!("in/{}", "x".repeat(62));
            world.broker(|broker| broker.publish(&topic, b"x", qos));
            let lost = client.state_changed(client.state()).await;
            assert_eq!(lost, ConnectionState::Connecting);
            assert!(!world.packet_types(0).contains(&PacketType::PubAck));
            runner.abort();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_takes_exactly_what_was_announced() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut writer = client.publish_writer("t", 1_000, Retain::No).await.unwrap();
        writer.write_all(&[1; 900]).await.unwrap();
        assert_eq!(writer.write(&[1; 101]).await, Err(PublishError::TooLong));
        assert_eq!(writer.left(), 100);
        writer.write_all(&[1; 100]).await.unwrap();
        assert_eq!(writer.write(&[1]).await, Err(PublishError::TooLong));
        writer.flush().await.unwrap();
        drop(writer);
        let frames = world.arrived(PacketType::Publish, 1).await;
        assert_eq!(frames[0].bytes().len(), 1 + 2 + 3 + 1_000);
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_holds_no_connect_is_refused() {
    run(async {
        let world = World::default();
        // the first connection of a session that starts clean has no will, and the next ones have
        let options = Options::new("a-board")
            .session_start(SessionStart::CleanSlate)
            .login("user", b"password")
            .will(Will {
                topic: "will",
                payload: b"offline",
                qos: QOS1,
                retain: Retain::No,
            });
        let needed = 2 + 10 + (2 + 7) + (2 + 4) + (2 + 7) + (2 + 4) + (2 + 8);
        let refused = try_start_with::<1, 1, 1, 16, 51>(&world, options.clone());
        let too_small = OptionsError::BufferTooSmall { needed };
        assert_eq!(refused.map(drop), Err(too_small));
        assert_eq!(world.links(), 0);
        let (client, _) = start_with::<1, 1, 1, 16, 52>(&world, options);
        client.connected().await.unwrap();
        assert_eq!(world.frames(1)[0].bytes().len(), 52);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_is_tried_again_or_told() {
    run(async {
        let world = World::default();
        world.set_down(true);
        let once = Options::new("c").first_connect(FirstConnect::ReturnError);
        let (client, _) = start_with::<1, 1, 1, 16, 64>(&world, once);
        let refused = ConnectError::Transport(embedded_io_async::ErrorKind::ConnectionRefused);
        assert_eq!(client.connected().await, Err(CloseReason::Connect(refused)));
        let (client, _) = start_with::<1, 1, 1, 16, 64>(&world, Options::new("c"));
        world.dialed(5).await;
        world.set_down(false);
        client.connected().await.unwrap();
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_taken_once() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let inbox = client.subscribe("in", QOS1).await.unwrap();
        let taken = Err(SubscribeError::Taken);
        assert_eq!(client.subscribe("in", QOS1).await.map(drop), taken);
        assert_eq!(client.inbox("in").map(drop), taken);
        drop(inbox);
        let mut inbox = client.inbox("in").unwrap();
        world.broker(|broker| broker.publish("in", b"x", QOS1));
        assert_eq!(inbox.next().await.unwrap().payload(), b"x");
        assert_eq!(client.inbox("out").map(drop), Err(SubscribeError::Unknown));
        let exactly_once = client.subscribe("q", QoS::ExactlyOnce).await;
        assert_eq!(exactly_once.map(drop), Err(SubscribeError::ExactlyOnce));
        assert!(matches!(
            client.subscribe("a#", QOS1).await,
            Err(SubscribeError::Filter(_))
        ));
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_keeps_to_its_limit_though_the_transport_takes_nothing() {
    run(async {
        let world = World::default();
        let (client, runner) = start(&world, &Setup::default());
        client.connected().await.unwrap();
        world.take_nothing();
        let before = tokio::time::Instant::now();
        let flood = async {
            // more than the stream between them holds, and longer than the client lives
            let sent = client.publish_at_most_once("t", &[0; 200_000], Retain::No);
            assert_eq!(sent.await, Err(PublishError::Closed));
        };
        let stop = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client
                .disconnect_within(embassy_time::Duration::from_secs(3))
                .await;
        };
        tokio::join!(flood, stop);
        assert_eq!(runner.await.unwrap(), CloseReason::Requested);
        assert!(before.elapsed() < Duration::from_secs(6));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_qos_0_message_for_a_full_queue_costs_a_turn_before_it_is_dropped() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QOS0).await.unwrap();
        let flood = |world: &World| {
            for n in 0..100_u8 {
                world.broker(|broker| broker.publish("in", &[n], QOS0));
            }
        };
        // a consumer that keeps up gets all, with half of 4 places for them
        let consumer = tokio::task::spawn_local(async move {
            for n in 0..100_u8 {
                assert_eq!(inbox.next().await.unwrap().payload(), [n]);
            }
            inbox
        });
        flood(&world);
        let mut inbox = consumer.await.unwrap();
        assert_eq!(client.stats().dropped, 0);
        // one that is away gets what there is room for
        flood(&world);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(client.stats().dropped, 98);
        for n in 0..2_u8 {
            assert_eq!(inbox.next().await.unwrap().payload(), [n]);
        }
        assert_usable(&world, client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_subscription_that_is_gone_is_not_given_to_another() {
    run(async {
        let world = World::default();
        let (client, _) = start_with::<1, 2, 1, 16, 64>(&world, options(&Setup::default()));
        client.connected().await.unwrap();
        drop(client.subscribe("old", QOS1).await.unwrap());
        world.broker(|broker| broker.publish("old", b"x", QOS1));
        client.flush().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.set_down(true);
        world.broker(|broker| broker.forget_session("client"));
        world.dialed(2).await;
        // the broker has no session in which there is something to unsubscribe from
        let gone = async {
            client.unsubscribe("old").await.unwrap();
        };
        let back = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.set_down(false);
        };
        tokio::join!(gone, back);
        let mut inbox = client.subscribe("new", QOS1).await.unwrap();
        world.broker(|broker| broker.publish("new", b"y", QOS1));
        assert_eq!(inbox.next().await.unwrap().topic(), "new");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_unacknowledged_when_the_session_resumes_comes_once() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        for n in 0..3_u8 {
            world.broker(|broker| broker.publish("in", &[n], QOS1));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.cut();
        world.dialed(2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for n in 0..3_u8 {
            assert_eq!(inbox.next().await.unwrap().payload(), [n]);
        }
        let next = tokio::time::timeout(Duration::from_secs(5), inbox.next()).await;
        assert!(next.is_err(), "{next:?}");
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
    })
    .await;
}
