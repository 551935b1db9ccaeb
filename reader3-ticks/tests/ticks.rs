//! A clock of 32,768 Hz, as that of nRF and STM32 boards.
use std::{cell::Cell, convert::Infallible, future::{Future, pending}, pin::pin, rc::Rc, task::{Context, Waker}};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use embassy_time_driver::{Driver, time_driver_impl};
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{ConnectError, Connector, Options, Resources, new};

struct Clock(std::sync::atomic::AtomicU64);
time_driver_impl!(static CLOCK: Clock = Clock(std::sync::atomic::AtomicU64::new(0)));
impl Driver for Clock {
    fn now(&self) -> u64 { self.0.load(std::sync::atomic::Ordering::SeqCst) }
    fn schedule_wake(&self, _: u64, _: &Waker) {}
}

#[derive(Clone)]
struct Silent(Rc<Cell<u32>>);
impl Connector for Silent {
    type Connection<'c> = Silent;
    async fn connect(&mut self) -> Result<Silent, ConnectError> { Ok(self.clone()) }
}
impl ErrorType for Silent { type Error = Infallible; }
impl Read for Silent {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        self.0.set(self.0.get() + 1);
        assert!(self.0.get() < 10_000, "the runner spins, and no other task has its turn");
        pending().await
    }
}
impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> { Ok(bytes.len()) }
    async fn flush(&mut self) -> Result<(), Infallible> { Ok(()) }
}

#[test]
fn the_tick_before_a_deadline_is_no_spin() {
    let options = Options::new("a");
    let mut memory = Resources::<NoopRawMutex, 1, 1, 1, 16, 64>::new();
    let (_client, mut runner) = new(&mut memory, &options, Silent(Rc::default()), || 0).unwrap();
    let mut run = pin!(runner.run());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    // the last tick before the time limit for CONNACK, 10 s
    CLOCK.0.store(327_675, std::sync::atomic::Ordering::SeqCst);
    let _ = run.as_mut().poll(&mut cx);
}

#[test]
fn the_longest_duration_means_never() {
    let _ = Options::new("a").stall_timeout(Duration::MAX);
}
