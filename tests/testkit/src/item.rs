use mqtt_codec::session::{Content, Outgoing};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

/// What the tests send: the handle of their sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Publish {
        topic: String,
        payload: Vec<u8>,
        retain: Retain,
    },
    Subscribe(Vec<(String, QoS)>),
    Unsubscribe(Vec<String>),
}

impl Item {
    /// A PUBLISH without RETAIN.
    #[must_use]
    pub fn publish(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        Self::Publish {
            topic: topic.into(),
            payload: payload.into(),
            retain: Retain::No,
        }
    }

    /// A PUBLISH to `n/` and the number; the payload is the number, too.
    #[must_use]
    pub fn numbered(number: usize) -> Self {
        Self::publish(&format!("n/{number}"), number.to_string())
    }

    /// A SUBSCRIBE for one filter at QoS 1.
    #[must_use]
    pub fn subscribe(filter: &str) -> Self {
        Self::Subscribe(vec![(filter.into(), QoS::AtLeastOnce)])
    }

    #[must_use]
    pub fn unsubscribe(filter: &str) -> Self {
        Self::Unsubscribe(vec![filter.into()])
    }

    /// The payload of a PUBLISH, else nothing.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Publish { payload, .. } => payload,
            Self::Subscribe(_) | Self::Unsubscribe(_) => &[],
        }
    }
}

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Publish {
                topic,
                payload,
                retain,
            } => Content::Publish {
                topic: TopicName::new(topic).expect("the test's topic is legal"),
                retain: *retain,
                payload_len: payload.len() as u32,
            },
            Self::Subscribe(_) => Content::Subscribe,
            Self::Unsubscribe(_) => Content::Unsubscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        let (filter, qos) = match self {
            Self::Publish { .. } => return None,
            Self::Subscribe(filters) => filters.get(index).map(|(filter, qos)| (filter, *qos))?,
            Self::Unsubscribe(filters) => (filters.get(index)?, QoS::AtMostOnce),
        };
        let filter = TopicFilter::new(filter).expect("the test's filter is legal");
        Some((filter, qos))
    }
}
