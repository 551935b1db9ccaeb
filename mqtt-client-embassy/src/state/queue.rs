//! Received messages, from the receive buffer to their inboxes.
//!
//! ```text
//! receive buffer ─► arriving block ─► a free seat ─► the application, which gives the block back
//!                         └─ what is longer than a block: its further bytes, read from here ─►
//! ```

use mqtt_codec::session::{AckToken, Message};
use mqtt_codec::wire::{Dup, QoS, Retain, TopicName};

use super::{copy, outbox::split_off};

#[derive(Debug)]
pub(crate) struct Queue<'a> {
    seats: &'a mut [Seat<'a>],
    arrival: Arrival<'a>,
    /// Number of the newest message that has got a seat.
    newest: u32,
}

/// A block, unless the application has it, and the message in it.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    block: Option<&'a mut [u8]>,
    received: Option<Received>,
}

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) route: u16,
    pub(crate) topic_len: u16,
    pub(crate) payload_len: u32,
    pub(crate) token: Option<AckToken>,
    pub(crate) retain: Retain,
    pub(crate) dup: Dup,
    /// In the order of arrival, modulo 2³².
    pub(crate) number: u32,
}

impl Received {
    pub(crate) const fn qos(&self) -> QoS {
        match self.token {
            Some(_) => QoS::AtLeastOnce,
            None => QoS::AtMostOnce,
        }
    }
}

/// The message that is arriving.
#[derive(Debug)]
struct Arrival<'a> {
    block: &'a mut [u8],
    phase: Phase,
    received: Received,
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

const NONE: Received = Received {
    route: 0,
    topic_len: 0,
    payload_len: 0,
    token: None,
    retain: Retain::No,
    dup: Dup::First,
    number: 0,
};

impl Seat<'_> {
    /// All of it is zero in memory, where no message would not be: [`Queue::new`] takes that out.
    pub(crate) const ZERO: Self = Self {
        block: None,
        received: Some(NONE),
    };

    const fn is_free(&self) -> bool {
        self.block.is_some() && self.received.is_none()
    }
}

