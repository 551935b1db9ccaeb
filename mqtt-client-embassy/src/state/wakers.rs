use core::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use embassy_time::{Duration, Instant, Timer};

/// Tasks that wait for something of the client's: when something has changed, all of them look whether it is that.
#[derive(Debug)]
pub(crate) struct Wakers<'a> {
    slots: &'a mut [Option<Waker>],
    /// Something has changed since they were woken.
    news: bool,
}

/// A task that has found no slot looks after this time.
const LOOK_AFTER: Duration = Duration::from_millis(20);

impl<'a> Wakers<'a> {
    pub(crate) const fn new(slots: &'a mut [Option<Waker>]) -> Self {
        Self { slots, news: false }
    }

    /// Has the task woken at the next change, or, when every slot is taken, in a while. It must not displace another
    /// one: that would register again, and the two would wake each other for ever.
    pub(crate) fn register(&mut self, waker: &Waker) {
        // the free slots are behind the others
        let is_mine = |slot: &&mut Option<Waker>| {
            let other = slot.as_ref();
            other.is_none_or(|other| other.will_wake(waker))
        };
        match self.slots.iter_mut().find(is_mine) {
            Some(slot) => {
                slot.get_or_insert_with(|| waker.clone());
            }
            None => {
                let at = Instant::now().saturating_add(LOOK_AFTER);
                // its first poll asks for the wake-up
                let _ = pin!(Timer::at(at)).poll(&mut Context::from_waker(waker));
            }
        }
    }

    /// Something has changed: the runner, which has found it, wakes the tasks before it waits.
    pub(crate) const fn tell(&mut self) {
        self.news = true;
    }

    /// Wakes the tasks if something has changed.
    pub(crate) fn wake_if_told(&mut self) {
        if self.news {
            self.wake();
        }
    }

    // called from several places
    #[inline(never)]
    pub(crate) fn wake(&mut self) {
        self.news = false;
        for slot in self.slots.iter_mut() {
            if let Some(waker) = slot.take() {
                waker.wake();
            }
        }
    }
}
