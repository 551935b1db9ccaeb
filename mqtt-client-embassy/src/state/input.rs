//! What the broker sends.

use mqtt_codec::session::{AckToken, Error, Input, Instant, Oversized};
use mqtt_codec::wire::{QoS, SessionPresent, TopicName};

use super::{Packet, Reading, Settlement, State};
use crate::{ConnectionState, PublishError, ReadError};

/// What a step of [`State::take_input`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// as `session::Input`
#[cfg_attr(not(target_pointer_width = "64"), repr(u32))]
pub(crate) enum Brought<'b> {
    /// It needs more bytes, or room.
    Nothing,
    /// It went on.
    Something,
    Connected(SessionPresent),
    Oversized {
        /// `None` if it is longer than the receive buffer.
        topic: Option<TopicName<'b>>,
        remaining_length: u32,
    },
}

impl<'a> State<'a> {
    /// Takes at most one packet or one piece of a payload from the front of the receive buffer; returns how many bytes
    /// it is done with.
    #[inline(never)]
    pub(crate) fn take_input<'b>(
        &mut self,
        now: Instant,
        bytes: &'b [u8],
    ) -> Result<(usize, Brought<'b>), Error> {
        if !self.may_read(now) {
            return Ok((0, Brought::Nothing));
        }
        if self.payload_ahead > 0 {
            let n = self
                .queue
                .fill(bytes.get(..self.payload_ahead).unwrap_or(bytes));
            self.payload_ahead -= n;
            let brought = match n {
                0 => Brought::Nothing,
                _ => Brought::Something,
            };
            return Ok((n, brought));
        }
        let (consumed, input) = self.session.handle_input(now, bytes)?;
        let Some(input) = input else {
            let brought = match consumed {
                0 => Brought::Nothing,
                _ => Brought::Something,
            };
            return Ok((consumed, brought));
        };
        let brought = match input {
            Input::Connected { session } => {
                self.handle_connected(session);
                Brought::Connected(session)
            }
            Input::Message(message) => {
                self.payload_ahead = message.payload.len();
                match self.queue.begin(&message) {
                    Ok(()) => Brought::Something,
                    Err(received)
                        if self
                            .routes
                            .inbox_for(received, Some(message.topic))
                            .is_none() =>
                    {
                        self.discard(message.token);
                        Brought::Something
                    }
                    Err(_) => {
                        let remaining_length = message.remaining_length;
                        if self.session.config().oversized == Oversized::Close {
                            return Err(Error::Oversized { remaining_length });
                        }
                        self.settle(message.token, Settlement::Acknowledged);
                        let topic = Some(message.topic);
                        Brought::Oversized {
                            topic,
                            remaining_length,
                        }
                    }
                }
            }
            Input::Payload { bytes, .. } => {
                self.payload_ahead = bytes.len();
                Brought::Something
            }
            Input::Blocked => {
                self.reading = Reading::Blocked;
                self.session.handle_paused();
                Brought::Nothing
            }
            Input::Acknowledged { handle, .. } => {
                self.stats.acknowledged = self.stats.acknowledged.wrapping_add(1);
                self.finish(handle, None);
                Brought::Something
            }
            Input::Subscribed { handle, mut codes } => {
                self.routes.handle_suback(handle, codes.next());
                self.sort();
                self.wakers.tell();
                Brought::Something
            }
            Input::Unsubscribed { handle } => {
                if let Some(unsubscribing) = self.unsubscribing {
                    (unsubscribing.handle_unsuback)(self, handle);
                }
                self.wakers.tell();
                Brought::Something
            }
            Input::Oversized {
                topic,
                remaining_length,
            } => Brought::Oversized {
                topic,
                remaining_length,
            },
            Input::Discarded { .. } => {
                self.stats.discarded_while_stalled =
                    self.stats.discarded_while_stalled.wrapping_add(1);
                Brought::Something
            }
            _ => Brought::Something,
        };
        // it is the end of what the engine has consumed
        Ok((consumed - self.payload_ahead, brought))
    }

    /// Whether bytes may be taken from the receive buffer; holds reading up, or goes on with it.
    fn may_read(&mut self, now: Instant) -> bool {
        let before = self.reading;
        if before != Reading::Blocked || !self.session.is_ack_full() {
            self.reading = self.seat();
        }
        match self.reading {
            Reading::On => {
                self.session.handle_resumed(now);
                return true;
            }
            Reading::Held => self.session.handle_paused(),
            _ => {}
        }
        if before == Reading::On {
            self.wakers.tell();
        }
        false
    }

    /// Whether a QoS 0 message waits for room that its consumer, who may run on the same executor, could make. Asked
    /// once for each.
    pub(crate) fn wants_to_yield(&mut self) -> bool {
        let wants = self.reading == Reading::Yields;
        if wants {
            self.reading = Reading::Yielded;
        }
        wants
    }

    /// Finds a seat for what waits for one; whether anything more can come before there is one.
    #[inline(never)]
    fn seat(&mut self) -> Reading {
        if !self.queue.is_blocked() {
            return Reading::On;
        }
        let Some(received) = self.queue.parked() else {
            return Reading::Held;
        };
        let qos = received.qos();
        // a stream would wait for its reader, whom the answer behind it may have to wake
        let may_seat = !self.discards || self.queue.is_whole();
        match self.routes.inbox_for(received, None) {
            Some(inbox) if may_seat && self.queue.seat(inbox) => {
                self.stats.received = self.stats.received.wrapping_add(1);
                self.wakers.tell();
            }
            Some(_) if qos == QoS::AtLeastOnce => return Reading::Held,
            Some(_) if !self.discards && self.reading != Reading::Yielded => {
                return Reading::Yields;
            }
            _ => {
                let token = self.queue.skip();
                self.discard(token);
            }
        }
        Reading::On
    }

    fn handle_connected(&mut self, session: SessionPresent) {
        self.connection = ConnectionState::Connected { session };
        let goes_on = session == SessionPresent::Present && !self.session.may_be_new();
        if !goes_on {
            self.routes.renew();
        }
        self.queue.handle_connected(goes_on);
        if session == SessionPresent::Absent {
            if let Some(unsubscribing) = self.unsubscribing {
                (unsubscribing.handle_lost)(self);
            }
        }
        self.wakers.tell();
    }

    /// Has each message that waits wait for the inbox that it is for by now; what nobody is to get is acknowledged and
    /// dropped.
    pub(crate) fn sort(&mut self) {
        while let Some(token) = self.queue.sort(&self.routes) {
            self.discard(token);
        }
    }

    /// Nobody gets this message.
    #[inline(never)]
    fn discard(&mut self, token: Option<AckToken>) {
        if token.is_none() {
            self.stats.dropped = self.stats.dropped.wrapping_add(1);
        }
        self.settle(token, Settlement::Acknowledged);
    }

    /// Reads on although the consumers stall.
    pub(crate) fn read_on(&mut self) {
        self.cut = ReadError::Stalled;
        let token = self.queue.drop_arrival(&mut self.stats.dropped);
        if token.is_some() {
            self.stats.discarded_while_stalled = self.stats.discarded_while_stalled.wrapping_add(1);
        }
        self.settle(token, Settlement::GivenUp);
        self.discards = true;
        self.has_released = false;
        self.reading = Reading::On;
        self.wakers.tell();
    }

    /// Ends the discarding of messages when the consumers have caught up, and the answer that they may have waited for
    /// has come: it would be lost with the connection that brings the messages again, as often as that is made.
    pub(crate) fn check_drained(&mut self) {
        if !self.discards || !self.has_released && !self.session.is_idle() {
            return;
        }
        if self.queue.is_drained(|inbox| self.routes.is_read(inbox)) {
            self.discards = false;
            self.session.handle_drained();
        }
    }

    /// A QoS 1 message is over.
    pub(crate) fn finish(&mut self, packet: &'a mut Packet<'a>, error: Option<PublishError>) {
        self.outbox.finish(packet, error);
        self.wakers.tell();
    }
}
