//! Received messages, from the receive buffer to their inboxes.
//!
//! ```text
//! receive buffer ─► arriving block ─► a free seat ─► the application, which gives the block back
//!                         └─ what is longer than a block: its further bytes, read from here ─►
//! ```

use mqtt_codec::session::{AckToken, Message};
use mqtt_codec::wire::{Dup, QoS, Retain, TopicFilter, TopicName};

use super::{UNMATCHED, copy};

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
    block: Option<&'a mut [u8]>,
    payload_len: u32,
    topic_len: u16,
    route: u16,
    token: Option<AckToken>,
    retain: Retain,
    dup: Dup,
    /// It waits for its inbox, or for a seat.
    waits: bool,
    /// The broker sends it again when the session goes on with another connection.
    comes_again: bool,
    /// In the order of arrival, modulo 2³².
    number: u32,
}

impl<'a> Received<'a> {
    /// All of it is zero in memory.
    pub(crate) const EMPTY: Self = Self {
        block: None,
        payload_len: 0,
        topic_len: 0,
        route: 0,
        token: None,
        retain: Retain::No,
        dup: Dup::First,
        waits: false,
        comes_again: false,
        number: 0,
    };

    pub(crate) const fn set_up(&mut self, block: &'a mut [u8]) -> &mut Self {
        self.block = Some(block);
        self
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

    /// What tells it from others.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The topic, which was checked when it came.
    pub(crate) fn topic(&self) -> TopicName<'_> {
        let topic = self.block().get(..usize::from(self.topic_len));
        TopicName::assume_checked(topic.unwrap_or_default())
    }

    /// The payload, or as much of it as the block holds.
    pub(crate) fn payload(&self) -> &[u8] {
        let there = self.block().get(usize::from(self.topic_len)..);
        let there = there.unwrap_or_default();
        there.get(..self.payload_len as usize).unwrap_or(there)
    }

    fn block(&self) -> &[u8] {
        self.block.as_deref().unwrap_or_default()
    }

