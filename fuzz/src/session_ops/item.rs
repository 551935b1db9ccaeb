use mqtt_codec::session::{Content, Outgoing};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

/// Something to be sent, told apart by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) number: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Publish { retain: Retain, payload_len: u32 },
    Subscribe { filters: usize },
    Unsubscribe { filters: usize },
}

const FILTERS: [&str; 3] = ["a", "sensors/+/temperature", "$share/group/b/#"];
const TOPICS: [&str; 3] = [
    "t",
    "sensors/1/temperature",
    "a/topic/longer/than/some/buffers",
];

impl Item {
    pub(super) fn topic(self) -> &'static str {
        TOPICS[self.number as usize % TOPICS.len()]
    }

    pub(super) fn payload(self, offset: u32, len: u32) -> Vec<u8> {
        (offset..offset + len)
            .map(|at| (self.number.wrapping_mul(31).wrapping_add(at)) as u8)
            .collect()
    }

    pub(super) fn filters(self) -> Vec<(&'static str, QoS)> {
        let count = match self.kind {
            Kind::Publish { .. } => 0,
            Kind::Subscribe { filters } | Kind::Unsubscribe { filters } => filters,
        };
        let qos = [QoS::AtLeastOnce, QoS::AtMostOnce];
        (0..count)
            .map(|index| (FILTERS[index % FILTERS.len()], qos[index % qos.len()]))
            .collect()
    }
}

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self.kind {
            Kind::Publish {
                retain,
                payload_len,
            } => Content::Publish {
                topic: TopicName::new(self.topic()).expect("is valid"),
                retain,
                payload_len,
            },
            Kind::Subscribe { .. } => Content::Subscribe,
            Kind::Unsubscribe { .. } => Content::Unsubscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        let (filter, qos) = self.filters().get(index).copied()?;
        Some((TopicFilter::new(filter).expect("is valid"), qos))
    }
}
