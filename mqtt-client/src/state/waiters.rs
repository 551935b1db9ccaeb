use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

/// A place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Publishers who wait for room, first come, first served: that keeps each one's order.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    line: VecDeque<(Ticket, Waker)>,
    next: u64,
}

impl Waiters {
    /// Whether this one may take room: it is the first, or nobody waits.
    pub(crate) fn may_pass(&self, ticket: Option<Ticket>) -> bool {
        self.line
            .front()
            .is_none_or(|(first, _)| Some(*first) == ticket)
    }

    /// Takes a place, or renews the waker of the one taken.
    pub(crate) fn wait(&mut self, ticket: Option<Ticket>, cx: &Context<'_>) -> Ticket {
        let place = self
            .line
            .iter_mut()
            .find(|(other, _)| Some(*other) == ticket);
        if let Some((ticket, waker)) = place {
            waker.clone_from(cx.waker());
            return *ticket;
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.line.push_back((ticket, cx.waker().clone()));
        ticket
    }

    /// Leaves the line, served or not; the next one may try.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.line.retain(|(other, _)| *other != ticket);
        self.wake_next();
    }

    pub(crate) fn wake_next(&self) {
        if let Some((_, waker)) = self.line.front() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn wake_all(&self) {
        for (_, waker) in &self.line {
            waker.wake_by_ref();
        }
    }
}
