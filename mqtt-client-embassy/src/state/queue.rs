//! Received messages, from the receive buffer to their inboxes.
//!
//! ```text
//! receive buffer ─► arriving block ─► a free seat ─► the application, which gives the block back
//!                         └─ what is longer than a block: its further bytes, read from here ─►
//! ```

use mqtt_codec::session::{AckToken, Message};
use mqtt_codec::wire::{Dup, QoS, Retain, TopicName};

use super::{Routes, UNMATCHED, copy};

#[derive(Debug)]
pub(crate) struct Queue<'a> {
    seats: &'a mut [Seat<'a>],
    arrival: Arrival<'a>,
    /// Number of the newest message that has got a seat.
    newest: u32,
}

/// `None` while the application has it.
pub(crate) type Seat<'a> = Option<&'a mut Received<'a>>;

/// A block for a message, and what is known of the one in it.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    block: &'a mut [u8],
    payload_len: u32,
    topic_len: u16,
    inbox: u16,
    token: Option<AckToken>,
    retain: Retain,
    dup: Dup,
    stay: Stay,
    /// In the order of arrival, modulo 2³².
    number: u32,
}

/// Whether a message waits for its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// There is none, or the application has it.
    No,
    /// The broker does not send it again.
    Kept,
    /// The broker sends it again when the session goes on with another connection.
    Repeated,
}

impl<'a> Received<'a> {
    pub(crate) const EMPTY: Self = Self::new(&mut []);

    pub(crate) const fn new(block: &'a mut [u8]) -> Self {
        Self {
            block,
            payload_len: 0,
            topic_len: 0,
            inbox: 0,
            token: None,
            retain: Retain::No,
            dup: Dup::First,
            stay: Stay::No,
            number: 0,
        }
    }

    pub(crate) const fn qos(&self) -> QoS {
        match self.token {
            Some(_) => QoS::AtLeastOnce,
            None => QoS::AtMostOnce,
        }
    }

    pub(crate) const fn retain(&self) -> Retain {
        self.retain
    }

    pub(crate) const fn dup(&self) -> Dup {
        self.dup
    }

    pub(crate) const fn payload_len(&self) -> u32 {
        self.payload_len
    }

    /// The number of its subscription, or [`UNMATCHED`].
    pub(crate) const fn inbox(&self) -> u16 {
        self.inbox
    }

    /// What tells it from others.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The topic, which was checked when it came.
    pub(crate) fn topic(&self) -> TopicName<'_> {
        let topic_len = usize::from(self.topic_len).min(self.block.len());
        TopicName::assume_checked(self.block.get(..topic_len).unwrap_or_default())
    }

    /// The payload, or as much of it as the block holds.
    pub(crate) fn payload(&self) -> &[u8] {
        let from = usize::from(self.topic_len);
        let to = (from + self.payload_len as usize).min(self.block.len());
        self.block.get(from..to).unwrap_or_default()
    }

    const fn waits(&self) -> bool {
        !matches!(self.stay, Stay::No)
    }
}

/// The message that is arriving.
#[derive(Debug)]
struct Arrival<'a> {
    received: &'a mut Received<'a>,
    phase: Phase,
    /// Bytes of its payload that have not come into the block yet.
    left: u32,
    /// Of the block, in [`Phase::Stream`]: `from..to` waits to be read.
    from: usize,
    to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its bytes are passed over, if there is one.
    Skip,
    /// Its first bytes fill the block, then it waits for a seat.
    Head,
    /// Its further bytes go through the block to their reader.
    Stream,
}

impl Arrival<'_> {
    const fn is_rest_of(&self, number: u32) -> bool {
        matches!(self.phase, Phase::Stream) && self.received.number == number
    }
}

