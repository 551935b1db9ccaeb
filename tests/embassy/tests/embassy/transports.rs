//! Transports that do what they may, and no more.
use std::{cell::Cell, convert::Infallible, future::pending, rc::Rc, time::Duration};

use client_tests::{Setup, World};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_client_embassy::{
    CloseReason, ConnectError, Connector, FirstConnect, Options, PublishError, QoS, Resources,
    Retain, new,
};
use mqtt_codec::wire::{Dup, Packet, PacketType};
use tokio::{
    io::DuplexStream,
    sync::watch,
    task::{spawn_local, yield_now},
    time::{Instant, sleep},
};

use crate::{
    adapter::{Dialler, leak, options},
    client::{M, TestClient, run},
};

/// CONNACK, then PINGRESP for ever: each read finds one.
struct Flood {
    is_open: bool,
}

struct Flooding;

impl Connector for Flooding {
    type Connection<'c> = Flood;

    async fn connect(&mut self) -> Result<Flood, ConnectError> {
        Ok(Flood { is_open: false })
    }
}

impl ErrorType for Flood {
    type Error = Infallible;
}

impl Read for Flood {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        let packet: &[u8] = match self.is_open {
            true => &[0xd0, 0],
            false => &[0x20, 2, 0, 0],
        };
        self.is_open = true;
        out[..packet.len()].copy_from_slice(packet);
        Ok(packet.len())
    }
}

impl Write for Flood {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_without_end_leaves_the_others_their_turn() {
    run(async {
        let resources = leak(Resources::<M, 1, 1, 1, 16, 64, 1>::new());
        let options = leak(Options::new("client"));
        let random: fn() -> u32 = || 0;
        let (client, mut runner) = new(resources, options, Flooding, random).unwrap();
        spawn_local(async move { runner.run().await });
        client.connected().await.unwrap();
        let other = spawn_local(async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
        other.await.unwrap();
        client.disconnect().await;
    })
    .await;
}

/// Reads and writes a byte at a time, never at once, and keeps what is written until it is flushed, as TLS does.
struct Reluctant {
    stream: FromTokio<DuplexStream>,
    kept: Vec<u8>,
}

struct Reluctantly(Dialler);

impl Connector for Reluctantly {
    type Connection<'c> = Reluctant;

    async fn connect(&mut self) -> Result<Reluctant, ConnectError> {
        let stream = self.0.connect().await?;
        let kept = Vec::new();
        Ok(Reluctant { stream, kept })
    }
}

impl ErrorType for Reluctant {
    type Error = std::io::Error;
}

impl Read for Reluctant {
    async fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        yield_now().await;
        let n = out.len().min(1);
        self.stream.read(&mut out[..n]).await
    }
}

impl Write for Reluctant {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        yield_now().await;
        self.kept.push(bytes[0]);
        Ok(1)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        yield_now().await;
        self.stream.write_all(&self.kept).await?;
        self.kept.clear();
        self.stream.flush().await
    }
}

#[tokio::test(start_paused = true)]
async fn short_reads_and_writes_and_what_waits_for_a_flush_are_no_matter() {
    run(async {
        let world = World::default();
        let resources = leak(Resources::<M, 4, 4, 1, 64, 256, 2>::new());
        let options = leak(options(&Setup::default()));
        let random: fn() -> u32 = || 0;
        let connector = Reluctantly(Dialler(world.clone()));
        let (client, mut runner) = new(resources, options, connector, random).unwrap();
        spawn_local(async move { runner.run().await });
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        for len in [0, 1, 60, 700] {
            let payload = vec![7; len];
            world.broker(|broker| broker.publish("in", &payload, QoS::AtLeastOnce));
            let mut message = inbox.next().await.unwrap();
            let mut got = vec![0; len];
            message.read_exact(&mut got).await.unwrap();
            assert!(got == payload);
            client
                .publish_borrowed("out", &payload, Retain::No)
                .await
                .unwrap();
            client
                .publish_at_most_once("out", &payload, Retain::No)
                .await
                .unwrap();
        }
        client.disconnect().await;
        assert_eq!(world.links(), 1);
        assert_eq!(world.broker(|broker| broker.undelivered("client")), 0);
        world.assert_no_complaints();
    })
    .await;
}

/// Passes bytes on, and then, once, never says so.
struct Silent {
    stream: FromTokio<DuplexStream>,
    is_silent: Rc<Cell<bool>>,
}

struct Silencing(Dialler, Rc<Cell<bool>>);

impl Connector for Silencing {
    type Connection<'c> = Silent;

