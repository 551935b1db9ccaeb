//! The driver takes turns with the other tasks of its thread, whatever its transport has to give and takes.
use std::{
    future::IntoFuture,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use client_tests::{Setup, World};
use futures::FutureExt;
use mqtt_client::{Address, Client, source_fn};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    task::yield_now,
};

use crate::adapter::options;

/// A stream that is always ready, from when it is told to be until so many calls later.
struct Ready {
    stream: DuplexStream,
    calls: Calls,
}

#[derive(Clone, Default)]
struct Calls {
    count: Arc<AtomicUsize>,
    is_counted: Arc<AtomicBool>,
}

/// Many more than the driver makes in one turn.
const LIMIT: usize = 5_000;
/// What the driver makes in one turn at most, more or less.
const TURN: usize = 200;

impl Calls {
    /// Counts one; false while the stream is still an ordinary one.
    fn count(&self) -> bool {
        let is_counted = self.is_counted.load(Ordering::Relaxed);
        self.count
            .fetch_add(usize::from(is_counted), Ordering::Relaxed);
        is_counted
    }

    fn made(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The most calls between two turns of this task.
    async fn longest_turn(&self) -> usize {
        let (mut longest, mut before) = (0, self.made());
        while before < LIMIT {
            yield_now().await;
            let made = self.made();
            longest = longest.max(made - before);
            before = made;
        }
        longest
    }
}

impl AsyncRead for Ready {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.calls.count() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        if self.calls.made() < LIMIT {
            buffer.put_slice(b"\x30\x04\x00\x01tx");
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ready {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.calls.count() {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A reader that always has more; those of tokio take turns of their own accord.
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.initialize_unfilled();
        buffer.advance(buffer.remaining());
        Poll::Ready(Ok(()))
    }
}

/// A client whose stream is always ready from now on.
async fn ready() -> (Client, Calls) {
    let world = World::default();
    let calls = Calls::default();
    let counted = calls.clone();
    let options = options(&world, &Setup::default()).connector(move |_: Address| {
        let calls = counted.clone();
        let stream = world.dial().map(|stream| Ready { stream, calls });
        async { stream }
    });
    let client = Client::connect(options).await.unwrap();
    calls.is_counted.store(true, Ordering::Relaxed);
    (client, calls)
}

#[tokio::test]
async fn others_run_while_the_transport_takes_everything_and_always_has_more() {
    let (client, calls) = ready().await;
    let source = source_fn(200_000_000, || async { Ok(Endless) });
    let mut upload = client.publish_stream("t", source).into_future();
    assert!((&mut upload).now_or_never().is_none());
    let longest = calls.longest_turn().await;
    assert!(longest <= TURN, "{longest} calls");
}

#[tokio::test]
async fn others_run_while_what_comes_behind_disconnect_is_read() {
    let (client, calls) = ready().await;
    let mut disconnect = Box::pin(client.disconnect());
    assert!((&mut disconnect).now_or_never().is_none());
    let longest = calls.longest_turn().await;
    assert!(longest <= TURN, "{longest} calls");
    disconnect.await.unwrap();
}