    fn waits_for(&self, route: u16) -> bool {
        self.waits && self.route == route
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
    Idle,
    /// Its first bytes fill the block.
    Head,
    /// It waits for a seat.
    Parked,
    /// Its further bytes go through the block to their reader.
    Stream,
    /// Its bytes are passed over.
    Skip,
}

impl<'a> Queue<'a> {
    /// Of messages that have their blocks.
    pub(crate) const fn new(
        seats: &'a mut [Seat<'a>],
        arriving: &'a mut Received<'a>,
    ) -> Self {
        Self {
            seats,
            arrival: Arrival {
                received: arriving,
                phase: Phase::Idle,
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

    /// Whether a block holds the whole message.
    pub(crate) fn fits(&self, message: &Message<'_>) -> bool {
        let room = self.arrival.received.block().len();
        let room = room.checked_sub(message.topic.as_bytes().len());
        room.is_some_and(|room| message.payload_len as usize <= room)
    }

    /// Begins a message; its payload follows by [`fill`](Self::fill). False if its topic is longer than a block.
    pub(crate) fn begin(&mut self, route: u16, message: &Message<'_>) -> bool {
        let topic = message.topic.as_bytes();
        let arrival = &mut self.arrival;
        let received = &mut *arrival.received;
        if topic.len() > received.block().len() {
            return false;
        }
        arrival.to = copy(received.block.as_deref_mut().unwrap_or_default(), topic);
        arrival.left = message.payload_len;
        received.payload_len = message.payload_len;
        received.topic_len = topic.len() as u16;
        received.route = route;
        received.token = message.token;
        received.comes_again = message.token.is_some();
        received.retain = message.retain;
        received.dup = message.dup;
        received.waits = true;
        arrival.phase = Phase::Head;
        self.fill(&[]);
        true
    }

    /// Begins a message that nobody gets.
    pub(crate) fn skip(&mut self, payload_len: u32) {
        self.arrival.left = payload_len;
        self.arrival.phase = Phase::Skip;
        self.fill(&[]);
    }

    /// Takes the next bytes of the payload; returns how many it took.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let arrival = &mut self.arrival;
        let n = match arrival.phase {
            Phase::Idle | Phase::Parked => 0,
            Phase::Skip => bytes.len(),
            Phase::Head | Phase::Stream => {
                let block = arrival.received.block.as_deref_mut().unwrap_or_default();
                let n = copy(block.get_mut(arrival.to..).unwrap_or_default(), bytes);
                arrival.to += n;
                n
            }
        };
        arrival.left -= n as u32;
        let is_full = arrival.to >= arrival.received.block().len();
        match arrival.phase {
            Phase::Head if arrival.left == 0 || is_full => arrival.phase = Phase::Parked,
            Phase::Skip if arrival.left == 0 => arrival.phase = Phase::Idle,
            _ => {}
        }
        n
    }

    /// QoS of the message that waits for a seat.
    pub(crate) fn parked(&self) -> Option<QoS> {
        (self.arrival.phase == Phase::Parked).then(|| self.arrival.received.qos())
    }

    /// Whether nothing more comes into the block before something was read from it.
    pub(crate) fn is_blocked(&self) -> bool {
        let arrival = &self.arrival;
        match arrival.phase {
            Phase::Parked => true,
            Phase::Stream => arrival.left == 0 || arrival.to >= arrival.received.block().len(),
            Phase::Idle | Phase::Head | Phase::Skip => false,
        }
    }

    /// Moves the message that waits to a free seat; false if there is none.
    pub(crate) fn seat(&mut self) -> bool {
        let QoS::AtLeastOnce = self.arrival.received.qos() else {
            // half of the seats at most: a flood of QoS 0 must not keep QoS 1 out
            let is_qos_0 =
                |received: &&&mut Received<'a>| received.waits && received.token.is_none();
            let taken = self.seats.iter().flatten().filter(is_qos_0).count();
            return taken < self.seats.len() - self.seats.len() / 2 && self.take_seat();
        };
        self.take_seat()
    }

    fn take_seat(&mut self) -> bool {
        let mut seats = self.seats.iter_mut().flatten();
        let Some(seat) = seats.find(|received| !received.waits) else {
            return false;
        };
        let arrival = &mut self.arrival;
        self.newest = self.newest.wrapping_add(1);
        arrival.received.number = self.newest;
        let token = arrival.received.token;
        core::mem::swap(seat, &mut arrival.received);
        arrival.from = 0;
        arrival.to = 0;
        arrival.phase = Phase::Idle;
        if arrival.left > 0 {
            // its further bytes come into the other block
            arrival.received.number = self.newest;
            arrival.received.token = token;
            arrival.phase = Phase::Stream;
        }
        true
    }

    /// Gives up the message that is arriving, or being read as a stream; its token if it has one. If nobody has its
    /// beginning, and the broker does not send it again, it counts as dropped.
    pub(crate) fn drop_arrival(&mut self, dropped: &mut u32) -> Option<AckToken> {
        let arrival = &mut self.arrival;
        let Received { token, number, .. } = *arrival.received;
        arrival.received.waits = false;
        let is_lost = match arrival.phase {
            Phase::Idle | Phase::Skip => return None,
            Phase::Head | Phase::Parked => true,
            // nobody has its beginning yet: then nobody needs it
            Phase::Stream => self.seats.iter_mut().flatten().any(|received| {
                let is_it = received.waits && received.number == number;
                received.waits &= !is_it;
                is_it
            }),
        };
        if is_lost && token.is_none() {
            *dropped = dropped.wrapping_add(1);
        }
        arrival.phase = match arrival.left {
            0 => Phase::Idle,
            _ => Phase::Skip,
        };
        token
    }

    /// The connection has ended: what was arriving never will.
    pub(crate) fn handle_closed(&mut self, dropped: &mut u32) {
        self.drop_arrival(dropped);
        self.arrival.left = 0;
        self.arrival.phase = Phase::Idle;
    }

    /// Forgets, of the messages that wait, those that come again if the session goes on, and those of subscriptions that
    /// are over. The others stay: no broker sends them again.
    pub(crate) fn handle_connected(&mut self, goes_on: bool, is_over: impl Fn(u16) -> bool) {
        for received in self.seats.iter_mut().flatten() {
            received.waits &= !(goes_on && received.comes_again || is_over(received.route));
            received.comes_again = false;
        }
    }

    /// Drops the QoS 0 messages for an inbox that nobody has any more.
    pub(crate) fn drop_at_most_once(&mut self, route: u16, dropped: &mut u32) {
        let arrival = &mut self.arrival;
        let is_its = |received: &Received<'_>| received.route == route && received.token.is_none();
        // the block of a stream is not that of its beginning, and has the number of that; no other has that of one that waits
        let mut ends = arrival.phase != Phase::Stream && is_its(arrival.received);
        for received in self.seats.iter_mut().flatten() {
            if received.waits && is_its(received) {
                received.waits = false;
                *dropped = dropped.wrapping_add(1);
                ends |= received.number == arrival.received.number;
            }
        }
        if ends {
            self.drop_arrival(dropped);
        }
    }

    /// The oldest message for an inbox.
    pub(crate) fn take(&mut self, is_for_it: impl Fn(u16) -> bool) -> Option<&'a mut Received<'a>> {
        let mut oldest = None;
        // it is the one that is furthest behind the newest
        let mut distance = 0;
        for seat in self.seats.iter_mut() {
            let Some(received) = seat.as_ref().filter(|received| received.waits) else {
                continue;
            };
            let behind = self.newest.wrapping_sub(received.number);
            if behind >= distance && is_for_it(received.route) {
                distance = behind;
                oldest = Some(seat);
            }
        }
        let received = oldest?.take()?;
        received.waits = false;
        Some(received)
    }

    /// The application gives back what it got by [`take`](Self::take); its token if it has one.
    pub(crate) fn give_back(
        &mut self,
        received: &'a mut Received<'a>,
        dropped: &mut u32,
    ) -> Option<AckToken> {
        let Received { number, token, .. } = *received;
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.is_none()) {
            *seat = Some(received);
        }
        if self.is_streamed(number) {
            self.drop_arrival(dropped);
        }
        token
    }

    /// Whether the rest of this message can still come.
    pub(crate) fn is_streamed(&self, number: u32) -> bool {
        self.arrival.phase == Phase::Stream && self.arrival.received.number == number
    }

    /// Reads of the current stream what is there.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let arrival = &mut self.arrival;
        let there = arrival.received.block().get(arrival.from..arrival.to);
        let n = copy(out, there.unwrap_or_default());
        arrival.from += n;
        if arrival.from == arrival.to {
            arrival.from = 0;
            arrival.to = 0;
            if arrival.left == 0 {
                arrival.phase = Phase::Idle;
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
                Some(received) if !received.waits => is_any_free = true,
                Some(received) if is_read(received.route) => waiting += 1,
                Some(_) => {}
            }
        }
        is_any_free && waiting * 2 <= self.seats.len()
    }

