//! Counters say exactly what the transport has taken, wherever a connection ends.
use std::{
    future::IntoFuture,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use client_tests::{Setup, Start, World};
use mqtt_client::{Address, Capacity, Client, ConnectOptions, Event, Overflow, PublishError, QoS};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::broadcast::Receiver,
    time::{sleep, timeout},
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;
/// Of a PUBLISH with the payload below, at either QoS.
const FRAME: usize = 100;
const QOS0_PAYLOAD: [u8; FRAME - 5] = [7; FRAME - 5];
const QOS1_PAYLOAD: [u8; FRAME - 7] = [7; FRAME - 7];

/// A stream that takes so many bytes more, and then none.
struct Rationed {
    stream: DuplexStream,
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Rationed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Rationed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let ration = self.left.load(Ordering::Relaxed).min(bytes.len());
        if ration == 0 {
            return Poll::Pending;
        }
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..ration]))?;
        self.left.fetch_sub(n, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A client whose transport takes no more than is left.
async fn rationed(world: &World) -> (Client, Arc<AtomicUsize>, Receiver<Event>) {
    rationed_with(world, |options| options).await
}

async fn rationed_with(
    world: &World,
    change: impl FnOnce(ConnectOptions) -> ConnectOptions,
) -> (Client, Arc<AtomicUsize>, Receiver<Event>) {
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let (dialing, ration) = (world.clone(), Arc::clone(&left));
    let options = options(world, &setup).connector(move |_: Address| {
        let stream = dialing.dial().map(|stream| Rationed {
            stream,
            left: Arc::clone(&ration),
        });
        async { stream }
    });
    let client = Client::connect(change(options)).await.unwrap();
    let events = client.events();
    (client, left, events)
}

/// Waits until the transport has taken all it may.
async fn used_up(left: &AtomicUsize) {
    while left.load(Ordering::Relaxed) > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn disconnected(events: &mut Receiver<Event>) {
    while !matches!(events.recv().await.unwrap(), Event::Disconnected { .. }) {}
}

#[tokio::test(start_paused = true)]
async fn qos_0_is_lost_with_a_connection_unless_it_was_wholly_taken() {
    for (taken, lost) in [
        (0, 10),
        (1, 10),
        (FRAME - 1, 10),
        (FRAME, 9),
        (650, 4),
        (999, 1),
    ] {
        let world = World::default();
        let (client, left, mut events) = rationed(&world).await;
        left.store(taken, Ordering::Relaxed);
        for _ in 0..10 {
            client.publish("t", &QOS0_PAYLOAD).await.unwrap();
        }
        used_up(&left).await;
        world.cut();
        disconnected(&mut events).await;
        assert_eq!(client.stats().lost_with_connection, lost, "{taken} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn disconnecting_tells_the_same_number() {
    let world = World::default();
    let (client, left, _) = rationed(&world).await;
    left.store(650, Ordering::Relaxed);
    for _ in 0..10 {
        client.publish("t", &QOS0_PAYLOAD).await.unwrap();
    }
    let undelivered = client.disconnect_within(Duration::from_secs(1)).await;
    assert_eq!(undelivered.unwrap_err().qos0, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_counts_once_the_transport_has_taken_a_byte() {
    for (taken, resent) in [
        (0, 0),
        (1, 1),
        (FRAME, 1),
        (FRAME + 1, 2),
        (650, 7),
        (1_000, 10),
    ] {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let (client, left, mut events) = rationed(&world).await;
        for _ in 0..10 {
            let publish = client.publish("t", &QOS1_PAYLOAD).qos(QOS1);
            drop(publish.enqueue().await.unwrap());
        }
        world.arrived(PacketType::Publish, 10).await;
        assert_eq!((client.stats().sent_qos1, client.stats().resent), (10, 0));
        let connect = world.frames(0)[0].bytes().len();
        left.store(connect + taken, Ordering::Relaxed);
        world.cut();
        disconnected(&mut events).await;
        used_up(&left).await;
        // the deadline of the rest is the write time-out
        disconnected(&mut events).await;
        assert_eq!(
            (client.stats().sent_qos1, client.stats().resent),
            (10, resent),
            "{taken} bytes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_room_is_lost_with_its_connection_if_the_session_is() {
    for (start, forgets, lost) in [
        (Start::Transient, false, 1),
        (Start::Resume, false, 0),
        (Start::Resume, true, 1),
    ] {
        let world = World::default();
        let setup = Setup {
            start,
            queue: 1,
            ..Setup::default()
        };
        let client = Client::connect(options(&world, &setup)).await.unwrap();
        let mut events = client.events().resubscribe();
        let mut stream = client.subscribe("t", QOS1).await.unwrap();
        let received = client.stats().bytes_received;
        for n in 0..2u8 {
            world.broker(|broker| broker.publish("t", &[n], QOS1));
        }
        while client.stats().bytes_received < received + 16 {
            sleep(Duration::from_millis(1)).await;
        }
        match forgets {
            true => world.broker(|broker| broker.forget_session("client")),
            false => world.cut(),
        }
        while !matches!(events.recv().await.unwrap(), Event::Connected { .. }) {}
        let discarded = client.stats().discarded_while_stalled;
        assert_eq!(discarded, lost, "{start:?}, {forgets}");
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first.payload(), [0]);
        drop(first);
        if lost == 0 {
            let again = timeout(Duration::from_secs(60), async {
                while stream.next().await.unwrap().unwrap().payload() != [1] {}
            });
            again.await.expect("the broker sends it again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn flush_no_longer_waits_for_what_was_lost_with_the_connection() {
    let world = World::default();
    let (client, left, _) = rationed(&world).await;
    left.store(150, Ordering::Relaxed);
    for _ in 0..3 {
        client.publish("t", &QOS0_PAYLOAD).await.unwrap();
    }
    let mut flush = Box::pin(client.flush());
    let waits = timeout(Duration::from_secs(1), &mut flush).await;
    assert!(waits.is_err(), "{waits:?}");
    world.set_down(true);
    world.cut();
    let ended = timeout(Duration::from_secs(1), flush).await;
    ended.expect("no connection is waited for").unwrap();
    assert_eq!(client.stats().lost_with_connection, 2);
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_a_connection_to_hand_qos_1_to() {
    let world = World::default();
    let (client, left, mut events) = rationed(&world).await;
    left.store(0, Ordering::Relaxed);
    let ack = client.publish("t", &QOS1_PAYLOAD).qos(QOS1).enqueue();
    let ack = ack.await.unwrap();
    world.set_down(true);
    world.cut();
    disconnected(&mut events).await;
    let mut flush = Box::pin(client.flush());
    let waits = timeout(Duration::from_secs(60), &mut flush).await;
    assert!(waits.is_err(), "{waits:?}");
    left.store(usize::MAX, Ordering::Relaxed);
    world.set_down(false);
    let ended = timeout(Duration::from_secs(300), flush).await;
    ended.expect("the broker is back").unwrap();
    ack.await.unwrap();
}

const BOUND: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_transport_is_bounded_and_counted() {
    let world = World::default();
    let (client, left, mut events) = rationed_with(&world, |options| {
        let options = options.outbox(Capacity::new(1_000, BOUND));
        options.qos0_overflow(Overflow::Drop)
    })
    .await;
    assert_eq!(client.stats().transmit_bytes, 0);
    left.store(0, Ordering::Relaxed);
    for _ in 0..3 {
        for _ in 0..1_000 {
            client.publish("t", &QOS0_PAYLOAD).await.unwrap();
        }
        // the client's task takes them over
        sleep(Duration::from_millis(1)).await;
    }
    let stats = client.stats();
    // each is counted with the longest header beforehand
    assert_eq!((stats.sent_qos0, stats.dropped_by_overflow), (99, 2_901));
    assert_eq!((stats.transmit_bytes, stats.outbox_bytes), (9_900, 0));
    let ack = client.publish("t", &QOS1_PAYLOAD).qos(QOS1).enqueue();
    let ack = ack.await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.transmit_bytes, stats.outbox_bytes), (9_900, 94));
    world.cut();
    disconnected(&mut events).await;
    left.store(usize::MAX, Ordering::Relaxed);
    ack.await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.outbox_bytes, stats.lost_with_connection), (0, 99));
}

#[tokio::test(start_paused = true)]
async fn qos_0_waits_for_room_and_gets_it_however_small_the_outbox() {
    let world = World::default();
    let (client, ..) =
        rationed_with(&world, |options| options.outbox(Capacity::new(1, BOUND))).await;
    let all = async {
        for len in [1, BOUND - 1, BOUND - 2, 9_000, 9_000, 20, BOUND - 1] {
            client.publish("t", vec![7; len]).await.unwrap();
            let publishes = (0..20).map(|_| client.publish("t", "small").into_future());
            for done in futures::future::join_all(publishes).await {
                done.unwrap();
            }
        }
    };
    timeout(Duration::from_secs(60), all).await.expect("room");
    world.arrived(PacketType::Publish, 7 * 21).await;
    let outcome = client.publish("t", vec![7; BOUND]).await;
    assert!(
        matches!(
            outcome,
            Err(PublishError::OutboxTooSmall {
                len: 10_001,
                limit: BOUND
            })
        ),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_leaves_unread_is_held_or_counted() {
    for (start, held, given_up) in [(Start::Resume, 2, 0), (Start::Transient, 0, 2)] {
        let world = World::default();
        let setup = Setup {
            start,
            ..Setup::default()
        };
        let client = Client::connect(options(&world, &setup)).await.unwrap();
        let stream = client.subscribe("t", QOS1).await.unwrap();
        for qos in [
            QoS::AtMostOnce,
            QOS1,
            QoS::AtMostOnce,
            QOS1,
            QoS::AtMostOnce,
        ] {
            world.broker(|broker| broker.publish("t", b"x", qos));
        }
        while client.stats().queued_messages < 5 {
            sleep(Duration::from_millis(1)).await;
        }
        drop(stream);
        let stats = client.stats();
        assert_eq!(stats.dropped_unmatched, 3, "{start:?}");
        assert_eq!(stats.queued_messages, held, "{start:?}");
        assert_eq!(stats.given_up, given_up, "{start:?}");
    }
}
