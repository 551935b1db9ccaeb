//! Payloads that their publishers hand out while they are sent.

use core::task::Poll;

use mqtt_codec::wire::{Dup, EncodeError, PacketId, Retain, TopicName};

use super::{State, Ticket, item::Payload};
use crate::{Limit, PublishError};

/// What the runner asks of publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is the turn of this message. True if it was given up instead.
    Turn(PacketId),
    /// What was half sent has not gone on for too long. True if it was given up for that.
    Late,
}

/// Bytes of a PUBLISH at QoS 0 beside topic and payload, at most.
const LONGEST_HEAD: u32 = 7;

impl<'a> State<'a> {
    /// From now on there are publishers who hand out payloads. A program that never calls this does not contain what that
    /// needs.
    pub(crate) fn expect_supplies(&mut self) {
        self.supplied = Some(Self::ask);
    }

    pub(super) fn ask_publishers(&mut self, what: Asked) -> bool {
        self.supplied.is_some_and(|ask| ask(self, what))
    }

    fn ask(&mut self, what: Asked) -> bool {
        match what {
            Asked::Turn(id) => self.pass_turn(id),
            Asked::Late => self.fail_supply(),
        }
    }

    /// Tells the publisher of a message that it is its turn; true if there is none any more.
    fn pass_turn(&mut self, id: PacketId) -> bool {
        let packet = self.session.handle(id);
        if packet.is_some_and(|packet| self.outbox.is_watched(packet)) {
            self.session.postpone();
            // once: whoever looks would else wake all others
            if self.awaited != Some(id) {
                self.awaited = Some(id);
                self.wakers.wake();
            }
            return false;
        }
        if let Some(packet) = self.session.abandon(id) {
            self.outbox.finish(packet, None);
        }
        true
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
        let capacity = transmit.bytes.len() as u32;
        // what fits as a whole goes as a whole: dropped in its midst, it would cost the connection
        let head = topic.as_bytes().len() as u32 + LONGEST_HEAD;
        let whole = payload_len.saturating_add(head);
        if whole <= capacity && whole > transmit.room().len() as u32 {
            return Poll::Pending;
        }
        let begun = self
            .session
            .publish_at_most_once(topic, retain, payload_len, transmit.room());
        match begun {
            Ok(None) => Poll::Pending,
            Ok(Some(n)) => {
                transmit.len += n;
                transmit.at_most_once += 1;
                self.session.advance(n);
                self.staged = self.staged.wrapping_add(n as u32);
                self.wake_runner();
                Poll::Ready(Ok(()))
            }
            Err(EncodeError::BufferTooSmall { needed }) if needed <= capacity as usize => {
                Poll::Pending
            }
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