impl<'a> Queue<'a> {
    /// Of messages that have their blocks.
    pub(crate) const fn new(seats: &'a mut [Seat<'a>], arriving: &'a mut Received<'a>) -> Self {
        Self {
            seats,
            arrival: Arrival {
                received: arriving,
                phase: Phase::Skip,
                left: 0,
                from: 0,
                to: 0,
            },
            newest: 0,
        }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.seats.len()
    }

    /// Begins a message; its payload follows by [`fill`](Self::fill). If its topic is longer than a block, it is
    /// passed over, and `Err` is what else is known of it.
    #[inline(always)]
    pub(crate) fn begin(&mut self, message: &Message<'_>) -> Result<(), &Received<'a>> {
        let topic = message.topic.as_bytes();
        let arrival = &mut self.arrival;
        let received = &mut *arrival.received;
        let fits = topic.len() <= received.block.len();
        arrival.to = copy(received.block, topic);
        arrival.left = message.payload_len;
        arrival.phase = match fits {
            true => Phase::Head,
            false => Phase::Skip,
        };
        received.payload_len = message.payload_len;
        received.topic_len = topic.len() as u16;
        received.inbox = UNMATCHED;
        received.token = message.token;
        received.retain = message.retain;
        received.dup = message.dup;
        match fits {
            true => Ok(()),
            false => Err(received),
        }
    }

    /// Passes over the rest of the message that arrives; its token if it has one.
    pub(crate) fn skip(&mut self) -> Option<AckToken> {
        self.arrival.phase = Phase::Skip;
        self.arrival.received.token
    }

    /// Takes the next bytes of the payload; returns how many it took.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let arrival = &mut self.arrival;
        let mut n = bytes.len();
        if arrival.phase != Phase::Skip {
            let block = &mut *arrival.received.block;
            let (_, room) = block.split_at_mut(arrival.to.min(block.len()));
            n = copy(room, bytes);
            arrival.to += n;
        }
        arrival.left -= n as u32;
        n
    }

    /// Whether nothing more comes into the block before something was read from it.
    pub(crate) fn is_blocked(&self) -> bool {
        let arrival = &self.arrival;
        let room = arrival.received.block.len() - arrival.to;
        arrival.phase != Phase::Skip && (room as u32).min(arrival.left) == 0
    }

    /// The message that waits for a seat, if something is blocked.
    pub(crate) fn parked(&self) -> Option<&Received<'a>> {
        let arrival = &self.arrival;
        (arrival.phase == Phase::Head).then_some(&*arrival.received)
    }

    /// Whether the block holds all of it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.arrival.left == 0
    }

    /// Moves the message that waits to a free seat, for this inbox; false if there is none.
    pub(crate) fn seat(&mut self, inbox: u16) -> bool {
        let arrival = &mut self.arrival;
        let (mut free, mut at_most_once) = (None, 0);
        let len = self.seats.len();
        for received in self.seats.iter_mut().flatten() {
            if !received.waits() {
                free = Some(received);
            } else if received.token.is_none() {
                at_most_once += 1;
            }
        }
        // half of the seats at most: a flood of QoS 0 must not keep QoS 1 out
        let may = arrival.received.token.is_some() || at_most_once < len.div_ceil(2);
        let Some(free) = free.filter(|_| may) else {
            return false;
        };
        self.newest = self.newest.wrapping_add(1);
        let beginning = &mut *arrival.received;
        beginning.inbox = inbox;
        beginning.number = self.newest;
        let token = beginning.token;
        beginning.stay = match token {
            Some(_) => Stay::Repeated,
            None => Stay::Kept,
        };
        core::mem::swap(free, &mut arrival.received);
        // its further bytes, if there are any, come into the other block
        arrival.received.number = self.newest;
        arrival.received.token = token;
        arrival.from = 0;
        arrival.to = 0;
        arrival.phase = match arrival.left {
            0 => Phase::Skip,
            _ => Phase::Stream,
        };
        true
    }

    /// Gives up the message that is arriving, or being read as a stream; its token if it has one. If nobody has its
    /// beginning, and the broker does not send it again, it counts as dropped.
    pub(crate) fn drop_arrival(&mut self, dropped: &mut u32) -> Option<AckToken> {
        let arrival = &mut self.arrival;
        let Received { token, number, .. } = *arrival.received;
        let is_lost = match core::mem::replace(&mut arrival.phase, Phase::Skip) {
            Phase::Skip => return None,
            Phase::Head => true,
            Phase::Stream => {
                // nobody has its beginning yet: then nobody needs it
                let mut received = self.seats.iter_mut().flatten();
                let beginning = received.find(|received| received.number == number);
                beginning.map(|it| it.stay = Stay::No).is_some()
            }
        };
        if is_lost && token.is_none() {
            *dropped = dropped.wrapping_add(1);
        }
        token
    }

    /// The connection has ended: what was arriving never will.
    pub(crate) fn handle_closed(&mut self, dropped: &mut u32) {
        self.drop_arrival(dropped);
        self.arrival.left = 0;
    }

    /// The messages that wait stay, since no broker sends them again; but if the session goes on, it does so with those
    /// of its last connection.
    pub(crate) fn handle_connected(&mut self, goes_on: bool) {
        for received in self.seats.iter_mut().flatten() {
            if received.stay == Stay::Repeated {
                received.stay = match goes_on {
                    true => Stay::No,
                    false => Stay::Kept,
                };
            }
        }
    }

    /// Has each message that waits wait for its inbox; removes one that nobody gets, whose token it returns, if it has
    /// one. To be called until there is none.
    pub(crate) fn sort(&mut self, routes: &Routes<'_>) -> Option<Option<AckToken>> {
        for received in self.seats.iter_mut().flatten() {
            if !received.waits() {
                continue;
            }
            match routes.inbox_for(received, None) {
                Some(inbox) => received.inbox = inbox,
                None => {
                    received.stay = Stay::No;
                    if self.arrival.is_rest_of(received.number) {
                        self.arrival.phase = Phase::Skip;
                    }
                    return Some(received.token);
                }
            }
        }
        None
    }

    /// The oldest message for an inbox.
    pub(crate) fn take(&mut self, inbox: u16) -> Option<&'a mut Received<'a>> {
        let mut oldest = None;
        // it is the one that is furthest behind the newest
        let mut distance = 0;
        for seat in self.seats.iter_mut() {
            let Some(received) = seat.as_ref().filter(|received| received.waits()) else {
                continue;
            };
            let behind = self.newest.wrapping_sub(received.number);
            if behind >= distance && received.inbox == inbox {
                distance = behind;
                oldest = Some(seat);
            }
        }
        let received = oldest?.take()?;
        received.stay = Stay::No;
        Some(received)
    }

    /// The application gives back what it got by [`take`](Self::take); its token if it has one.
    pub(crate) fn give_back(&mut self, received: &'a mut Received<'a>) -> Option<AckToken> {
        let Received { number, token, .. } = *received;
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.is_none()) {
            *seat = Some(received);
        }
        if self.arrival.is_rest_of(number) {
            self.arrival.phase = Phase::Skip;
        }
        token
    }

    /// Whether the rest of this message can still come.
    pub(crate) fn is_streamed(&self, number: u32) -> bool {
        self.arrival.is_rest_of(number)
    }

    /// Reads of the current stream what is there.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let arrival = &mut self.arrival;
        let there = arrival.received.block.get(arrival.from..arrival.to);
        let n = copy(out, there.unwrap_or_default());
        arrival.from += n;
        if arrival.from == arrival.to {
            arrival.from = 0;
            arrival.to = 0;
            if arrival.left == 0 {
                arrival.phase = Phase::Skip;
            }
        }
        n
    }

    /// Whether consumers have caught up: the application holds no message, and those that wait for an inbox which
    /// somebody reads take at most half of the seats.
    pub(crate) fn is_drained(&self, is_read: impl Fn(u16) -> bool) -> bool {
        let (mut waiting, mut is_any_free) = (0, false);
        for seat in self.seats.iter() {
            match seat {
                None => return false,
                Some(received) if !received.waits() => is_any_free = true,
                Some(received) if is_read(received.inbox) => waiting += 1,
                Some(_) => {}
            }
        }
        is_any_free && waiting * 2 <= self.seats.len()
    }
}
