//! The pause between attempts to connect.
use std::{cell::Cell, future::ready, rc::Rc};

use embedded_io_adapters::tokio_1::FromTokio;
use mqtt_client_embassy::{ConnectError, Connector, Event, Options, Resources, new};
use tokio::{
    io::DuplexStream,
    time::{Duration, Instant, sleep},
};

use crate::{
    adapter::leak,
    client::{M, poll_at_most, run},
};

/// Fails at once, as embassy-net does without a route.
#[derive(Clone, Debug, Default)]
struct Refusing {
    attempts: Rc<Cell<u32>>,
    last: Rc<Cell<Option<Instant>>>,
}

impl Connector for Refusing {
    type Connection<'c> = FromTokio<DuplexStream>;

    fn connect(&mut self) -> impl Future<Output = Result<Self::Connection<'_>, ConnectError>> {
        self.attempts.set(self.attempts.get() + 1);
        self.last.set(Some(Instant::now()));
        assert!(self.attempts.get() < 1_000, "it spins");
        ready(Err(ConnectError::UnknownHost))
    }
}

/// Attempts to connect within one poll of the runner.
async fn attempts_in_one_poll(options: Options<'static>, random: fn() -> u32) -> u32 {
    let resources = leak(Resources::<M, 1, 1, 1, 16, 64>::new());
    let connector = Refusing::default();
    let (_client, mut runner) = new(resources, leak(options), connector.clone(), random).unwrap();
    assert!(poll_at_most(1, runner.run()).await.is_none());
    connector.attempts.get()
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_leaves_others_their_turn_whatever_the_backoff() {
    run(async {
        let options = Options::new("client");
        let none = options.clone().backoff(0, 60_000);
        assert_eq!(attempts_in_one_poll(none, || fastrand::u32(..)).await, 1);
        assert_eq!(attempts_in_one_poll(options, || 0).await, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_before_the_pause_is_over() {
    run(async {
        let resources = leak(Resources::<M, 1, 1, 1, 16, 64>::new());
        let options = leak(Options::new("client").backoff(10_000, 10_000));
        let connector = Refusing::default();
        let random: fn() -> u32 = || u32::MAX / 2;
        let (_client, mut runner) = new(resources, options, connector.clone(), random).unwrap();
        let open_at = Rc::new(Cell::new(Instant::now()));
        let told = open_at.clone();
        tokio::task::spawn_local(async move {
            let tell = |event: Event<'_>| {
                if let Event::ConnectFailed { retry_in, .. } = event {
                    let pause = Duration::from_micros(retry_in.unwrap().as_micros());
                    told.set(Instant::now() + pause);
                }
            };
            runner.run_with(tell).await
        });
        for attempt in 1..5 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(connector.attempts.get(), attempt);
            let due = open_at.get();
            assert!(due > Instant::now());
            tokio::time::sleep_until(due + Duration::from_millis(5)).await;
            assert!(connector.last.get().unwrap() >= due);
        }
    })
    .await;
}