impl<'a> Queue<'a> {
    /// Each seat gets its block, as long as the one for what arrives.
    #[inline(never)]
    pub(crate) fn new(
        seats: &'a mut [Seat<'a>],
        mut blocks: &'a mut [u8],
        arriving: &'a mut [u8],
    ) -> Self {
        for seat in seats.iter_mut() {
            seat.block = split_off(&mut blocks, arriving.len());
            seat.received = None;
        }
        Self {
            seats,
            arrival: Arrival {
                block: arriving,
                phase: Phase::Idle,
                received: NONE,
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
        let room = self
            .arrival
            .block
            .len()
            .checked_sub(message.topic.as_bytes().len());
        room.is_some_and(|room| message.payload_len as usize <= room)
    }

    /// Begins a message; its payload follows by [`fill`](Self::fill). False if its topic is longer than a block.
    pub(crate) fn begin(&mut self, route: u16, message: &Message<'_>) -> bool {
        let topic = message.topic.as_bytes();
        let Some(place) = self.arrival.block.get_mut(..topic.len()) else {
            return false;
        };
        place.copy_from_slice(topic);
        self.arrival.to = topic.len();
        self.arrival.left = message.payload_len;
        self.arrival.received = Received {
            route,
            topic_len: topic.len() as u16,
            payload_len: message.payload_len,
            token: message.token,
            retain: message.retain,
            dup: message.dup,
            ..NONE
        };
        self.arrival.phase = Phase::Head;
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
                let room = arrival.block.get_mut(arrival.to..).unwrap_or_default();
                let n = copy(room, bytes);
                arrival.to += n;
                n
            }
        };
        arrival.left -= n as u32;
        let is_full = arrival.to >= arrival.block.len();
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
            Phase::Stream => arrival.left == 0 || arrival.to >= arrival.block.len(),
            Phase::Idle | Phase::Head | Phase::Skip => false,
        }
    }

    /// Moves the message that waits to a free seat; false if there is none.
    pub(crate) fn seat(&mut self) -> bool {
        if self.arrival.received.qos() == QoS::AtMostOnce {
            // half of the seats at most: a flood of QoS 0 must not keep QoS 1 out
            let is_qos_0 = |seat: &&Seat<'a>| {
                seat.received
                    .is_some_and(|received| received.token.is_none())
            };
            let taken = self.seats.iter().filter(is_qos_0).count();
            if taken >= self.seats.len() - self.seats.len() / 2 {
                return false;
            }
        }
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.is_free()) else {
            return false;
        };
        let Some(block) = &mut seat.block else {
            return false;
        };
        let arrival = &mut self.arrival;
        core::mem::swap(block, &mut arrival.block);
        arrival.from = 0;
        arrival.to = 0;
        arrival.phase = match arrival.left {
            0 => Phase::Idle,
            _ => Phase::Stream,
        };
        self.newest = self.newest.wrapping_add(1);
        arrival.received.number = self.newest;
        seat.received = Some(arrival.received);
        true
    }

    /// Gives up the message that is arriving, or being read as a stream; its token if it has one. If nobody has its
    /// beginning, and the broker does not send it again, it counts as dropped.
    pub(crate) fn drop_arrival(&mut self, dropped: &mut u32) -> Option<AckToken> {
        let arrival = &mut self.arrival;
        let Received { token, number, .. } = arrival.received;
        let is_lost = match arrival.phase {
            Phase::Idle | Phase::Skip => return None,
            Phase::Head | Phase::Parked => true,
            // nobody has its beginning yet: then nobody needs it
            Phase::Stream => self.seats.iter_mut().any(|seat| {
                let is_it = |received: &mut Received| received.number == number;
                seat.received.take_if(is_it).is_some()
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

    /// The broker sends again what was not acknowledged: forget it, or it would come twice.
    pub(crate) fn forget_unacknowledged(&mut self) {
        for seat in self.seats.iter_mut() {
            if seat
                .received
                .is_some_and(|received| received.token.is_some())
            {
                seat.received = None;
            }
        }
    }

    /// The oldest message for an inbox, with its bytes.
    pub(crate) fn take(
        &mut self,
        is_for_it: impl Fn(u16) -> bool,
    ) -> Option<(&'a mut [u8], Received)> {
        let mut oldest = None;
        // it is the one that is furthest behind the newest
        let mut distance = 0;
        for seat in self.seats.iter_mut() {
            let Some(received) = &seat.received else {
                continue;
            };
            let behind = self.newest.wrapping_sub(received.number);
            if behind >= distance && is_for_it(received.route) {
                distance = behind;
                oldest = Some(seat);
            }
        }
        let seat = oldest?;
        Some((seat.block.take()?, seat.received.take()?))
    }

    /// The application gives back what it got by [`take`](Self::take).
    pub(crate) fn give_back(&mut self, block: &'a mut [u8], number: u32, dropped: &mut u32) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.block.is_none()) {
            seat.block = Some(block);
        }
        if self.is_streamed(number) {
            self.drop_arrival(dropped);
        }
    }

    /// Whether the rest of this message can still come.
    pub(crate) fn is_streamed(&self, number: u32) -> bool {
        self.arrival.phase == Phase::Stream && self.arrival.received.number == number
    }

    /// Reads of the current stream what is there.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let arrival = &mut self.arrival;
        let there = arrival
            .block
            .get(arrival.from..arrival.to)
            .unwrap_or_default();
        let n = copy(out, there);
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
            match seat.received {
                _ if seat.block.is_none() => return false,
                Some(received) if is_read(received.route) => waiting += 1,
                Some(_) => {}
                None => is_any_free = true,
            }
        }
        is_any_free && waiting * 2 <= self.seats.len()
    }

    /// Has what waits for one route wait for the one that `choose` finds for its topic, if it finds one.
    pub(crate) fn assign(&mut self, from: u16, choose: impl Fn(TopicName<'_>) -> Option<u16>) {
        for seat in self.seats.iter_mut() {
            let Some(received) = seat.received.as_mut().filter(|r| r.route == from) else {
                continue;
            };
            let block = seat.block.as_deref().unwrap_or_default();
            if let Some(route) = choose(topic(block, received.topic_len)) {
                received.route = route;
            }
        }
    }

    /// Removes a message that waits for an inbox; its token if it has one.
    pub(crate) fn remove(&mut self, route: u16, dropped: &mut u32) -> Option<Option<AckToken>> {
        let has = |seat: &&mut Seat<'a>| {
            seat.received
                .is_some_and(|received| received.route == route)
        };
        let received = self.seats.iter_mut().find(has)?.received.take()?;
        if self.is_streamed(received.number) {
            self.drop_arrival(dropped);
        }
        Some(received.token)
    }
}

/// The topic at the beginning of a block, which was checked when it came.
pub(crate) fn topic(block: &[u8], len: u16) -> TopicName<'_> {
    TopicName::assume_checked(block.get(..usize::from(len)).unwrap_or_default())
}
