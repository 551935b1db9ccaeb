//! Messages longer than a place for them.
use std::{cell::RefCell, rc::Rc, time::Duration};

use client_tests::{Setup, World};
use embedded_io_async::Read;
use mqtt_client_embassy::{
    ConnectionState, Dup, Event, Message, Oversized, QoS, ReadError, Resources, Retain, new,
};
use mqtt_codec::wire::PacketType;
use tokio::time::sleep;

use crate::{
    adapter::{Dialler, leak, options},
    client::{M, connected, run, start, start_with},
};

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

async fn read_all(message: &mut Message<'static, M>, piece: usize) -> Result<Vec<u8>, ReadError> {
    let mut all = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        let n = message.read(&mut buffer).await?;
        if n == 0 {
            return Ok(all);
        }
        all.extend(&buffer[..n]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_of_any_length_is_read_whole() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        // a place has 64 bytes, a buffer 256
        for len in [
            0, 1, 61, 62, 63, 64, 100, 250, 251, 252, 253, 254, 255, 256, 400, 50_000,
        ] {
            for qos in [QOS0, QOS1] {
                for piece in [1, 7, 1_000] {
                    let bytes = payload(len);
                    world.broker(|broker| broker.publish("in", &bytes, qos));
                    world.broker(|broker| broker.publish("in", b"behind", QOS1));
                    let mut message = inbox.next().await.unwrap();
                    assert_eq!((message.topic(), message.qos()), ("in", qos));
                    assert_eq!(message.payload_len() as usize, len);
                    assert_eq!(message.payload(), &bytes[..len.min(62)]);
                    assert_eq!(message.is_whole(), len <= 62);
                    assert_eq!(message.offset(), 0);
                    assert!(read_all(&mut message, piece).await.unwrap() == bytes);
                    assert_eq!(message.offset() as usize, len);
                    drop(message);
                    assert_eq!(inbox.next().await.unwrap().payload(), b"behind");
                }
            }
        }
        world
            .until(|broker| (broker.undelivered("client") == 0).then_some(()))
            .await;
        assert_eq!(world.links(), 1);
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_acknowledged_when_it_is_dropped_and_has_arrived() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        for read in [0, 1, 63, 500] {
            world.broker(|broker| broker.publish("in", &payload(5_000), QOS1));
            let mut message = inbox.next().await.unwrap();
            let mut buffer = vec![0; read];
            message.read_exact(&mut buffer).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            assert_eq!(world.broker(|broker| broker.undelivered("client")), 1);
            drop(message);
            // the rest is passed over
            world
                .until(|broker| (broker.undelivered("client") == 0).then_some(()))
                .await;
        }
        client.publish("t", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_the_reading_and_the_message_comes_again() {
    run(async {
        for read in [0, 63, 1_000] {
            let world = World::default();
            let client = connected(&world).await;
            let mut inbox = client.subscribe("in", QOS1).await.unwrap();
            // more than the stream on the way holds
            let bytes = payload(200_000);
            world.broker(|broker| broker.publish("in", &bytes, QOS1));
            let mut message = inbox.next().await.unwrap();
            let mut buffer = vec![0; read];
            message.read_exact(&mut buffer).await.unwrap();
            world.cut();
            let rest = read_all(&mut message, 100).await;
            assert_eq!(rest.map(drop), Err(ReadError::ConnectionLost), "{read}");
            drop(message);
            let mut again = inbox.next().await.unwrap();
            assert_eq!(again.dup(), Dup::Repeat);
            assert!(read_all(&mut again, 100).await.unwrap() == bytes);
            drop(again);
            world
                .until(|broker| (broker.undelivered("client") == 0).then_some(()))
                .await;
            world.assert_no_complaints();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_before_anybody_has_it_is_seen_whole_alone() {
    run(async {
        for cut in [80, 300, 2_000, 4_999] {
            let world = World::default();
            let client = connected(&world).await;
            let mut inbox = client.subscribe("in", QOS1).await.unwrap();
            world.cut_after_output(cut);
            world.broker(|broker| broker.publish("in", &payload(5_000), QOS1));
            world.dialed(2).await;
            let mut message = inbox.next().await.unwrap();
            assert!(read_all(&mut message, 100).await.unwrap() == payload(5_000));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_awaited_in_the_midst_of_one_costs_its_rest_and_does_not_hang() {
    run(async {
        let world = World::default();
        let setup = Setup {
            stall_timeout: Duration::from_secs(3),
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        world.broker(|broker| broker.publish("in", &payload(5_000), QOS1));
        let mut message = inbox.next().await.unwrap();
        let before = tokio::time::Instant::now();
        client.publish("t", b"x", Retain::No).await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(4));
        assert_eq!(
            read_all(&mut message, 100).await.map(drop),
            Err(ReadError::Stalled)
        );
        drop(message);
        let mut again = inbox.next().await.unwrap();
        assert!(read_all(&mut again, 100).await.unwrap() == payload(5_000));
        drop(again);
        world
            .until(|broker| (broker.undelivered("client") == 0).then_some(()))
            .await;
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn other_inboxes_wait_behind_it() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut large = client.subscribe("large", QOS1).await.unwrap();
        let mut small = client.subscribe("small", QOS1).await.unwrap();
        world.broker(|broker| {
            broker.publish("large", &payload(5_000), QOS1);
            broker.publish("small", b"x", QOS1);
        });
        let reading = async {
            let mut message = large.next().await.unwrap();
            sleep(Duration::from_secs(5)).await;
            read_all(&mut message, 100).await.unwrap()
        };
        let (read, waited) = tokio::join!(reading, small.next());
        assert!(read == payload(5_000));
        assert_eq!(waited.unwrap().payload(), b"x");
        assert_eq!(world.arrived(PacketType::PubAck, 2).await.len(), 2);
    })
    .await;
}

/// Each connection brings the message again, in front of the answer.
#[tokio::test(start_paused = true)]
async fn one_that_nobody_reads_yet_does_not_keep_answers_away_for_ever() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        world.broker(|broker| broker.publish("in", &payload(5_000), QOS1));
        for n in 0..5_u8 {
            client.publish("t", &[n], Retain::No).await.unwrap();
        }
        let mut message = inbox.next().await.unwrap();
        assert!(read_all(&mut message, 100).await.unwrap() == payload(5_000));
        drop(message);
        world
            .until(|broker| (broker.undelivered("client") == 0).then_some(()))
            .await;
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_slow_to_open_holds_up_neither_answers_nor_pings() {
    run(async {
        let world = World::default();
        let setup = Setup {
            keep_alive: Duration::from_secs(60),
            write_timeout: Duration::from_secs(5),
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QOS1).await.unwrap();
        let bytes = payload(3_000);
        let open = async || {
            sleep(Duration::from_secs(3_600)).await;
            Ok(&bytes[..])
        };
        let mut buffer = [0; 100];
        let upload = client.publish_source("t", 3_000, Retain::No, &mut buffer, open);
        let others = async {
            for n in 0..3_u8 {
                sleep(Duration::from_secs(1_000)).await;
                world.broker(|broker| broker.publish("in", &[n], QOS1));
                assert_eq!(inbox.next().await.unwrap().payload(), [n]);
                client
                    .publish_at_most_once("now", &[n], Retain::No)
                    .await
                    .unwrap();
                world.arrived(PacketType::PubAck, usize::from(n) + 1).await;
            }
        };
        let (uploaded, ()) = tokio::join!(upload, others);
        uploaded.unwrap();
        assert!(world.broker(|broker| broker.published()) == [bytes]);
        assert_eq!(world.links(), 1);
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_over_is_told_with_its_topic_and_length() {
    run(async {
        let world = World::default();
        let resources = leak(Resources::<M, 4, 4, 4, 64, 256>::new());
        let options = leak(options(&Setup::default()).max_incoming(1_000, Oversized::Acknowledge));
        let random: fn() -> u32 = || 0;
        let made = new(resources, options, Dialler(world.clone()), random);
        let (client, mut runner) = made.unwrap();
        let told = Rc::new(RefCell::new(Vec::new()));
        let events = told.clone();
        tokio::task::spawn_local(async move {
            let tell = |event: Event<'_>| {
                if let Event::Oversized {
                    topic,
                    remaining_length,
                } = event
                {
                    let told = (topic.to_owned(), remaining_length);
                    events.borrow_mut().push(told);
                }
            };
            runner.run_with(tell).await
        });
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in/#", QOS1).await.unwrap();
        // over a place for messages, over the receive buffer, and over the limit
        let (long, endless) = ("x".repeat(62), "x".repeat(400));
        let (long, endless) = (format!("in/{long}"), format!("in/{endless}"));
        world.broker(|broker| {
            broker.publish(&long, b"x", QOS0);
            broker.publish(&long, &[7; 500], QOS1);
            broker.publish(&endless, b"x", QOS1);
            broker.publish("in/much", &[7; 1_000], QOS1);
            broker.publish("in/short", b"x", QOS1);
        });
        assert_eq!(inbox.next().await.unwrap().topic(), "in/short");
        let expected = [
            (long.clone(), 2 + 65 + 1),
            (long, 2 + 65 + 2 + 500),
            (String::new(), 2 + 403 + 2 + 1),
            ("in/much".to_owned(), 2 + 7 + 2 + 1_000),
        ];
        assert_eq!(*told.borrow(), expected);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_qos_0_message_that_is_cut_before_anybody_has_it_counts_as_dropped() {
    run(async {
        let setup = Setup::default();
        // in its place, which is longer than the buffer, and as a stream
        let world = World::default();
        let (client, _) = start_with::<1, 2, 1, 512, 64>(&world, options(&setup));
        let streamed = World::default();
        let (streaming, _) = start(&streamed, &setup);
        for (world, client) in [(world, client), (streamed, streaming)] {
            client.connected().await.unwrap();
            let mut inbox = client.subscribe("in", QOS0).await.unwrap();
            world.cut_after_output(300);
            world.broker(|broker| broker.publish("in", &payload(500), QOS0));
            let lost = client.state_changed(client.state()).await;
            assert_eq!(lost, ConnectionState::Connecting);
            assert_eq!(client.stats().dropped, 1);
            client.connected().await.unwrap();
            // one that is being read is its reader's to miss
            let connected = client.state();
            world.broker(|broker| broker.publish("in", &payload(200_000), QOS0));
            let message = inbox.next().await.unwrap();
            world.cut();
            client.state_changed(connected).await;
            drop(message);
            assert_eq!(client.stats().dropped, 1);
        }
    })
    .await;
}
