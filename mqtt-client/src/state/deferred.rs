use std::{
    mem,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::MutexGuard,
    task::{Context, Waker},
};

use super::{Output, Payload, State};
use crate::error::PublishError;

/// Code of others, put aside while the lock is held, since it may call the client: wakers to be woken, and the ends of
/// sources, payloads, errors and wakers. It runs when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    /// Most often there is one: it costs no allocation.
    wake: Option<Waker>,
    more_wakes: Vec<Waker>,
    ended: Vec<Foreign>,
}

/// What runs code of others when it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held to be dropped")]
pub(crate) enum Foreign {
    Payload(Payload),
    Outcome(Result<(), PublishError>),
    Output(Output),
    Waker(Waker),
}

impl Deferred {
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.wake.is_some() => self.more_wakes.push(waker),
            Some(waker) => self.wake = Some(waker),
            None => {}
        }
    }

    pub(crate) fn end(&mut self, foreign: Foreign) {
        self.ended.push(foreign);
    }

    /// Has `place` wake the task of `cx`.
    pub(crate) fn renew(&mut self, place: &mut Option<Waker>, cx: &Context<'_>) {
        match place {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            place => {
                let earlier = place.replace(cx.waker().clone());
                self.ended.extend(earlier.map(Foreign::Waker));
            }
        }
    }

    /// Not under the lock. Keeps its room. One that panics does so when the others have had their turn.
    pub(crate) fn run(&mut self) {
        let mut outcome = Ok(());
        let wakers = self.wake.take().into_iter();
        for waker in wakers.chain(self.more_wakes.drain(..)) {
            if let Err(panicked) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                outcome = Err(panicked);
            }
        }
        self.ended.clear();
        if let Err(panicked) = outcome {
            resume_unwind(panicked);
        }
    }

    /// `more_wakes` have a first one in `wake`.
    fn is_empty(&self) -> bool {
        self.wake.is_none() && self.ended.is_empty()
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if !self.is_empty() {
            self.run();
        }
    }
}

/// The locked state. When it is dropped, what was deferred runs, after the lock was released.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    // behind the guard: fields are dropped in this order
    deferred: Deferred,
}

impl<'a> Locked<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> Self {
        Self {
            state,
            deferred: Deferred::default(),
        }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if !self.state.deferred.is_empty() {
            mem::swap(&mut self.deferred, &mut self.state.deferred);
        }
    }
}