    /// Has what matches no subscription, and waits for an inbox or a seat, wait for this one if it matches.
    pub(crate) fn claim(&mut self, route: u16, filter: TopicFilter<'_>) {
        let arriving = Some(&mut self.arrival.received);
        for received in self.seats.iter_mut().flatten().chain(arriving) {
            if received.waits_for(UNMATCHED) && filter.matches(received.topic()) {
                received.route = route;
            }
        }
    }

    /// Has what waits for one inbox wait for the one that `choose` says for its topic. Nothing for it is
    /// arriving.
    pub(crate) fn assign(&mut self, from: u16, choose: impl Fn(TopicName<'_>) -> u16) {
        for received in self.seats.iter_mut().flatten() {
            if received.waits_for(from) {
                received.route = choose(received.topic());
            }
        }
    }

    /// Removes a message that waits for an inbox; its token if it has one.
    pub(crate) fn remove(&mut self, route: u16, dropped: &mut u32) -> Option<Option<AckToken>> {
        let mut seats = self.seats.iter_mut().flatten();
        let received = seats.find(|received| received.waits_for(route))?;
        received.waits = false;
        let Received { number, token, .. } = **received;
        if self.is_streamed(number) {
            self.drop_arrival(dropped);
        }
        Some(token)
    }
}
