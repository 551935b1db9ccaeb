//! What a client that ends, or goes on with another connection, still does.
use std::{cell::Cell, rc::Rc, time::Duration};

use client_tests::{Setup, World};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{
    CloseReason, ConnectError, ConnectionState, Connector, Event, PublishError, QoS, Resources,
    Retain, Runner, new,
};
use mqtt_codec::wire::PacketType;
use tokio::{
    io::DuplexStream,
    sync::mpsc,
    task::{spawn_local, yield_now},
    time::{Instant, sleep, timeout},
};

use crate::{
    adapter::{Dialler, leak, options},
    client::{M, TestClient, connected, run, start},
};

type TestRunner = Runner<'static, M, Dialler, fn() -> u32>;

fn client_and_runner(world: &World) -> (TestClient, TestRunner) {
    let resources = leak(Resources::<M, 4, 4, 4, 64, 256>::new());
    let options = leak(options(&Setup::default()));
    let random: fn() -> u32 = || 0;
    new(resources, options, Dialler(world.clone()), random).unwrap()
}

fn seconds(seconds: u64) -> embassy_time::Duration {
    embassy_time::Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn disconnecting_waits_for_a_writer() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut writer = client.publish_writer("t", 1_000, Retain::No).await.unwrap();
        let writing = async {
            for _ in 0..10 {
                sleep(Duration::from_secs(1)).await;
                writer.write_all(&[7; 100]).await.unwrap();
                writer.flush().await.unwrap();
            }
        };
        tokio::join!(client.disconnect_within(seconds(15)), writing);
        world.all_closed().await;
        let last = world.packet_types(0).split_off(1);
        assert_eq!(last, [PacketType::Publish, PacketType::Disconnect]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_waits_no_longer_than_its_limit_for_a_writer() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut writer = client.publish_writer("t", 1_000, Retain::No).await.unwrap();
        writer.write_all(&[7; 100]).await.unwrap();
        let before = Instant::now();
        client.disconnect_within(seconds(3)).await;
        assert_eq!(before.elapsed().as_secs(), 4);
        let late = writer.write(&[7]).await;
        assert_eq!(late, Err(PublishError::Closed));
        world.all_closed().await;
        assert_eq!(world.packet_types(0), [PacketType::Connect]);
    })
    .await;
}

/// A message that was given up is asked for again by connecting again.
#[tokio::test(start_paused = true)]
async fn a_session_that_goes_on_with_a_new_connection_waits_for_a_writer() {
    run(async {
        let world = World::default();
        let setup = Setup {
            stall_timeout: Duration::from_secs(3),
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        inbox.next().await.unwrap().give_up();
        sleep(Duration::from_secs(1)).await;
        let mut writer = client.publish_writer("t", 1_000, Retain::No).await.unwrap();
        for _ in 0..10 {
            writer.write_all(&[7; 100]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(inbox.next().await.unwrap().payload(), b"x");
        assert_eq!(world.links(), 2);
        world.arrived(PacketType::Publish, 1).await;
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_has_ended_says_why_and_does_not_connect_again() {
    run(async {
        let world = World::default();
        let (client, mut runner) = client_and_runner(&world);
        let (ended, ()) = tokio::join!(runner.run(), client.disconnect());
        assert_eq!(ended, CloseReason::Requested);
        let links = world.links();
        assert_eq!(runner.run().await, CloseReason::Requested);
        assert_eq!(world.links(), links);

        let world = World::default();
        let (client, mut runner) = client_and_runner(&world);
        assert!(timeout(Duration::from_secs(1), runner.run()).await.is_err());
        let dropped = CloseReason::RunnerDropped;
        assert_eq!(client.state(), ConnectionState::Closed(dropped));
        assert_eq!(
            runner.run_with(|_| panic!("nothing happens")).await,
            dropped
        );
        assert_eq!(client.state(), ConnectionState::Closed(dropped));
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_topic_of_a_suspect_is_told_up_to_a_whole_character() {
    run(async {
        let world = World::default();
        let topic = format!("x{}", "ä".repeat(25));
        world.broker(|broker| broker.close_on_topic = Some(topic.clone()));
        let resources = leak(Resources::<M, 1, 1, 1, 64, 48>::new());
        let random: fn() -> u32 = || 0;
        let options = leak(options(&Setup::default()));
        let made = new(resources, options, Dialler(world.clone()), random);
        let (client, mut runner) = made.unwrap();
        let (told, mut suspects) = mpsc::unbounded_channel();
        spawn_local(async move {
            let tell = |event: Event<'_>| {
                if let Event::Suspect { topic, .. } = event {
                    let _ = told.send(topic.to_owned());
                }
            };
            runner.run_with(tell).await
        });
        let _ack = client.try_enqueue(&topic, b"", Retain::No).unwrap();
        assert_eq!(suspects.recv().await.unwrap(), topic[..47]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_is_told_if_it_was_requested_too() {
    run(async {
        let world = World::default();
        let (client, mut runner) = client_and_runner(&world);
        let mut told = Vec::new();
        let ending = async {
            client.connected().await.unwrap();
            client.disconnect().await;
        };
        let observe = |event: Event<'_>| told.push(format!("{event:?}"));
        tokio::join!(runner.run_with(observe), ending);
        assert_eq!(
            told[1..],
            [
                "Disconnected { reason: Requested, retry_in: None }",
                "Closed(Requested)"
            ]
        );
        assert_eq!(client.stats().disconnections, 1);
    })
    .await;
}

/// Takes nothing for so many polls, each of which has it polled again.
struct Hesitant {
    stream: FromTokio<DuplexStream>,
    polls: Rc<Cell<u32>>,
}

struct Hesitating(Dialler, Rc<Cell<u32>>);

impl Connector for Hesitating {
    type Connection<'c> = Hesitant;

    async fn connect(&mut self) -> Result<Hesitant, ConnectError> {
        Ok(Hesitant {
            stream: self.0.connect().await?,
            polls: self.1.clone(),
        })
    }
}

impl ErrorType for Hesitant {
    type Error = std::io::Error;
}

impl Read for Hesitant {
    async fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(out).await
    }
}

impl Write for Hesitant {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        while self.polls.get() > 0 {
            self.polls.set(self.polls.get() - 1);
            yield_now().await;
        }
        self.stream.write(bytes).await
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_not_stuck_when_the_limit_of_disconnect_passes_between_two_looks() {
    for micros in (5_000..6_000).step_by(100) {
        run(async {
            let world = World::default();
            let resources = leak(Resources::<M, 4, 4, 1, 64, 256, 8>::new());
            let options = leak(options(&Setup::default()));
            let random: fn() -> u32 = || 0;
            let polls = Rc::new(Cell::new(0));
            let connector = Hesitating(Dialler(world.clone()), polls.clone());
            let (client, mut runner) = new(resources, options, connector, random).unwrap();
            spawn_local(async move { runner.run().await });
            client.connected().await.unwrap();
            polls.set(200);
            embassy_tests::pass_with_each_reading(100);
            let _ack = client.enqueue("t", b"x", Retain::No).await.unwrap();
            let limit = embassy_time::Duration::from_micros(micros);
            client.disconnect_within(limit).await;
            embassy_tests::pass_with_each_reading(0);
            world.all_closed().await;
            let last = world.packet_types(0).split_off(1);
            assert_eq!(last, [PacketType::Publish, PacketType::Disconnect]);
        })
        .await;
    }
}
