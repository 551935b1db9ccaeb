//! What goes to the broker: from the session and from publishers, through the transmit buffer.

use embassy_time::Instant as Clock;
use mqtt_codec::session::{Instant, Next};
use mqtt_codec::wire::Dup;

use super::{Reading, State, Suspecting, Told, copy, item::Payload};
use crate::{ConnectionState, Options, ReadError};

/// Bytes on their way to the transport.
#[derive(Debug)]
pub(crate) struct Transmit<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) len: usize,
    /// QoS 0 messages of which it has bytes.
    pub(super) at_most_once: u32,
}

/// What the runner is to do next.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// Write these bytes, which come back by [`State::give_back`].
    Write(&'a mut Transmit<'a>),
    /// The same, but there are none: flush and close the transport.
    Close(&'a mut Transmit<'a>),
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
    /// What that means to a message, whose topic is copied if it is asked for.
    pub(crate) told: Option<Told>,
}

impl<'a> Transmit<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            len: 0,
            at_most_once: 0,
        }
    }

    /// What is to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    pub(super) fn put_all(&mut self, bytes: [&[u8]; 3]) -> usize {
        let [before, within, after] = bytes;
        self.put(before) + self.put(within) + self.put(after)
    }

    /// Takes what fits; how much.
    #[inline(never)]
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        let n = copy(self.room(), bytes);
        self.len += n;
        n
    }
}

impl<'a> State<'a> {
    /// Begins a connection with CONNECT.
    pub(crate) fn open(&mut self, now: Instant, options: &Options<'_>) {
        let Some(transmit) = &mut self.transmit else {
            return;
        };
        // it was checked when the client was made that it fits
        if let Ok(len) = self.session.open(now, &options.identity, transmit.bytes) {
            transmit.len = len;
            self.staged = self.staged.wrapping_add(len as u32);
        }
    }

    /// What the runner is to do next.
    pub(crate) fn turn(&mut self, clock: Clock) -> Turn<'a> {
        self.check_drained();
        self.stage();
        self.wakers.wake_if_told();
        if let Some(transmit) = self.transmit.take_if(|transmit| transmit.len > 0) {
            return Turn::Write(transmit);
        }
        if self.session.wants_close() {
            if let Some(transmit) = self.transmit.take() {
                return Turn::Close(transmit);
            }
        }
        let yields = self.wants_to_yield();
        Turn::Wait {
            yields,
            reads: self.reading == Reading::On,
            due: self.next_due(clock),
        }
    }

    /// Hands out what can be; whether that was everything accepted up to this count.
    pub(crate) fn stage_up_to(&mut self, accepted: u32) -> bool {
        self.stage();
        self.wakers.wake_if_told();
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

    /// The transport has taken the bytes to be written but so many: all of them, or it has failed, and may have passed on
    /// all of them.
    pub(crate) fn give_back(&mut self, now: Instant, transmit: &'a mut Transmit<'a>, left: usize) {
        self.session.handle_written(now, transmit.len);
        let written = transmit.len.saturating_sub(left);
        self.written = self.written.wrapping_add(written as u32);
        if left == 0 {
            transmit.len = 0;
            transmit.at_most_once = 0;
        }
        self.transmit = Some(transmit);
        self.wakers.tell();
    }

    /// The connection has ended, and with it what was not written.
    pub(crate) fn handle_closed(
        &mut self,
        suspecting: Option<&Suspecting>,
        out: Option<&mut [u8]>,
    ) -> Ended {
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
        let told = suspecting.and_then(|suspecting| suspecting.0(self, out));
        let next = self.session.handle_closed();
        self.wakers.wake();
        Ended {
            was_connected,
            next,
            told,
        }
    }

    /// Moves what the session wants to send to the transmit buffer.
    #[inline(never)]
    fn stage(&mut self) {
        let accepted = self.session.accepts_at_most_once();
        self.request();
        while let Some(transmit) = &mut self.transmit {
            if transmit.room().is_empty() {
                break;
            }
            let Some(next) = self.session.poll_transmit() else {
                break;
            };
            let mut payload: &[u8] = &[];
            if let Some(range) = next.payload {
                let packet = range.handle;
                if packet.payload == Payload::Supplied {
                    let id = range.id;
                    let Some(supplying) = self.supplying else {
                        break;
                    };
                    match (supplying.pass_turn)(self, id) {
                        true => break,
                        false => continue,
                    }
                }
                payload = packet.payload(range.offset, range.len);
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
            self.wakers.tell();
        }
    }

    /// Turns wishes for subscriptions into packets.
    fn request(&mut self) {
        while self.session.is_connected() {
            if self.routes.are_asked_for() {
                // publishing need not wait for the answers
                let _ = self.session.renew(None);
            }
            let next = self.routes.next_subscribe();
            let unsubscribe = || (self.unsubscribing?.next)(&mut self.routes);
            let Some(next) = next.or_else(unsubscribe) else {
                return;
            };
            // there is room, and one filter makes no packet too long
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
}
