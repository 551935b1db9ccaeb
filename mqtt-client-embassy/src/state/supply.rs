//! Payloads that their publishers hand out while they are sent.

use core::{
    future::Future,
    num::NonZeroU32,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embassy_time::{Duration, Instant, Timer};
use mqtt_codec::session::publish_len;
use mqtt_codec::wire::{Dup, EncodeError, PacketId, QoS, Retain, TopicName};

use super::{State, Ticket, clock::span, item::Payload};
use crate::{Limit, PublishError};

/// What a client does whose publishers hand out payloads. A program in which none does does not contain it.
#[derive(Debug)]
pub(crate) struct Supplying {
    /// It is the turn of this message: true if its publisher is waited for, false if it was given up.
    pub(super) pass_turn: fn(&mut State<'_>, PacketId) -> bool,
    /// The runner is to look when the publisher whose turn it is has been waited for long enough.
    pub(super) watch: fn(&mut State<'_>, &Waker),
    /// What was half sent has not gone on for too long: true if it was given up for that.
    pub(super) give_up_late: fn(&mut State<'_>) -> bool,
}

static SUPPLYING: Supplying = Supplying {
    pass_turn: |state, id| state.pass_turn(id),
    watch: |state, runner| state.watch(runner),
    give_up_late: |state| state.fail_supply(),
};

/// The message whose publisher was told that it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    id: PacketId,
    /// When it has to begin, in steps of 1,024 µs modulo 2³²; `None` when it has.
    begins_by: Option<NonZeroU32>,
}

const STEP_BITS: u32 = 10;

const fn steps(at: Instant) -> u32 {
    (at.as_micros() >> STEP_BITS) as u32
}

impl<'a> State<'a> {
    /// From now on there are publishers who hand out payloads.
    pub(crate) fn expect_supplies(&mut self) {
        self.supplying = Some(&SUPPLYING);
    }

    /// Whether a message whose payload of `len` bytes is supplied can be accepted, now or later.
    pub(crate) fn check_supplied(&self, topic: &str, len: u32) -> Result<(), PublishError> {
        let topic = self.check(topic, 0)?;
        if self.outbox.capacity() == 0 {
            return Err(PublishError::Limit(Limit::Outbox));
        }
        match publish_len(topic, QoS::AtLeastOnce, len) {
            Some(_) => Ok(()),
            None => Err(PublishError::Limit(Limit::Packet)),
        }
    }

    /// Tells the publisher of a message that it is its turn; false if there is none any more, or it does not begin, and
    /// the message was given up.
    fn pass_turn(&mut self, id: PacketId) -> bool {
        let packet = self.session.handle(id);
        if packet.is_some_and(|packet| self.outbox.is_watched(packet)) {
            self.session.postpone();
            // once: whoever looks would else wake all others
            if self.awaited.is_none_or(|awaited| awaited.id != id) {
                let until =
                    Instant::now().saturating_add(span(self.session.config().write_timeout));
                let begins_by = NonZeroU32::new(steps(until) | 1);
                self.awaited = Some(Awaited { id, begins_by });
                self.wakers.wake();
            }
            if self.left_to_begin() != Some(Duration::MIN) {
                return true;
            }
        }
        if let Some(packet) = self.session.abandon(id) {
            self.finish(packet, Some(PublishError::Source));
        }
        false
    }

    /// Time that the publisher whose turn it is has to begin; `None` if it has, or there is none.
    fn left_to_begin(&self) -> Option<Duration> {
        let begins_by = self.awaited?.begins_by?;
        let left = begins_by.get().wrapping_sub(steps(Instant::now())) as i32;
        Some(Duration::from_micros((left.max(0) as u64) << STEP_BITS))
    }

    fn watch(&mut self, runner: &Waker) {
        let Some(left) = self.left_to_begin() else {
            return;
        };
        if left > Duration::MIN {
            // its first poll asks for the wake-up
            let _ = pin!(Timer::after(left)).poll(&mut Context::from_waker(runner));
            return;
        }
        // unless something else is due before
        let next = self.session.poll_transmit().and_then(|next| next.payload);
        let id = next.map(|range| range.id);
        self.session.postpone();
        self.changed |= id == self.awaited.map(|awaited| awaited.id);
    }

    /// Whoever supplies the payload that is due had nothing for too long; true if it was that.
    fn fail_supply(&mut self) -> bool {
        if self
            .transmit
            .as_ref()
            .is_none_or(|transmit| transmit.len > 0)
        {
            return false;
        }
        let id = self.session.poll_transmit().and_then(|next| next.payload);
        match id.map(|range| range.id) {
            Some(id) => {
                if let Some(handle) = self.session.abandon(id) {
                    self.finish(handle, Some(PublishError::Source));
                }
            }
            None => self.session.abandon_at_most_once(),
        }
        self.session.wants_close()
    }

    /// Takes a message back whose publisher does not supply it any more, unless all of it is sent.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        if let Some(id) = self.outbox.withdraw(ticket) {
            if let Some(handle) = self.session.abandon(id) {
                self.finish(handle, None);
            }
        }
        self.wakers.wake();
        self.wake_runner();
    }

    /// Hands out of a message what is due, and fits, if it is its turn: `payload` is what there is from the byte `from` on.
    /// The number of the next byte that is due. It does not begin before there is some: nothing else could leave
    /// meanwhile.
    pub(crate) fn supply(&mut self, ticket: Ticket, payload: &[u8], from: u32) -> Option<u32> {
        let transmit = self.transmit.as_mut()?;
        let next = self.session.poll_transmit()?;
        let begins = next.begins;
        let Some(range) = next.payload else {
            // it has begun: the runner is to hand it out
            self.wake_runner();
            return None;
        };
        let packet = range.handle;
        if !self.outbox.is(ticket, packet) || packet.payload != Payload::Supplied {
            self.session.postpone();
            return None;
        }
        let at = range.offset.checked_sub(from);
        let there = at.and_then(|at| payload.get(at as usize..));
        let there = there.unwrap_or_default();
        if there.is_empty() && range.len > 0 {
            let due = range.offset;
            // without effect in its midst
            self.session.postpone();
            return Some(due);
        }
        let head = transmit.put_all(next.bytes);
        let n = transmit.put(there);
        let due = range.offset + n as u32;
        if n == range.len as usize {
            self.outbox.set_whole(ticket);
        }
        if begins == Some(Dup::Repeat) {
            self.stats.resent = self.stats.resent.wrapping_add(1);
        }
        if let Some(awaited) = &mut self.awaited {
            awaited.begins_by = None;
        }
        self.hand_out(head + n);
        Some(due)
    }

    /// So many more bytes are in the transmit buffer.
    fn hand_out(&mut self, n: usize) {
        if n > 0 {
            self.session.advance(n);
            self.staged = self.staged.wrapping_add(n as u32);
            self.wake_runner();
        }
    }

    /// Begins a QoS 0 message whose payload follows by [`append`](Self::append); pending while another packet is half
    /// sent, there is no room or no connection.
    pub(crate) fn begin_at_most_once(
        &mut self,
        topic: TopicName<'_>,
        retain: Retain,
        payload_len: u32,
    ) -> Poll<Result<(), PublishError>> {
        if self.is_closing() {
            return Poll::Ready(Err(PublishError::Closed));
        }
        self.expect_supplies();
        let Some(transmit) = &mut self.transmit else {
            return Poll::Pending;
        };
        let capacity = transmit.bytes.len();
        // what fits as a whole goes as a whole: dropped in its midst, it would cost the connection
        let whole = publish_len(topic, QoS::AtMostOnce, payload_len);
        let whole = whole.map_or(usize::MAX, |len| len as usize);
        if whole <= capacity && whole > transmit.room().len() {
            return Poll::Pending;
        }
        let begun = self
            .session
            .publish_at_most_once(topic, retain, payload_len, transmit.room());
        match begun {
            Ok(None) => Poll::Pending,
            Ok(Some(n)) => {
                // whoever is awaited cannot begin before the end of this one
                self.awaited = None;
                transmit.len += n;
                transmit.at_most_once += 1;
                self.session.advance(n);
                self.staged = self.staged.wrapping_add(n as u32);
                self.wake_runner();
                Poll::Ready(Ok(()))
            }
            Err(EncodeError::BufferTooSmall { needed }) if needed <= capacity => Poll::Pending,
            Err(EncodeError::BufferTooSmall { .. }) => {
                Poll::Ready(Err(PublishError::Limit(Limit::Buffer)))
            }
            Err(_) => Poll::Ready(Err(PublishError::Limit(Limit::Packet))),
        }
    }

    /// Adds payload of the QoS 0 message that is begun, as much as fits.
    pub(crate) fn append(&mut self, payload: &[u8]) -> usize {
        let Some(transmit) = &mut self.transmit else {
            return 0;
        };
        // in the midst of a message whose beginning is written
        let continues = transmit.len == 0;
        let n = transmit.put(payload);
        if continues && n > 0 {
            transmit.at_most_once = 1;
        }
        self.hand_out(n);
        n
    }
}
