use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use mqtt_codec::wire::QoS;

use super::{Deferred, Foreign};

/// A place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The lines for QoS 0 and QoS 1: the transmit buffer and the outbox fill and empty on their own.
#[derive(Debug, Default)]
pub(crate) struct Room {
    at_most_once: Waiters,
    at_least_once: Waiters,
}

impl Room {
    pub(crate) fn line(&mut self, qos: QoS) -> &mut Waiters {
        match qos {
            QoS::AtMostOnce => &mut self.at_most_once,
            QoS::AtLeastOnce | QoS::ExactlyOnce => &mut self.at_least_once,
        }
    }

    /// Frees the places of lines in which nobody waits, for an idle connection.
    pub(crate) fn shrink(&mut self) {
        for waiters in [&mut self.at_most_once, &mut self.at_least_once] {
            if waiters.line.is_empty() {
                waiters.line = VecDeque::new();
            }
        }
    }

    pub(crate) fn wake_all(&mut self, deferred: &mut Deferred) {
        self.at_most_once.wake_all(deferred);
        self.at_least_once.wake_all(deferred);
    }
}

/// Publishers who wait for room, first come, first served: that keeps each one's order.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// A waker is taken when it is woken.
    line: VecDeque<(Ticket, Option<Waker>)>,
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
    pub(crate) fn wait(
        &mut self,
        ticket: Option<Ticket>,
        cx: &Context<'_>,
        deferred: &mut Deferred,
    ) -> Ticket {
        let place = ticket.and_then(|ticket| self.place(ticket));
        if let Some((ticket, waker)) = place.and_then(|place| self.line.get_mut(place)) {
            deferred.renew(waker, cx);
            return *ticket;
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.line.push_back((ticket, Some(cx.waker().clone())));
        ticket
    }

    /// Leaves the line, served or not; the next one may try.
    pub(crate) fn leave(&mut self, ticket: Ticket, deferred: &mut Deferred) {
        let place = self.place(ticket);
        let left = place.and_then(|place| self.line.remove(place));
        if let Some((_, Some(waker))) = left {
            deferred.end(Foreign::Waker(waker));
        }
        self.wake_next(deferred);
    }

    pub(crate) fn wake_next(&mut self, deferred: &mut Deferred) {
        if let Some((_, waker)) = self.line.front_mut() {
            deferred.wake(waker.take());
        }
    }

    /// Tickets stand in the order in which they were given.
    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.line
            .binary_search_by_key(&ticket, |(other, _)| *other)
            .ok()
    }

    fn wake_all(&mut self, deferred: &mut Deferred) {
        for (_, waker) in &mut self.line {
            deferred.wake(waker.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frees_its_room_once_nobody_waits() {
        let (mut room, mut deferred) = (Room::default(), Deferred::default());
        let cx = Context::from_waker(Waker::noop());
        let tickets: Vec<_> = (0..100)
            .map(|_| room.line(QoS::AtLeastOnce).wait(None, &cx, &mut deferred))
            .collect();
        room.shrink();
        for ticket in tickets {
            let line = room.line(QoS::AtLeastOnce);
            assert!(line.may_pass(Some(ticket)));
            line.leave(ticket, &mut deferred);
        }
        room.shrink();
        assert_eq!(room.at_least_once.line.capacity(), 0);
    }
}
