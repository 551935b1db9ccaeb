//! A client of any capacity in a world, for tests of the Embassy client alone.
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use client_tests::{Setup, World};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_client_embassy::{Client, CloseReason, Options, OptionsError, Resources, new};
use tokio::task::JoinHandle;

use crate::adapter::{Dialler, leak, options};

pub(crate) type M = NoopRawMutex;
pub(crate) type TestClient = Client<'static, M>;

/// Runs a test on one thread.
pub(crate) async fn run(test: impl Future<Output = ()>) {
    client_tests::scenarios::run(test).await;
}

/// A small board's: 4 messages each way of 64 bytes, buffers of 256.
pub(crate) fn start(world: &World, setup: &Setup) -> (TestClient, JoinHandle<CloseReason>) {
    start_with::<4, 4, 4, 64, 256>(world, options(setup))
}

/// As many as the type says: outbox, queue, subscriptions, bytes of a message, bytes of a buffer.
pub(crate) fn start_with<
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
>(
    world: &World,
    options: Options<'static>,
) -> (TestClient, JoinHandle<CloseReason>) {
    try_start_with::<OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER>(world, options)
        .expect("the options are right")
}

pub(crate) fn try_start_with<
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
>(
    world: &World,
    options: Options<'static>,
) -> Result<(TestClient, JoinHandle<CloseReason>), OptionsError> {
    // more tasks wait than there is room for
    let resources = Resources::<M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, 1>::new();
    start_in(resources, world, options)
}

/// A small board's, with a place for each task: none looks without being woken, and no keep alive wakes the runner.
pub(crate) fn start_sleeping(world: &World) -> TestClient {
    let resources = Resources::<M, 4, 4, 4, 64, 256, 8>::new();
    let options = options(&Setup::default()).keep_alive(0);
    let started = start_in(resources, world, options);
    started.expect("the options are right").0
}

fn start_in<
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
>(
    resources: Resources<'static, M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, TASKS>,
    world: &World,
    options: Options<'static>,
) -> Result<(TestClient, JoinHandle<CloseReason>), OptionsError> {
    let dialler = Dialler(world.clone());
    let (client, mut runner) = new(leak(resources), leak(options), dialler, || {
        fastrand::u32(..)
    })?;
    let runner = tokio::task::spawn_local(async move { runner.run().await });
    Ok((client, runner))
}

/// One that is connected.
pub(crate) async fn connected(world: &World) -> TestClient {
    let (client, _) = start(world, &Setup::default());
    client.connected().await.unwrap();
    client
}

/// Polls as often as it is woken, `polls` times at most, and drops it.
pub(crate) async fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    poll_then(polls, future, async {}).await
}

/// The same, with something that happens before it is dropped.
pub(crate) async fn poll_then<F: Future>(
    polls: usize,
    future: F,
    before: impl Future<Output = ()>,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let polling = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let polled = tokio::time::timeout(Duration::from_secs(5), polling).await;
    before.await;
    polled.unwrap_or(None)
}
