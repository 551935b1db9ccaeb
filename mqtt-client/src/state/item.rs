use bytes::Bytes;
use mqtt_codec::session::{AckSlot, Config, Content, Kind, Outgoing, Slot, Storage};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

use super::completion::CompletionKey;
use crate::{
    options::{Filter, Topic},
    source::SharedSource,
};

/// What the session sends until it is acknowledged.
#[derive(Debug)]
pub(crate) enum Item {
    Publish(Publication),
    Subscribe(Vec<Request>),
    Unsubscribe(Vec<Request>),
}

/// A QoS 1 message in the outbox.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) topic: TopicText,
    pub(crate) payload: Payload,
    pub(crate) retain: Retain,
    pub(crate) completion: CompletionKey,
}

/// A topic that was checked when it came in.
#[derive(Debug)]
pub(crate) enum TopicText {
    Copied(String),
    Prepared(Topic),
}

#[derive(Debug)]
pub(crate) enum Payload {
    /// Copied into a buffer of the pool.
    Copied(Vec<u8>),
    Shared(Bytes),
    Stream(SharedSource),
}

/// One filter of a SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Place in the router.
    pub(crate) subscription: usize,
    pub(crate) filter: Filter,
    pub(crate) qos: QoS,
}

impl TopicText {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Copied(text) => text,
            Self::Prepared(topic) => topic.as_str(),
        }
    }
}

impl Payload {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
            Self::Stream(source) => source.len() as usize,
        }
    }
}

impl Publication {
    /// Bytes that count against the outbox: a stream holds none.
    pub(crate) fn held_bytes(&self) -> usize {
        let payload = match &self.payload {
            Payload::Stream(_) => 0,
            payload => payload.len(),
        };
        self.topic.as_str().len() + payload
    }
}

impl Outgoing for Item {
    #[inline]
    fn content(&self) -> Content<'_> {
        match self {
            Self::Publish(publication) => Content::Publish {
                topic: TopicName::assume_checked(publication.topic.as_str().as_bytes()),
                retain: publication.retain,
                payload_len: publication.payload.len() as u32,
            },
            Self::Subscribe(_) => Content::Subscribe,
            Self::Unsubscribe(_) => Content::Unsubscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        match self {
            Self::Publish(_) => None,
            Self::Subscribe(requests) | Self::Unsubscribe(requests) => requests
                .get(index)
                .map(|request| (request.filter.filter(), request.qos)),
        }
    }
}

/// Slots on the heap, few at first: an idle client is small.
#[derive(Debug)]
pub(crate) struct HeapStorage {
    publishes: Vec<Slot<Item>>,
    controls: Vec<Slot<Item>>,
    acks: Vec<AckSlot>,
    max_publishes: usize,
}

const FIRST_PUBLISHES: usize = 4;
const CONTROLS: usize = 4;
const FIRST_ACKS: usize = 24;
/// Every packet id of the broker.
const MAX_ACKS: usize = 65_535;

impl HeapStorage {
    pub(crate) fn new(max_publishes: usize) -> Self {
        Self {
            publishes: slots(FIRST_PUBLISHES.min(max_publishes)),
            controls: slots(CONTROLS),
            acks: vec![AckSlot::EMPTY; FIRST_ACKS],
            max_publishes,
        }
    }
}

fn slots(count: usize) -> Vec<Slot<Item>> {
    let mut slots = Vec::with_capacity(count);
    slots.resize_with(count, || Slot::EMPTY);
    slots
}

impl Storage for HeapStorage {
    type Handle = Item;
    type Settings = Config;

    const GROWS: bool = true;

    fn slots(&mut self, kind: Kind) -> &mut [Slot<Item>] {
        match kind {
            Kind::Publish => &mut self.publishes,
            Kind::Control => &mut self.controls,
        }
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        &mut self.acks
    }

    fn grow_publishes(&mut self) {
        let len = (self.publishes.len() * 2).min(self.max_publishes);
        self.publishes.resize_with(len, || Slot::EMPTY);
    }

    fn grow_acks(&mut self) {
        let len = (self.acks.len() * 2).min(MAX_ACKS);
        self.acks.resize(len, AckSlot::EMPTY);
    }
}
