//! What goes to the broker: from the session and from publishers, through the transmit buffer.

use core::task::Poll;

use embassy_time::Instant as Clock;
use mqtt_codec::session::{Instant, Next};
use mqtt_codec::wire::{Dup, EncodeError, Retain, TopicName};

use super::{Reading, State, Ticket, clock::at, copy, item::Payload};
use crate::{ConnectionState, Limit, Options, PublishError, ReadError};

/// Bytes on their way to the transport.
#[derive(Debug)]
pub(crate) struct Transmit<'a> {
    bytes: &'a mut [u8],
    len: usize,
    /// QoS 0 messages of which it has bytes.
    at_most_once: u32,
}

/// What the runner is to do next.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// Write these bytes; they come back by [`State::give_back`].
    Write(Transmit<'a>),
    /// Close the transport.
    Close,
    /// Wait for input, for a change and for the time.
    Wait {
        /// Let the other tasks have their turn, and no more.
        yields: bool,
        reads: bool,
        due: Clock,
    },
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// CONNACK had come.
    pub(crate) was_connected: bool,
    pub(crate) next: Next,
}

/// Bytes of a PUBLISH at QoS 0 beside topic and payload, at most.
const LONGEST_HEAD: u32 = 7;

impl<'a> Transmit<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            len: 0,
            at_most_once: 0,
        }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// What is to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    fn put_all(&mut self, bytes: [&[u8]; 3]) -> usize {
        bytes.into_iter().map(|bytes| self.put(bytes)).sum()
    }

    /// Takes what fits; how much.
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) -> usize {
        let n = copy(self.room(), bytes);
        self.len += n;
        n
    }
}

impl<'a> State<'a> {
    /// Begins a connection with CONNECT.
    pub(crate) fn open(&mut self, now: Instant, options: &Options<'_>) {
        // it was checked when the client was made that there is one, and that it fits
        let (Ok(identity), Some(transmit)) = (options.identity(), &mut self.transmit) else {
            return;
        };
        if let Ok(len) = self.session.open(now, &identity, transmit.bytes) {
            transmit.len = len;
            self.staged = self.staged.wrapping_add(len as u32);
        }
    }

