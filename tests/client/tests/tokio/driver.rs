//! The driver's turns: what is looked at when, and what must not be forgotten between two of them.
use std::{
    future::{Future, IntoFuture},
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use client_tests::{Setup, Start, World};
use mqtt_client::{Address, Client, QoS, source_fn};
use mqtt_codec::wire::{Packet, PacketId, PacketType};
use testkit::AckOrder;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, DuplexStream, ReadBuf},
    time::{advance, timeout},
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

/// Waits, but not until timers of the connection mend what was forgotten.
async fn soon<F: Future>(future: F) -> F::Output {
    let ended = timeout(Duration::from_secs(5), future).await;
    ended.expect("nothing is forgotten")
}

/// Publishes when it is woken, which may be in the midst of the driver's turn.
struct Publisher(Client);

impl Wake for Publisher {
    fn wake(self: Arc<Self>) {
        let publish = self.0.publish("t", "woken").qos(QOS1);
        drop(publish.try_enqueue().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_during_the_drivers_turn_wakes_it_again() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    let mut flush = pin!(client.flush());
    let waker = Waker::from(Arc::new(Publisher(client.clone())));
    assert!(
        flush
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    soon(world.arrived(PacketType::Publish, 1)).await;
    soon(flush).await.unwrap();
}

/// A stream that, once busy, always has another message to read.
struct Busy {
    stream: DuplexStream,
    is_busy: Arc<AtomicBool>,
}

impl AsyncRead for Busy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_busy.load(Ordering::Relaxed) {
            buffer.put_slice(b"\x30\x04\x00\x01tx");
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Busy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn timers_are_looked_at_while_there_is_always_more_to_read() {
    let world = World::default();
    let is_busy = Arc::new(AtomicBool::new(false));
    let setup = Setup {
        keep_alive: Duration::from_secs(10),
        ..Setup::default()
    };
    let (dialing, busy) = (world.clone(), Arc::clone(&is_busy));
    let options = options(&world, &setup).connector(move |_: Address| {
        let stream = dialing.dial().map(|stream| Busy {
            stream,
            is_busy: Arc::clone(&busy),
        });
        async { stream }
    });
    let client = Client::connect(options).await.unwrap();
    is_busy.store(true, Ordering::Relaxed);
    // wakes the driver, which does not sleep from here on
    client.publish("t", "x").await.unwrap();
    for _ in 0..20 {
        advance(Duration::from_secs(1)).await;
    }
    let types = world.packet_types(0);
    let pings = types.iter().filter(|&&kind| kind == PacketType::PingReq);
    assert!(pings.count() >= 1, "{types:?}");
    is_busy.store(false, Ordering::Relaxed);
}

#[tokio::test(start_paused = true)]
async fn disconnect_leaves_a_transport_that_keeps_bytes_back() {
    let world = World::default();
    let dialing = world.clone();
    let options = options(&world, &Setup::default()).connector(move |_: Address| {
        let stream = dialing.dial().map(BufWriter::new);
        async { stream }
    });
    let client = Client::connect(options).await.unwrap();
    client.publish("t", "x").qos(QOS1).await.unwrap();
    soon(client.disconnect()).await.unwrap();
    soon(world.all_closed()).await;
    assert_eq!(world.packet_types(0).last(), Some(&PacketType::Disconnect));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_at_the_address_where_it_was_wiped() {
    let world = World::default();
    let setup = Setup {
        start: Start::CleanSlate,
        ..Setup::default()
    };
    let tried = Arc::new(Mutex::new(Vec::new()));
    let (dialing, trying) = (world.clone(), Arc::clone(&tried));
    let options = options(&world, &setup)
        .address(Address::tcp("second.test", 1883).unwrap())
        .connector(move |address: Address| {
            trying.lock().unwrap().push(address.to_string());
            let stream = dialing.dial();
            async { stream }
        });
    let client = soon(Client::connect(options)).await.unwrap();
    assert_eq!(
        *tried.lock().unwrap(),
        ["mqtt://broker.test:1883", "mqtt://broker.test:1883"]
    );
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_buffer_is_read_when_reading_goes_on_after_a_stall() {
    let world = World::default();
    let setup = Setup {
        queue: 1,
        stall_timeout: Duration::from_secs(1),
        ..Setup::default()
    };
    let client = Client::connect(options(&world, &setup)).await.unwrap();
    let _sleeping = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let ack = client.publish("u", "x").qos(QOS1).enqueue().await.unwrap();
    let sent = world.arrived(PacketType::Publish, 1).await;
    // the id stands before the payload of one byte
    let [.., high, low, _] = sent[0].bytes() else {
        unreachable!("a PUBLISH at QoS 1")
    };
    // one for the queue, one that waits for room, and behind them what is waited for
    let mut bytes = b"\x32\x06\x00\x01t\x00\x01x\x32\x06\x00\x01t\x00\x02x".to_vec();
    bytes.extend([0x40, 2, *high, *low]);
    world.inject(&bytes);
    soon(ack).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_was_given_up_leaves_nothing_to_the_next_one_with_its_id() {
    let world = World::default();
    let options = options(&world, &Setup::default()).write_timeout(Duration::from_secs(1));
    let client = Client::connect(options).await.unwrap();
    let stalls = || async {
        std::future::pending::<()>().await;
        Ok(&b""[..])
    };
    let missing = || async { Err::<&[u8], _>(io::ErrorKind::NotFound.into()) };
    for given_up in [
        client.publish_stream("t", source_fn(3, stalls)),
        client.publish_stream("t", source_fn(3, missing)),
    ] {
        let before = next_id(&world, &client).await;
        given_up.await.unwrap_err();
        // through all other ids
        let mut ids = 0;
        while next_id(&world, &client).await != before {
            ids += 1;
            assert!(ids < 65_535);
        }
        let whole = source_fn(3, || async { Ok(&b"abc"[..]) });
        let upload = client.publish_stream("t", whole).into_future();
        soon(upload).await.unwrap();
    }
}

/// The packet id of one more message.
async fn next_id(world: &World, client: &Client) -> PacketId {
    client.publish("t", "x").qos(QOS1).await.unwrap();
    let frame = world.broker(|broker| broker.arrivals().last().map(|last| last.frame.clone()));
    let frame = frame.expect("it has arrived");
    let Packet::Publish(publish) = frame.packet() else {
        panic!("{frame:?}");
    };
    publish.delivery.packet_id().expect("at QoS 1")
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_qos_1_that_was_cut_before_it_was_written() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    world.cut_after_input(1_000);
    // more than the transport takes, and all of it handed out
    let payload = vec![0; 150_000];
    let ack = client.publish("t", &payload).qos(QOS1).enqueue();
    let ack = ack.await.unwrap();
    world.set_down(true);
    let mut flush = pin!(client.flush());
    assert!(timeout(Duration::from_secs(5), &mut flush).await.is_err());
    assert_eq!(client.stats().disconnections, 1);
    world.set_down(false);
    flush.await.unwrap();
    assert_eq!(world.links(), 2);
    ack.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn flush_has_nothing_to_wait_for_where_nothing_waits() {
    let world = World::default();
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    world.set_down(true);
    let client = Client::start(options(&world, &setup)).unwrap();
    soon(client.flush()).await.unwrap();
    world.set_down(false);
    client.publish("t", "x").qos(QOS1).await.unwrap();
    world.set_down(true);
    world.cut();
    world.all_closed().await;
    soon(client.flush()).await.unwrap();
}
