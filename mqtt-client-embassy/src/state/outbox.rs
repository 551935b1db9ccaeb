//! Memory for QoS 1 messages on their way out, and what became of them.

use mqtt_codec::wire::{PacketId, Retain, TopicName};

use super::item::{Packet, What};
use crate::PublishError;

#[derive(Debug)]
pub(crate) struct Outbox<'a> {
    places: &'a mut [Place<'a>],
    /// Bytes of each place.
    block_len: usize,
}

/// A message while nobody has it, and the outcome of the one that was sent last.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    packet: Option<&'a mut Packet<'a>>,
    serial: u32,
    stage: Stage,
    /// A connection has got all of a payload that its publisher supplies.
    is_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)] // the first is zero in memory
enum Stage {
    Free,
    /// Under way; somebody waits for the outcome.
    Watched,
    /// Under way; nobody does.
    Unwatched,
    /// Not delivered, which nobody has asked for yet.
    Failed(PublishError),
}

/// Whoever has it may ask what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// As a number: with the niche of a [`PacketId`] each result that has a ticket is taken apart by shifts.
    id: u16,
    place: u16,
    serial: u32,
}

impl Ticket {
    pub(crate) const fn new(id: PacketId, place: u16, serial: u32) -> Self {
        Self {
            id: id.get(),
            place,
            serial,
        }
    }
}

impl<'a> Place<'a> {
    /// All of it is zero in memory.
    pub(crate) const EMPTY: Self = Self {
        packet: None,
        serial: 0,
        stage: Stage::Free,
        is_whole: false,
    };

    /// Becomes the place of this number, with a block for a message.
    // a call in its loop: inlined, each of its stores becomes a pointer that is counted on
    #[inline(never)]
    pub(crate) fn set_up(&mut self, index: u16, packet: &'a mut Packet<'a>, block: &'a mut [u8]) {
        packet.content = What::Publish(block);
        packet.index = index;
        self.packet = Some(packet);
    }
}

impl<'a> Outbox<'a> {
    /// Of places that have blocks of `block_len` bytes.
    pub(crate) const fn new(places: &'a mut [Place<'a>], block_len: usize) -> Self {
        Self { places, block_len }
    }

    /// Whether a place is long enough, free or not.
    pub(crate) const fn fits(&self, len: usize) -> bool {
        len <= self.block_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places
            .iter()
            .all(|place| matches!(place.stage, Stage::Free | Stage::Failed(_)))
    }

    /// Moves a message that fits to a free place; its packet.
    pub(crate) fn put(
        &mut self,
        serial: u32,
        topic: TopicName<'_>,
        retain: Retain,
        payload: Result<&[u8], u32>,
    ) -> Option<&'a mut Packet<'a>> {
        let is_free = |place: &&mut Place<'_>| place.stage == Stage::Free && place.packet.is_some();
        let place = self.places.iter_mut().find(is_free)?;
        let packet = place.packet.take()?;
        place.serial = serial;
        place.stage = Stage::Watched;
        place.is_whole = false;
        packet.publish(topic, retain, payload);
        Some(packet)
    }

    pub(crate) fn set_whole(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(ticket) {
            place.is_whole = true;
        }
    }

    /// Nobody supplies it any more: its id, if it is under way and no connection has got all of it.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<PacketId> {
        self.unwatch(ticket);
        let place = self.place(ticket)?;
        let is_lacking = place.stage == Stage::Unwatched && !place.is_whole;
        PacketId::new(ticket.id).filter(|_| is_lacking)
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.places.len()
    }

    /// Whether this message of the session is the ticket's, and not one that has got its place since.
    pub(crate) fn is(&mut self, ticket: Ticket, packet: &Packet<'_>) -> bool {
        ticket.place == packet.index && self.place(ticket).is_some()
    }

    /// Whether anybody waits for its outcome.
    pub(crate) fn is_watched(&self, packet: &Packet<'_>) -> bool {
        let place = self.places.get(usize::from(packet.index));
        place.is_some_and(|place| place.stage == Stage::Watched)
    }

    /// A message is over. Its memory is free again.
    #[inline(never)]
    pub(crate) fn finish(&mut self, packet: &'a mut Packet<'a>, error: Option<PublishError>) {
        self.fail(packet, error);
        self.give_back(packet);
    }

    /// The outcome, for a message whose memory is still in use.
    pub(crate) fn fail(&mut self, packet: &Packet<'_>, error: Option<PublishError>) {
        if let Some(place) = self.places.get_mut(usize::from(packet.index)) {
            place.stage = match (place.stage, error) {
                (Stage::Watched, Some(error)) => Stage::Failed(error),
                _ => Stage::Free,
            };
        }
    }

    pub(crate) fn give_back(&mut self, packet: &'a mut Packet<'a>) {
        if let Some(place) = self.places.get_mut(usize::from(packet.index)) {
            place.packet = Some(packet);
        }
    }

    /// What became of it; `None` while it is under way.
    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Result<(), PublishError>> {
        let Some(place) = self.place(ticket) else {
            return Some(Ok(()));
        };
        match place.stage {
            Stage::Free => Some(Ok(())),
            Stage::Watched | Stage::Unwatched => None,
            Stage::Failed(error) => {
                place.stage = Stage::Free;
                Some(Err(error))
            }
        }
    }

    /// Nobody will ask any more.
    pub(crate) fn unwatch(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(ticket) {
            place.stage = match place.stage {
                Stage::Watched | Stage::Unwatched => Stage::Unwatched,
                Stage::Free | Stage::Failed(_) => Stage::Free,
            };
        }
    }

    /// `None` if another message has the place by now.
    fn place(&mut self, ticket: Ticket) -> Option<&mut Place<'a>> {
        let place = self.places.get_mut(usize::from(ticket.place))?;
        (place.serial == ticket.serial).then_some(place)
    }
}
