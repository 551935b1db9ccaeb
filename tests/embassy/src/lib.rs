//! Embassy's clock on tokio's: what the Embassy client sleeps for passes in the virtual time of a tokio test, beside
//! everything else in it. Each test has its runtime, and with it its own time.

use std::{
    cell::{Cell, RefCell},
    sync::OnceLock,
    task::Waker,
    time::Duration,
};

use embassy_time_driver::{Driver, time_driver_impl};
use tokio::time::{Instant, sleep_until};

struct TokioClock;

time_driver_impl!(static CLOCK: TokioClock = TokioClock);

/// Before everything that a test sees, so that no clock of a test stands before it.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

thread_local! {
    /// What is waited for on this thread, whose runtime is a test's.
    static PENDING: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
    /// How far embassy's clock is ahead of tokio's, and how much further it is after each reading; microseconds.
    static AHEAD: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// From now on time passes between two readings of the clock, on this thread.
pub fn pass_with_each_reading(micros: u64) {
    AHEAD.with(|ahead| ahead.set((ahead.get().0, micros)));
}

impl Driver for TokioClock {
    fn now(&self) -> u64 {
        let (ahead, step) = AHEAD.get();
        AHEAD.set((ahead + step, step));
        let since = Instant::now().saturating_duration_since(epoch());
        since.as_micros() as u64 + ahead
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let is_new = PENDING.with_borrow_mut(|pending| {
            let is_known = pending
                .iter()
                .any(|(due, known)| *due == at && known.will_wake(waker));
            if !is_known {
                pending.push((at, waker.clone()));
            }
            !is_known
        });
        if !is_new {
            return;
        }
        // further away than any test
        let delay = Duration::from_micros(at.saturating_sub(AHEAD.get().0).min(1 << 50));
        let waker = waker.clone();
        tokio::spawn(async move {
            sleep_until(epoch() + delay).await;
            PENDING.with_borrow_mut(|pending| {
                pending.retain(|(due, known)| *due != at || !known.will_wake(&waker));
            });
            waker.wake();
        });
    }
}
