//! Deadlines between two ticks of the clock.
use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, pending},
    pin::pin,
    rc::Rc,
    task::{Context, Waker},
};

use critical_section as _;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, TICK_HZ};
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{ConnectError, Connector, Options, Resources, new};

/// Takes everything, and says nothing.
#[derive(Clone, Debug, Default)]
struct Silent {
    reads: Rc<Cell<u32>>,
}

impl Connector for Silent {
    type Connection<'c> = Self;

    async fn connect(&mut self) -> Result<Self, ConnectError> {
        Ok(self.clone())
    }
}

impl ErrorType for Silent {
    type Error = Infallible;
}

impl Read for Silent {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < 1_000, "it spins");
        pending().await
    }
}

impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn the_tick_before_a_deadline_is_no_spin() {
    let options = Options::new("a");
    let mut memory = Resources::<NoopRawMutex, 1, 1, 1, 16, 64>::new();
    let (_client, mut runner) = new(&mut memory, &options, Silent::default(), || 0).unwrap();
    let mut run = pin!(runner.run());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    // CONNACK has 10 s, to the session's step of 256 µs
    for tick in 10 * TICK_HZ - 10..10 * TICK_HZ + 1 {
        ticks::set(tick);
        assert!(run.as_mut().poll(&mut cx).is_pending());
    }
}

#[test]
fn the_longest_duration_is_the_longest_limit() {
    const OPTIONS: Options<'_> = Options::new("a")
        .connect_timeout(Duration::MAX)
        .write_timeout(Duration::MAX)
        .stall_timeout(Duration::MAX)
        .ack_timeout(Duration::MAX);
    let days_3 = Options::new("a").stall_timeout(Duration::from_secs(274_877));
    let longer = Options::new("a").stall_timeout(Duration::MAX);
    assert_eq!(format!("{days_3:?}"), format!("{longer:?}"));
    let mut memory = Resources::<NoopRawMutex, 1, 1, 1, 16, 64>::new();
    let (_client, mut runner) = new(&mut memory, &OPTIONS, Silent::default(), || 0).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(runner.run()).poll(&mut cx).is_pending());
}
