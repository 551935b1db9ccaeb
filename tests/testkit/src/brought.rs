use mqtt_codec::session::{AckToken, Input};
use mqtt_codec::wire::{Dup, PacketId, PacketType, QoS, Retain, SessionPresent, SubAckCode};

use crate::Item;

/// An [`Input`] that owns what it brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    Connected(SessionPresent),
    Message {
        topic: String,
        payload: Vec<u8>,
        payload_len: u32,
        qos: QoS,
        retain: Retain,
        dup: Dup,
        token: Option<AckToken>,
    },
    Payload {
        bytes: Vec<u8>,
        left: u32,
    },
    Oversized {
        topic: Option<String>,
        remaining_length: u32,
    },
    Discarded {
        remaining_length: u32,
    },
    Blocked,
    Acknowledged(PacketId, Item),
    Subscribed(Item, Vec<SubAckCode>),
    Unsubscribed(Item),
    Unexpected(PacketType),
}

impl Brought {
    /// The token of a message at QoS 1.
    #[must_use]
    pub const fn token(&self) -> Option<AckToken> {
        match self {
            Self::Message { token, .. } => *token,
            _ => None,
        }
    }

    /// The payload of a message or of a chunk.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Message { payload, .. } => Some(payload),
            Self::Payload { bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

impl From<Input<'_, Item>> for Brought {
    fn from(input: Input<'_, Item>) -> Self {
        match input {
            Input::Connected { session } => Self::Connected(session),
            Input::Message(message) => Self::Message {
                topic: message.topic.as_str().into(),
                payload: message.payload.into(),
                payload_len: message.payload_len,
                qos: message.qos,
                retain: message.retain,
                dup: message.dup,
                token: message.token,
            },
            Input::Payload { bytes, left } => Self::Payload {
                bytes: bytes.into(),
                left,
            },
            Input::Oversized {
                topic,
                remaining_length,
            } => Self::Oversized {
                topic: topic.map(|topic| topic.as_str().into()),
                remaining_length,
            },
            Input::Discarded { remaining_length } => Self::Discarded { remaining_length },
            Input::Blocked => Self::Blocked,
            Input::Acknowledged { id, handle } => Self::Acknowledged(id, handle),
            Input::Subscribed { handle, codes } => Self::Subscribed(handle, codes.collect()),
            Input::Unsubscribed { handle } => Self::Unsubscribed(handle),
            Input::Unexpected(packet_type) => Self::Unexpected(packet_type),
            other => panic!("a kind of input that the testkit does not know: {other:?}"),
        }
    }
}
