//! What the session holds of ours until it is acknowledged.

use mqtt_codec::session::{AckSlot, Content, Outgoing, Slot, Storage};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

#[derive(Debug)]
pub(crate) enum Item<'a> {
    Publish(Publication<'a>),
    Subscribe(Request<'a>),
    Unsubscribe(Request<'a>),
}

/// A PUBLISH at QoS 1, with the memory of its place:
///
/// ```text
/// [topic | payload | …]     or, for a payload that its publisher supplies,     [topic | …]
/// ```
#[derive(Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) block: &'a mut [u8],
    pub(crate) topic_len: u16,
    pub(crate) payload_len: u32,
    pub(crate) place: u16,
    pub(crate) retain: Retain,
    pub(crate) payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Kept,
    /// Its publisher supplies it each time that it is sent.
    Supplied,
}

#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) filter: TopicFilter<'a>,
    pub(crate) qos: QoS,
    pub(crate) route: u16,
}

impl Publication<'_> {
    /// The topic, which was checked before it was copied.
    pub(crate) fn topic_bytes(&self) -> &[u8] {
        self.block
            .get(..usize::from(self.topic_len))
            .unwrap_or_default()
    }

    pub(crate) fn topic(&self) -> &str {
        TopicName::assume_checked(self.topic_bytes()).as_str()
    }

    /// Bytes of payload that are kept.
    pub(crate) const fn kept(&self) -> u32 {
        match self.payload {
            Payload::Kept => self.payload_len,
            Payload::Supplied => 0,
        }
    }

    /// The part of a payload that is kept.
    pub(crate) fn payload(&self, offset: u32, len: u32) -> &[u8] {
        let from = usize::from(self.topic_len) + offset as usize;
        self.block
            .get(from..from + len as usize)
            .unwrap_or_default()
    }
}

impl Outgoing for Item<'_> {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Publish(publication) => Content::Publish {
                topic: TopicName::assume_checked(publication.topic_bytes()),
                retain: publication.retain,
                payload_len: publication.payload_len,
            },
            Self::Subscribe(_) => Content::Subscribe,
            Self::Unsubscribe(_) => Content::Unsubscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        match self {
            Self::Subscribe(request) | Self::Unsubscribe(request) if index == 0 => {
                Some((request.filter, request.qos))
            }
            _ => None,
        }
    }
}

/// The session's memory, of whatever capacity.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    pub(crate) publishes: &'a mut [Slot<Item<'a>>],
    pub(crate) controls: &'a mut [Slot<Item<'a>>],
    pub(crate) acks: &'a mut [AckSlot],
}

impl<'a> Storage for Board<'a> {
    type Handle = Item<'a>;

    fn publishes(&mut self) -> &mut [Slot<Item<'a>>] {
        self.publishes
    }

    fn controls(&mut self) -> &mut [Slot<Item<'a>>] {
        self.controls
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        self.acks
    }
}
