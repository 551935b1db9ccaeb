//! Memory for QoS 1 messages on their way out, and what became of them.

use mqtt_codec::wire::{PacketId, Retain, TopicName};

use super::item::{Item, Payload, Publication};
use crate::{Limit, PublishError};

#[derive(Debug)]
pub(crate) struct Outbox<'a> {
    places: &'a mut [Place<'a>],
    /// Bytes of each place.
    block_len: usize,
    serial: u32,
}

/// Memory for one message, while nobody has it, and the outcome of the one that had it last.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    block: Option<&'a mut [u8]>,
    serial: u32,
    id: Option<PacketId>,
    stage: Stage,
    /// A connection has got all of a payload that its publisher supplies.
    is_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    place: u16,
    serial: u32,
}

impl<'a> Place<'a> {
    pub(crate) const EMPTY: Self = Self {
        block: None,
        serial: 0,
        id: None,
        stage: Stage::Free,
        is_whole: false,
    };
}

impl<'a> Outbox<'a> {
    /// Each place gets its block of `len` bytes.
    #[inline(never)]
    pub(crate) fn new(places: &'a mut [Place<'a>], mut blocks: &'a mut [u8], len: usize) -> Self {
        for place in places.iter_mut() {
            place.block = split_off(&mut blocks, len);
        }
        Self {
            places,
            block_len: len,
            serial: 0,
        }
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

    /// Moves a message to a free place.
    pub(crate) fn put(
        &mut self,
        topic: TopicName<'_>,
        retain: Retain,
        payload: Result<&[u8], u32>,
    ) -> Result<(Publication<'a>, Ticket), Limit> {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let free = |place: &&mut Place<'_>| place.stage == Stage::Free && place.block.is_some();
        let Some((index, place)) = self
            .places
            .iter_mut()
            .enumerate()
            .find(|(_, place)| free(place))
        else {
            return Err(Limit::Outbox);
        };
        let topic = topic.as_bytes();
        let (kept, payload_len, payload) = match payload {
            Ok(bytes) => (bytes, bytes.len() as u32, Payload::Kept),
            Err(len) => (&[][..], len, Payload::Supplied),
        };
        let block = place.block.take_if(|block| {
            let Some((head, rest)) = block.split_at_mut_checked(topic.len()) else {
                return false;
            };
            let Some(rest) = rest.get_mut(..kept.len()) else {
                return false;
            };
            head.copy_from_slice(topic);
            rest.copy_from_slice(kept);
            true
        });
        let block = block.ok_or(Limit::Message)?;
        place.serial = serial;
        place.stage = Stage::Watched;
        place.id = None;
        place.is_whole = false;
        let index = index as u16;
        let publication = Publication {
            block,
            topic_len: topic.len() as u16,
            payload_len,
            place: index,
            retain,
            payload,
        };
        let ticket = Ticket {
            place: index,
            serial,
        };
        Ok((publication, ticket))
    }

    pub(crate) fn set_id(&mut self, ticket: Ticket, id: PacketId) {
        if let Some(place) = self.place(ticket) {
            place.id = Some(id);
        }
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
        place
            .id
            .filter(|_| place.stage == Stage::Unwatched && !place.is_whole)
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.places.len()
    }

    /// Whether this message of the session is the ticket's, and not one that has got its place since.
    pub(crate) fn is(&mut self, ticket: Ticket, publication: &Publication<'_>) -> bool {
        ticket.place == publication.place && self.place(ticket).is_some()
    }

    /// Whether anybody waits for its outcome.
    pub(crate) fn is_watched(&self, publication: &Publication<'_>) -> bool {
        let place = self.places.get(usize::from(publication.place));
        place.is_some_and(|place| place.stage == Stage::Watched)
    }

    /// A message is over. Its memory is free again.
    #[inline(never)]
    pub(crate) fn finish(&mut self, handle: Item<'a>, outcome: Result<(), PublishError>) {
        if let Item::Publish(publication) = handle {
            self.fail(&publication, outcome.err());
            self.give_back(publication);
        }
    }

    /// The outcome, for a message whose memory is still in use.
    pub(crate) fn fail(&mut self, publication: &Publication<'a>, error: Option<PublishError>) {
        if let Some(place) = self.places.get_mut(usize::from(publication.place)) {
            place.stage = match (place.stage, error) {
                (Stage::Watched, Some(error)) => Stage::Failed(error),
                _ => Stage::Free,
            };
        }
    }

    pub(crate) fn give_back(&mut self, publication: Publication<'a>) {
        if let Some(place) = self.places.get_mut(usize::from(publication.place)) {
            place.block = Some(publication.block);
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

/// The first `len` bytes of what is left.
pub(super) fn split_off<'a>(blocks: &mut &'a mut [u8], len: usize) -> Option<&'a mut [u8]> {
    let (block, rest) = core::mem::take(blocks).split_at_mut_checked(len)?;
    *blocks = rest;
    Some(block)
}
