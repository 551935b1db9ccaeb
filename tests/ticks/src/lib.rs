//! A clock of 32,768 Hz, as that of many boards, which stands until it is set.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    task::Waker,
};

use embassy_time_driver::{Driver, time_driver_impl};

struct Clock(AtomicU64);

time_driver_impl!(static CLOCK: Clock = Clock(AtomicU64::new(0)));

impl Driver for Clock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn schedule_wake(&self, _: u64, _: &Waker) {}
}

/// Sets the clock.
pub fn set(ticks: u64) {
    CLOCK.0.store(ticks, Ordering::SeqCst);
}
