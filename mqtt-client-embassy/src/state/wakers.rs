use core::task::Waker;

/// Tasks that wait for something of the client's: when something has changed, all of them look whether it is that.
#[derive(Debug)]
pub(crate) struct Wakers<'a> {
    slots: &'a mut [Option<Waker>],
    /// The one that makes room when all are taken.
    next: usize,
}

impl<'a> Wakers<'a> {
    pub(crate) const fn new(slots: &'a mut [Option<Waker>]) -> Self {
        Self { slots, next: 0 }
    }

    /// Has the task woken once. With more tasks than slots the one that makes room is woken at once, so that none is
    /// forgotten.
    pub(crate) fn register(&mut self, waker: &Waker) {
        let mut free = None;
        for (index, slot) in self.slots.iter().enumerate() {
            match slot {
                Some(other) if other.will_wake(waker) => return,
                None if free.is_none() => free = Some(index),
                _ => {}
            }
        }
        let index = free.unwrap_or_else(|| {
            self.next = if self.next + 1 < self.slots.len() {
                self.next + 1
            } else {
                0
            };
            self.next
        });
        match self.slots.get_mut(index) {
            Some(slot) => {
                if let Some(other) = slot.replace(waker.clone()) {
                    other.wake();
                }
            }
            None => waker.wake_by_ref(),
        }
    }

    // called from many places
    #[inline(never)]
    pub(crate) fn wake(&mut self) {
        for slot in self.slots.iter_mut() {
            if let Some(waker) = slot.take() {
                waker.wake();
            }
        }
    }
}