    async fn connect(&mut self) -> Result<Silent, ConnectError> {
        Ok(Silent {
            stream: self.0.connect().await?,
            is_silent: self.1.clone(),
        })
    }
}

impl ErrorType for Silent {
    type Error = std::io::Error;
}

impl Read for Silent {
    async fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(out).await
    }
}

impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write_all(bytes).await?;
        if self.is_silent.take() {
            pending::<()>().await;
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush().await
    }
}

/// [MQTT-3.3.1-1]
#[tokio::test(start_paused = true)]
async fn what_may_have_got_out_with_a_write_that_was_given_up_is_repeated_with_dup() {
    run(async {
        let world = World::default();
        let is_silent = Rc::new(Cell::new(false));
        let resources = leak(Resources::<M, 4, 4, 4, 64, 256, 8>::new());
        let random: fn() -> u32 = || 0;
        let connector = Silencing(Dialler(world.clone()), is_silent.clone());
        let made = new(
            resources,
            leak(options(&Setup::default())),
            connector,
            random,
        );
        let (client, mut runner) = made.unwrap();
        spawn_local(async move { runner.run().await });
        client.connected().await.unwrap();
        is_silent.set(true);
        client.publish("t", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 2);
        let again = world.frames(1);
        let Packet::Publish(publish) = again[1].packet() else {
            panic!("{again:?}");
        };
        assert_eq!(publish.delivery.dup(), Dup::Repeat);
    })
    .await;
}

/// Takes what is written only while its gate is open.
struct Gated {
    stream: FromTokio<DuplexStream>,
    is_open: watch::Receiver<bool>,
}

struct Gate(Dialler, watch::Receiver<bool>);

impl Connector for Gate {
    type Connection<'c> = Gated;

    async fn connect(&mut self) -> Result<Gated, ConnectError> {
        Ok(Gated {
            stream: self.0.connect().await?,
            is_open: self.1.clone(),
        })
    }
}

impl ErrorType for Gated {
    type Error = std::io::Error;
}

impl Read for Gated {
    async fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(out).await
    }
}

impl Write for Gated {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.is_open.wait_for(|is_open| *is_open).await.unwrap();
        self.stream.write(bytes).await
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush().await
    }
}

/// A client with buffers of 256 bytes that is connected through a gate, which is open.
async fn gated(world: &World) -> (TestClient, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(true);
    let resources = leak(Resources::<M, 4, 4, 4, 64, 256, 8>::new());
    let random: fn() -> u32 = || 0;
    let connector = Gate(Dialler(world.clone()), is_open);
    let options = leak(options(&Setup::default()));
    let (client, mut runner) = new(resources, options, connector, random).unwrap();
    spawn_local(async move { runner.run().await });
    client.connected().await.unwrap();
    (client, gate)
}

