//! A clock, and a transport to nobody: what comes, how much at a time, when, and whether at all, is read from memory that
//! the optimiser must suppose to change by itself.

use core::{
    future::poll_fn,
    sync::atomic::AtomicU32,
    task::{Poll, Waker},
};

use embassy_time_driver::{Driver, time_driver_impl};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// Takes the place of the registers of a device.
static REGISTER: AtomicU32 = AtomicU32::new(0);

fn load() -> u32 {
    // SAFETY: the memory of a static, which nothing else in the program accesses.
    unsafe { REGISTER.as_ptr().read_volatile() }
}

fn store(value: u32) {
    // SAFETY: as in `load`.
    unsafe { REGISTER.as_ptr().write_volatile(value) }
}

/// A connection.
pub struct Wire;

impl Wire {
    /// Opens it, at some time or never.
    pub async fn open() -> Result<Self, ErrorKind> {
        ready(1).await.map(|_| Self)
    }
}

/// How much of `len` is ready, when some is.
async fn ready(len: usize) -> Result<usize, ErrorKind> {
    poll_fn(|_| match load() as usize {
        0 => Poll::Pending,
        1 => Poll::Ready(Err(ErrorKind::ConnectionReset)),
        ready => Poll::Ready(Ok(ready.min(len))),
    })
    .await
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = ready(buffer.len()).await?;
        for byte in buffer.iter_mut().take(len) {
            *byte = load() as u8;
        }
        Ok(len)
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let len = ready(bytes.len()).await?;
        for byte in bytes.iter().take(len) {
            store((*byte).into());
        }
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        ready(1).await.map(drop)
    }
}

/// A number of which nobody knows anything.
pub fn random() -> u32 {
    load()
}

struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        u64::from(load()) << 32 | u64::from(load())
    }

    fn schedule_wake(&self, at: u64, _: &Waker) {
        store(at as u32);
        store((at >> 32) as u32);
    }
}
