//! Code of the user's that panics fails alone.
use std::{
    future::Future,
    io,
    panic::panic_any,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use client_tests::{Setup, World};
use mqtt_client::{
    BoxError, Client, CloseReason, ConnectFailure, ConnectOptions, Credentials, Event, Panicked,
    PublishAck, PublishError, QoS, StartError, StreamError, source_fn,
};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::broadcast::error::RecvError,
    time::timeout,
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

/// Has so many bytes and panics.
struct Reader(usize);

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(self.0 > 0, "no more bytes");
        let n = self.0.min(buffer.remaining());
        buffer.put_slice(&[7; 100_000][..n]);
        self.0 -= n;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_fails_its_own_message() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let before = client.publish("t", "before").qos(QOS1).enqueue();
    let before = before.await.unwrap();
    let when_called = source_fn(100, || {
        if true {
            panic!("when it is called");
        }
        async { Ok(&b""[..]) }
    });
    let on_opening = source_fn(100, || async {
        if true {
            panic!("when it is opened, {}", 1);
        }
        Ok(&b""[..])
    });
    let without_text = source_fn(100, || async {
        if true {
            panic_any(1);
        }
        Ok(&b""[..])
    });
    for (upload, said) in [
        (
            client.publish_stream("t", when_called),
            ": when it is called",
        ),
        (
            client.publish_stream("t", on_opening),
            ": when it is opened, 1",
        ),
        (client.publish_stream("t", without_text), ""),
    ] {
        let error = upload.await.unwrap_err();
        assert!(matches!(error, PublishError::SourcePanicked(_)), "{error}");
        let expected = format!("the source of the payload panicked{said}");
        assert_eq!(error.to_string(), expected);
    }
    // nothing of it was sent
    assert_eq!(world.links(), 1);
    world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
    for bytes in [50_000, 100_000] {
        let source = source_fn(100_000, move || async move { Ok(Reader(bytes)) });
        let outcome = client.publish_stream("t", source).await;
        assert!(
            matches!(outcome, Err(PublishError::SourcePanicked(_))),
            "{outcome:?}"
        );
    }
    before.await.unwrap();
    client.publish("t", "behind").qos(QOS1).await.unwrap();
    assert_eq!(client.stats().undeliverable, 5);
    client.disconnect().await.unwrap();
    world.assert_no_complaints();
}

/// Connects although the first attempt panics, and returns what was told of that.
async fn first_attempt(options: ConnectOptions) -> String {
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    client.connected().await.unwrap();
    client.publish("t", "x").qos(QOS1).await.unwrap();
    let Event::ConnectFailed { error, retry_in } = events.recv().await.unwrap() else {
        panic!("the first attempt fails");
    };
    assert!(retry_in.is_some());
    let is_panic = match error.failure() {
        ConnectFailure::Connector(error) => error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Panicked>),
        ConnectFailure::Credentials(error) => error.is::<Panicked>(),
        _ => false,
    };
    assert!(is_panic, "{error:?}");
    error.failure().to_string()
}

fn keeps_trying() -> Setup {
    Setup {
        keep_trying: true,
        ..Setup::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_is_a_failed_attempt() {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let world = World::default();
    let dialing = world.clone();
    let options = options(&world, &keeps_trying()).connector(move |_| {
        let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        assert!(attempt != 0, "boom");
        let stream = dialing.dial();
        async { stream }
    });
    let text = first_attempt(options).await;
    assert_eq!(text, "the connector failed: panicked: boom");
}

#[tokio::test(start_paused = true)]
async fn a_credentials_provider_that_panics_is_a_failed_attempt() {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let world = World::default();
    let options = options(&world, &keeps_trying()).credentials_provider(|| {
        let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        assert!(attempt != 0, "boom");
        async { Ok::<_, BoxError>(Credentials::user("u")) }
    });
    let text = first_attempt(options).await;
    assert_eq!(text, "no credentials: panicked: boom");
}

/// A stream of the user's that panics once it was told to.
struct Fragile(DuplexStream);

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!bytes.ends_with(b"fragile"), "broken");
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_panic_ends_the_client_and_is_named() {
    let world = World::default();
    let dialing = world.clone();
    let options = options(&world, &Setup::default()).connector(move |_| {
        let stream = dialing.dial().map(Fragile);
        async { stream }
    });
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscribe("s", QOS1).await.unwrap();
    let outcome = client.publish("t", "fragile").qos(QOS1).await;
    let Err(PublishError::Closed(closed)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(matches!(closed.reason(), CloseReason::Panicked(_)));
    let text = "the client is closed: the client's task panicked: broken";
    assert_eq!(closed.to_string(), text);
    let end = stream.next().await;
    assert!(matches!(end, Some(Err(StreamError::Closed(_)))), "{end:?}");
    let again = client.connected().await;
    assert!(matches!(again, Err(StartError::Closed(_))), "{again:?}");
    let left = timeout(Duration::from_secs(1), client.disconnect());
    assert_eq!(left.await.unwrap().unwrap_err().messages.len(), 1);
}

/// Panics when it is woken.
struct FragileWaker;

impl Wake for FragileWaker {
    fn wake(self: Arc<Self>) {
        panic!("woken");
    }
}

fn poll_once(mut ack: PublishAck) -> PublishAck {
    let waker = Waker::from(Arc::new(FragileWaker));
    let polled = Pin::new(&mut ack).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    ack
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_keeps_nobody_else_asleep() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let mut acks = Vec::new();
    for _ in 0..4 {
        let publish = client.publish("t", "x").qos(QOS1);
        acks.push(publish.enqueue().await.unwrap());
    }
    let _fragile = poll_once(acks.remove(0));
    let others: Vec<_> = acks.into_iter().map(tokio::spawn).collect();
    world.arrived(PacketType::Publish, 4).await;
    // the first three in one piece
    world.inject(b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03");
    for (n, other) in others.into_iter().enumerate() {
        let outcome = timeout(Duration::from_secs(60), other).await;
        let outcome = outcome.expect("it is woken").unwrap();
        assert_eq!(outcome.is_ok(), n < 2, "{outcome:?}");
    }
    let closed = client.connected().await.unwrap_err().to_string();
    assert!(closed.ends_with("panicked: woken"), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_at_the_end_keeps_it_from_nobody() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let publish = client.publish("t", "x").qos(QOS1);
    let _fragile = poll_once(publish.enqueue().await.unwrap());
    let mut events = client.events();
    client.disconnect_within(Duration::ZERO).await.unwrap_err();
    let ended = timeout(Duration::from_secs(60), async {
        while !matches!(events.recv().await, Ok(Event::Closed { .. })) {}
        events.recv().await
    });
    assert_eq!(ended.await.unwrap().unwrap_err(), RecvError::Closed);
}