/// Without DISCONNECT the broker publishes the will.
#[tokio::test(start_paused = true)]
async fn a_drain_limit_that_passes_within_a_write_leaves_time_for_the_last_words() {
    run(async {
        let world = World::default();
        let (client, gate) = gated(&world).await;
        gate.send_replace(false);
        let publish = client.publish_at_most_once("t", &[7; 200], Retain::No);
        publish.await.unwrap();
        let open = async {
            sleep(Duration::from_millis(1_900)).await;
            gate.send_replace(true);
        };
        let limit = embassy_time::Duration::from_secs(1);
        tokio::join!(client.disconnect_within(limit), open);
        world.all_closed().await;
        let last = world.packet_types(0).split_off(1);
        assert_eq!(last, [PacketType::Publish, PacketType::Disconnect]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_takes_nothing_has_a_second_for_the_last_words() {
    run(async {
        let world = World::default();
        let (client, gate) = gated(&world).await;
        gate.send_replace(false);
        let publish = client.publish_at_most_once("t", &[7; 200], Retain::No);
        publish.await.unwrap();
        let before = Instant::now();
        let limit = embassy_time::Duration::from_secs(1);
        client.disconnect_within(limit).await;
        assert_eq!(before.elapsed().as_secs(), 2);
        world.all_closed().await;
        assert_eq!(world.packet_types(0), [PacketType::Connect]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_whose_connection_ends_says_so() {
    run(async {
        let world = World::default();
        let (client, gate) = gated(&world).await;
        gate.send_replace(false);
        client
            .publish_at_most_once("t", b"x", Retain::No)
            .await
            .unwrap();
        let ack = client.enqueue("t", b"y", Retain::No).await.unwrap();
        // the write time-out ends it
        let flushed = client.flush().await;
        assert_eq!(flushed, Err(PublishError::ConnectionLost));
        gate.send_replace(true);
        client.flush().await.unwrap();
        ack.await.unwrap();
        assert_eq!(world.links(), 2);
        assert_eq!(world.broker(|broker| broker.published()), [b"y"]);
        assert_eq!(client.stats().lost_with_connection, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_qos_0_message_that_is_lost_counts() {
    run(async {
        let world = World::default();
        let (client, gate) = gated(&world).await;
        let mut writer = client.publish_writer("t", 400, Retain::No).await.unwrap();
        writer.write_all(&[7; 200]).await.unwrap();
        writer.flush().await.unwrap();
        gate.send_replace(false);
        writer.write_all(&[7; 200]).await.unwrap();
        assert_eq!(writer.flush().await, Err(PublishError::ConnectionLost));
        assert_eq!(client.stats().lost_with_connection, 1);
    })
    .await;
}

/// As a peer that reads nothing before somebody has read what it has sent: takes nothing while that waits.
struct Stubborn {
    stream: FromTokio<DuplexStream>,
    is_stubborn: Rc<Cell<bool>>,
}

struct Stubbornly(Dialler, Rc<Cell<bool>>);

impl Connector for Stubbornly {
    type Connection<'c> = Stubborn;

    async fn connect(&mut self) -> Result<Stubborn, ConnectError> {
        Ok(Stubborn {
            stream: self.0.connect().await?,
            is_stubborn: self.1.clone(),
        })
    }
}

impl ErrorType for Stubborn {
    type Error = std::io::Error;
}

impl Read for Stubborn {
    async fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.stream.read(out).await?;
        self.is_stubborn.set(false);
        Ok(n)
    }
}

impl Write for Stubborn {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_stubborn.get() {
            self.is_stubborn.set(false);
            pending::<()>().await;
        }
        self.stream.write(bytes).await
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush().await
    }
}

/// Client and broker wait for each other: nothing is read while a write is pending.
#[tokio::test(start_paused = true)]
async fn two_that_wait_for_each_other_to_read_go_on_with_another_connection() {
    run(async {
        let world = World::default();
        let is_stubborn = Rc::new(Cell::new(false));
        let resources = leak(Resources::<M, 4, 4, 4, 64, 256, 8>::new());
        let random: fn() -> u32 = || 0;
        let connector = Stubbornly(Dialler(world.clone()), is_stubborn.clone());
        let setup = Setup {
            write_timeout: Duration::from_secs(5),
            ..Setup::default()
        };
        let made = new(resources, leak(options(&setup)), connector, random);
        let (client, mut runner) = made.unwrap();
        spawn_local(async move { runner.run().await });
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        is_stubborn.set(true);
        let before = Instant::now();
        let publish = client.publish_borrowed("t", &[7; 1_000], Retain::No);
        world.broker(|broker| broker.publish("in", b"x", QoS::AtLeastOnce));
        let (published, received) = tokio::join!(publish, inbox.next());
        published.unwrap();
        assert_eq!(received.unwrap().payload(), b"x");
        let waited = before.elapsed();
        assert!(waited >= setup.write_timeout && waited < Duration::from_secs(7));
        assert_eq!(world.links(), 2);
        assert_eq!(world.broker(|broker| broker.published()), [[7; 1_000]]);
        world.assert_no_complaints();
    })
    .await;
}

/// Says that it has moved more than there was, or room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boastful {
    Reading,
    Writing,
}

impl Connector for Boastful {
    type Connection<'c> = Self;

    async fn connect(&mut self) -> Result<Self, ConnectError> {
        Ok(*self)
    }
}

impl ErrorType for Boastful {
    type Error = Infallible;
}

impl Read for Boastful {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        match self {
            Self::Reading => Ok(out.len() + 1),
            Self::Writing => pending().await,
        }
    }
}

impl Write for Boastful {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len() + usize::from(*self == Self::Writing))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_moves_more_than_there_is_has_failed() {
    for boastful in [Boastful::Reading, Boastful::Writing] {
        run(async {
            let resources = leak(Resources::<M, 1, 1, 1, 16, 64>::new());
            let options = leak(Options::new("a").first_connect(FirstConnect::ReturnError));
            let (_client, mut runner) = new(resources, options, boastful, || 1).unwrap();
            let failed = ConnectError::Transport(ErrorKind::Other);
            let closed = runner.run().await;
            assert_eq!(closed, CloseReason::Connect(failed));
            assert_eq!(closed.to_string(), "connection failed: Other");
        })
        .await;
    }
}
