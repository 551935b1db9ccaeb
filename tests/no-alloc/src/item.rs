//! The simplest handle that a board can give the engine: names checked once, a payload that stays where it is.

use mqtt_codec::session::{Content, Outgoing};
use mqtt_codec::wire::{QoS, Retain, TopicFilter, TopicName};

use crate::any;

#[derive(Clone, Copy)]
pub enum Item {
    Publish {
        topic: TopicName<'static>,
        payload: &'static [u8],
    },
    Subscribe(TopicFilter<'static>),
    Unsubscribe(TopicFilter<'static>),
}

impl Item {
    pub fn reading() -> Option<Self> {
        let topic = TopicName::new(any("sensors/1/temp")).ok()?;
        Some(Self::Publish {
            topic,
            payload: any(b"21.5"),
        })
    }

    pub fn subscription() -> Option<Self> {
        TopicFilter::new(any("commands/#"))
            .ok()
            .map(Self::Subscribe)
    }
}

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Publish { topic, payload } => Content::Publish {
                topic: *topic,
                retain: Retain::No,
                payload_len: payload.len() as u32,
            },
            Self::Subscribe(_) => Content::Subscribe,
            Self::Unsubscribe(_) => Content::Unsubscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        match self {
            Self::Subscribe(filter) | Self::Unsubscribe(filter) if index == 0 => {
                Some((*filter, QoS::AtLeastOnce))
            }
            _ => None,
        }
    }
}
