//! What is published, as the caller gives it.
use std::borrow::Cow;

use bytes::Bytes;
use mqtt_codec::wire::{QoS, Retain, TopicName};

use crate::{
    error::PublishError,
    options::{LONGEST_PACKET, Topic},
    source::SharedSource,
};

/// A topic to publish to: text that is checked at each call, or a [`Topic`] that was.
#[derive(Debug, Clone)]
pub struct PublishTopic<'a>(pub(super) TopicRef<'a>);

#[derive(Debug, Clone)]
pub(super) enum TopicRef<'a> {
    Text(Cow<'a, str>),
    Prepared(&'a Topic),
}

impl<'a> From<&'a str> for PublishTopic<'a> {
    fn from(text: &'a str) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl<'a> From<&'a String> for PublishTopic<'a> {
    fn from(text: &'a String) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl From<String> for PublishTopic<'_> {
    fn from(text: String) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl<'a> From<Cow<'a, str>> for PublishTopic<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(TopicRef::Text(text))
    }
}

impl<'a> From<&'a Topic> for PublishTopic<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self(TopicRef::Prepared(topic))
    }
}

/// A payload: borrowed bytes are copied, owned ones shared.
#[derive(Debug, Clone)]
pub struct PublishPayload<'a>(pub(super) PayloadRef<'a>);

#[derive(Debug, Clone)]
pub(super) enum PayloadRef<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
    Stream(SharedSource),
}

macro_rules! payload_from {
    ($($lifetime:lifetime $borrowed:ty => $as_bytes:expr;)* @ $($owned:ty;)*) => {
        $(impl<$lifetime> From<$borrowed> for PublishPayload<$lifetime> {
            fn from(payload: $borrowed) -> Self {
                Self(PayloadRef::Borrowed($as_bytes(payload)))
            }
        })*
        $(impl From<$owned> for PublishPayload<'_> {
            fn from(payload: $owned) -> Self {
                Self(PayloadRef::Owned(payload.into()))
            }
        })*
    };
}

payload_from! {
    'a &'a [u8] => |payload| payload;
    'a &'a str => str::as_bytes;
    'a &'a Vec<u8> => Vec::as_slice;
    'a &'a String => String::as_bytes;
    @
    Vec<u8>;
    String;
    Bytes;
}

impl<'a, const N: usize> From<&'a [u8; N]> for PublishPayload<'a> {
    fn from(payload: &'a [u8; N]) -> Self {
        Self(PayloadRef::Borrowed(payload))
    }
}

impl PayloadRef<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Stream(source) => source.len() as usize,
        }
    }
}

impl TopicRef<'_> {
    #[inline]
    pub(super) fn name(&self) -> Result<TopicName<'_>, PublishError> {
        Ok(match self {
            Self::Text(text) => TopicName::new(text)?,
            Self::Prepared(topic) => topic.name(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: TopicRef<'a>,
    pub(super) payload: PayloadRef<'a>,
    pub(super) qos: QoS,
    pub(super) retain: Retain,
}

impl Outgoing<'_> {
    /// The length of the payload, bytes, unless it is certain that no packet can hold it together with the topic: what is
    /// too long by a few bytes the session tells.
    pub(super) fn payload_len(&self, topic: TopicName<'_>) -> Result<u32, PublishError> {
        let len = self.payload.len();
        if topic.as_bytes().len() + len > LONGEST_PACKET {
            return Err(self.too_long(topic));
        }
        Ok(len as u32)
    }

    #[cold]
    pub(super) fn too_long(&self, topic: TopicName<'_>) -> PublishError {
        PublishError::TooLong {
            len: (topic.as_bytes().len() + self.payload.len()) as u64,
        }
    }
}