    /// What the runner is to do next.
    pub(crate) fn turn(&mut self, clock: Clock) -> Turn<'a> {
        self.check_drained();
        self.stage();
        if let Some(transmit) = self.transmit.take_if(|transmit| transmit.len > 0) {
            return Turn::Write(transmit);
        }
        if self.session.wants_close() {
            return Turn::Close;
        }
        let yields = self.wants_to_yield();
        Turn::Wait {
            yields,
            reads: !yields && self.may_read(at(clock)),
            due: self.next_due(clock),
        }
    }

    /// Hands out what can be; whether that was everything accepted up to this count.
    pub(crate) fn stage_up_to(&mut self, accepted: u32) -> bool {
        self.stage();
        if self
            .transmit
            .as_mut()
            .is_none_or(|transmit| transmit.room().is_empty())
        {
            return false;
        }
        self.handed_out().wrapping_sub(accepted) as i32 >= 0
    }

    /// What [`written`](Self::written) is or was at last on this connection, unless others have ended since.
    pub(crate) const fn written_of(&self, link: u32) -> Option<u32> {
        match self.links.wrapping_sub(link) {
            0 => Some(self.written),
            1 => Some(self.closed_at),
            _ => None,
        }
    }

    /// QoS 1 messages that were accepted and are handed out, from the start, modulo 2³².
    pub(crate) fn handed_out(&self) -> u32 {
        self.accepted.wrapping_sub(self.session.waiting().into())
    }

    /// The transport has taken so many of the bytes to be written.
    pub(crate) fn give_back(&mut self, now: Instant, mut transmit: Transmit<'a>, written: usize) {
        self.session.handle_written(now, written);
        self.written = self.written.wrapping_add(written as u32);
        if written >= transmit.len {
            transmit.len = 0;
            transmit.at_most_once = 0;
        }
        self.transmit = Some(transmit);
        self.wakers.wake();
    }

    /// The connection has ended, and with it what was not written.
    pub(crate) fn handle_closed(&mut self) -> Ended {
        let was_connected = matches!(self.connection, ConnectionState::Connected { .. });
        if let Some(transmit) = &mut self.transmit {
            let lost = core::mem::take(&mut transmit.at_most_once);
            self.stats.lost_with_connection = self.stats.lost_with_connection.wrapping_add(lost);
            transmit.len = 0;
        }
        self.links = self.links.wrapping_add(1);
        self.closed_at = self.written;
        self.written = self.staged;
        self.awaited = None;
        if was_connected {
            self.stats.disconnections = self.stats.disconnections.wrapping_add(1);
        }
        self.connection = ConnectionState::Connecting;
        self.queue.handle_closed(&mut self.stats.dropped);
        self.payload_ahead = 0;
        self.reading = Reading::On;
        self.discards = false;
        self.cut = ReadError::ConnectionLost;
        let next = self.session.handle_closed();
        self.wakers.wake();
        Ended {
            was_connected,
            next,
        }
    }

    /// Moves what the session wants to send to the transmit buffer.
    #[inline(never)]
    fn stage(&mut self) {
        let accepted = self.session.accepts_at_most_once();
        self.request();
        let Some(transmit) = &mut self.transmit else {
            return;
        };
        while !transmit.room().is_empty() {
            let Some(next) = self.session.poll_transmit() else {
                break;
            };
            let mut payload: &[u8] = &[];
            let (mut orphan, mut awaited) = (None, None);
            if let Some(range) = next.payload {
                let packet = range.handle;
                match packet.payload {
                    Payload::Kept => payload = packet.payload(range.offset, range.len),
                    Payload::Supplied if self.outbox.is_watched(packet) => {
                        awaited = Some(range.id);
                    }
                    Payload::Supplied => orphan = Some(range.id),
                }
            }
            if let Some(id) = orphan {
                if let Some(handle) = self.session.abandon(id) {
                    self.outbox.finish(handle, None);
                }
                continue;
            }
            if awaited.is_some() {
                // its publisher hands it out, and is told once: whoever looks would else wake all others
                self.session.postpone();
                if awaited != self.awaited {
                    self.awaited = awaited;
                    self.wakers.wake();
                }
                break;
            }
            let n = transmit.put_all(next.bytes) + transmit.put(payload);
            if n == 0 {
                break;
            }
            if next.begins == Some(Dup::Repeat) {
                self.stats.resent = self.stats.resent.wrapping_add(1);
            }
            self.session.advance(n);
            self.staged = self.staged.wrapping_add(n as u32);
        }
        if !accepted && self.session.accepts_at_most_once() {
            self.wakers.wake();
        }
    }

    /// Turns wishes for subscriptions into packets.
    fn request(&mut self) {
        while self.session.wants_renewal() {
            // there is room, and one filter makes no packet too long
            let _ = self.session.renew(self.routes.next_subscribe());
        }
        while self.session.is_connected() && !self.session.is_control_full() {
            let next = self.routes.next_subscribe();
            let Some(next) = next.or_else(|| self.routes.next_unsubscribe()) else {
                return;
            };
            let _ = self.session.enqueue(next);
        }
    }

    /// Whether everything that was accepted is settled and written.
    pub(crate) fn is_drained(&self) -> bool {
        let is_written = self
            .transmit
            .as_ref()
            .is_some_and(|transmit| transmit.len == 0);
        // within a QoS 0 message its writer is waited for
        let is_whole = !self.session.is_connected() || self.session.accepts_at_most_once();
        self.outbox.is_empty() && is_written && is_whole
    }

    /// Whether the rest of a QoS 0 message that was begun on this connection can still be sent.
    pub(crate) const fn can_append(&self, link: u32) -> bool {
        self.links == link && !self.session.wants_close()
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

    /// Whoever supplies the payload that is due had nothing for too long; true if it was that.
    pub(crate) fn fail_supply(&mut self) -> bool {
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
