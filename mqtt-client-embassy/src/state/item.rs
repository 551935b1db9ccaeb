//! What the session holds of ours until it is acknowledged.

use mqtt_codec::session::{AckSlot, Config, Content, Kind, Outgoing, Slot, Storage};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

use super::copy;

/// A packet that is sent until it is acknowledged. It is lent to the session, which passes the reference on.
///
/// A PUBLISH has the memory of its place:
///
/// ```text
/// [topic | payload | …]     or, for a payload that its publisher supplies,     [topic | …]
/// ```
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) content: What<'a>,
    pub(crate) payload_len: u32,
    pub(crate) topic_len: u16,
    /// The place of a PUBLISH.
    pub(crate) index: u16,
    pub(crate) retain: Retain,
    pub(crate) payload: Payload,
}

#[derive(Debug)]
pub(crate) enum What<'a> {
    Nothing,
    Publish(&'a mut [u8]),
    Subscribe(TopicFilter<'a>, QoS),
    Unsubscribe(TopicFilter<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Kept,
    /// Its publisher supplies it each time that it is sent.
    Supplied,
}

impl<'a> Packet<'a> {
    /// All of it is zero in memory.
    pub(crate) const EMPTY: Self = Self {
        content: What::Nothing,
        payload_len: 0,
        topic_len: 0,
        index: 0,
        retain: Retain::No,
        payload: Payload::Kept,
    };

    /// Becomes the PUBLISH of a message that fits. `Err` of a payload is the length of one that its publisher supplies.
    pub(super) fn publish(
        &mut self,
        topic: TopicName<'_>,
        retain: Retain,
        payload: Result<&[u8], u32>,
    ) {
        let topic = topic.as_bytes();
        let (kept, payload_len, payload) = match payload {
            Ok(bytes) => (bytes, bytes.len() as u32, Payload::Kept),
            Err(len) => (&[][..], len, Payload::Supplied),
        };
        if let What::Publish(block) = &mut self.content {
            let n = copy(block, topic);
            copy(block.get_mut(n..).unwrap_or_default(), kept);
        }
        self.topic_len = topic.len() as u16;
        self.payload_len = payload_len;
        self.retain = retain;
        self.payload = payload;
    }

    fn block(&self) -> &[u8] {
        match &self.content {
            What::Publish(block) => block,
            What::Nothing | What::Subscribe(..) | What::Unsubscribe(_) => &[],
        }
    }

    /// The topic, which was checked before it was copied.
    pub(crate) fn topic_bytes(&self) -> &[u8] {
        self.block()
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
        self.block()
            .get(from..from + len as usize)
            .unwrap_or_default()
    }
}

impl Outgoing for &mut Packet<'_> {
    const MAX_FILTERS: usize = 1;

    fn content(&self) -> Content<'_> {
        match self.content {
            What::Nothing | What::Publish(_) => Content::Publish {
                topic: TopicName::assume_checked(self.topic_bytes()),
                retain: self.retain,
                payload_len: self.payload_len,
            },
            What::Subscribe(..) => Content::Subscribe,
            What::Unsubscribe(_) => Content::Unsubscribe,
        }
    }

    fn filter(&self, _: usize) -> Option<(TopicFilter<'_>, QoS)> {
        match self.content {
            What::Subscribe(filter, qos) => Some((filter, qos)),
            What::Unsubscribe(filter) => Some((filter, QoS::AtMostOnce)),
            What::Nothing | What::Publish(_) => None,
        }
    }
}

/// The session's memory, of whatever capacity.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    /// By [`Kind`].
    pub(crate) slots: [&'a mut [Slot<&'a mut Packet<'a>>]; 2],
    pub(crate) acks: &'a mut [AckSlot],
    /// Bytes.
    pub(crate) receive_buffer: u32,
}

impl<'a> Storage for Board<'a> {
    type Handle = &'a mut Packet<'a>;
    type Settings = &'a Config;

    const TELLS_CHANGES: bool = false;

    fn receive_buffer(&self, _: &Config) -> u32 {
        self.receive_buffer
    }

    fn slots(&mut self, kind: Kind) -> &mut [Slot<&'a mut Packet<'a>>] {
        self.slots[kind as usize]
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        self.acks
    }
}
