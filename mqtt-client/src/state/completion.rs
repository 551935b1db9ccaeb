use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{Deferred, Foreign, Shared};
use crate::error::PublishError;

/// Names one awaited acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletionKey(u32);

/// Outcomes of publishes, each awaited by at most one future. A slab, so that none costs an
/// allocation.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots whose future is gone.
    detached: usize,
    /// So many were left when they were last looked through.
    kept: usize,
}

/// Detached slots that may gather before they are looked through.
const DETACHED: usize = 64;

#[derive(Debug)]
enum Slot {
    Free,
    Pending(Option<Waker>),
    /// The future is gone; the outcome interests nobody.
    Detached,
    Done(Result<(), PublishError>),
}

/// The future of one outcome. Dropping it detaches.
#[derive(Debug)]
pub(crate) struct Completion<'a> {
    shared: &'a Shared,
    key: Option<CompletionKey>,
}

impl<'a> Completion<'a> {
    pub(crate) const fn new(shared: &'a Shared, key: CompletionKey) -> Self {
        Self {
            shared,
            key: Some(key),
        }
    }
}

impl Future for Completion<'_> {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key.expect("polled after completion");
        let outcome = self.shared.lock().poll_completion(key, cx);
        if outcome.is_ready() {
            self.key = None;
        }
        outcome
    }
}

impl Drop for Completion<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().detach(key);
        }
    }
}

impl Completions {
    pub(crate) fn insert(&mut self) -> CompletionKey {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Slot::Pending(None);
            return CompletionKey(index);
        }
        self.slots.push(Slot::Pending(None));
        CompletionKey(self.slots.len() as u32 - 1)
    }

    /// Settles it.
    pub(crate) fn complete(
        &mut self,
        key: CompletionKey,
        outcome: Result<(), PublishError>,
        deferred: &mut Deferred,
    ) {
        let slot = &mut self.slots[key.0 as usize];
        match std::mem::replace(slot, Slot::Free) {
            Slot::Pending(waker) => {
                *slot = Slot::Done(outcome);
                deferred.wake(waker);
            }
            Slot::Detached => {
                self.detached -= 1;
                self.free.push(key.0);
                if outcome.is_err() {
                    deferred.end(Foreign::Outcome(outcome));
                }
            }
            Slot::Free | Slot::Done(_) => unreachable!("settled once"),
        }
    }

    pub(crate) fn poll(
        &mut self,
        key: CompletionKey,
        cx: &Context<'_>,
        deferred: &mut Deferred,
    ) -> Poll<Result<(), PublishError>> {
        let slot = &mut self.slots[key.0 as usize];
        if let Slot::Pending(waker) = slot {
            deferred.renew(waker, cx);
            return Poll::Pending;
        }
        match std::mem::replace(slot, Slot::Free) {
            Slot::Done(outcome) => {
                self.free.push(key.0);
                Poll::Ready(outcome)
            }
            Slot::Pending(_) | Slot::Detached | Slot::Free => unreachable!("one future per key"),
        }
    }

    /// The future was dropped.
    pub(crate) fn detach(&mut self, key: CompletionKey, deferred: &mut Deferred) {
        let slot = &mut self.slots[key.0 as usize];
        match std::mem::replace(slot, Slot::Free) {
            Slot::Pending(waker) => {
                *slot = Slot::Detached;
                self.detached += 1;
                if let Some(waker) = waker {
                    deferred.end(Foreign::Waker(waker));
                }
            }
            Slot::Done(outcome) => {
                self.free.push(key.0);
                if outcome.is_err() {
                    deferred.end(Foreign::Outcome(outcome));
                }
            }
            Slot::Detached => *slot = Slot::Detached,
            Slot::Free => {}
        }
    }

    /// Whether whoever holds keys is to [release](Self::release) those that are detached: only now and then, so that
    /// looking for them costs little each time.
    pub(crate) const fn wants_release(&self) -> bool {
        self.detached >= 2 * self.kept + DETACHED
    }

    /// Frees the slot and returns true if its future is gone: the key is to be forgotten.
    pub(crate) fn release(&mut self, key: CompletionKey) -> bool {
        let slot = &mut self.slots[key.0 as usize];
        let is_detached = matches!(slot, Slot::Detached);
        if is_detached {
            *slot = Slot::Free;
            self.free.push(key.0);
            self.detached -= 1;
        }
        is_detached
    }

    /// What is detached now is held by a message that is sent all the same.
    pub(crate) const fn handle_released(&mut self) {
        self.kept = self.detached;
    }

    /// Frees its room if nobody waits, for an idle connection.
    pub(crate) fn shrink(&mut self) {
        if self.free.len() == self.slots.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frees_its_room_once_nobody_waits() {
        let mut completions = Completions::default();
        let mut deferred = Deferred::default();
        let keys: Vec<_> = (0..100).map(|_| completions.insert()).collect();
        for &key in &keys {
            completions.complete(key, Ok(()), &mut deferred);
        }
        completions.shrink();
        for &key in &keys {
            assert!(
                completions
                    .poll(key, &Context::from_waker(Waker::noop()), &mut deferred)
                    .is_ready()
            );
        }
        completions.shrink();
        assert_eq!(completions.slots.capacity(), 0);
    }
}
