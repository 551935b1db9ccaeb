//! The pause between attempts to connect.
use std::{cell::Cell, rc::Rc};

use embedded_io_adapters::tokio_1::FromTokio;
use mqtt_client_embassy::{ConnectError, Connector, Options, Resources, new};
use tokio::io::DuplexStream;

use crate::{
    adapter::leak,
    client::{M, poll_at_most, run},
};

/// Fails at once, as embassy-net does without a route.
#[derive(Clone, Debug, Default)]
struct Refusing {
    attempts: Rc<Cell<u32>>,
}

impl Connector for Refusing {
    type Connection<'c> = FromTokio<DuplexStream>;

    async fn connect(&mut self) -> Result<Self::Connection<'_>, ConnectError> {
        self.attempts.set(self.attempts.get() + 1);
        assert!(self.attempts.get() < 1_000, "it spins");
        Err(ConnectError::UnknownHost)
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
