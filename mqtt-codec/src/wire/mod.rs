//! The fourteen packets of MQTT 3.1.1: borrowed decoding, encoding into the caller's buffer.
//!
//! Everything that was decoded is legal, and what is illegal cannot be built: [`TopicName`],
//! [`TopicFilter`], [`ClientId`], [`PacketId`] and their like are checked once, when they are
//! made. Nothing here allocates, panics on any input or remembers anything.
//!
//! Reading: [`Packet::decode`] takes one whole packet from the beginning of the input.
//! `Ok(None)` asks for more bytes; an error names the rule that the peer broke, and the
//! connection is over. Whoever expects few types, or must not buffer a payload, reads a
//! [`FixedHeader`] first, and then decodes the packet that it announces, or a [`PublishHeader`].
//!
//! Writing: each packet tells its exact length with `encoded_len` and writes itself with
//! `encode`, or leaves the buffer as it was and says how much it needs.
//!
//! ```
//! use mqtt_codec::wire::{Delivery, Dup, Packet, PacketId, Publish, Retain, TopicName};
//!
//! let publish = Publish {
//!     topic: TopicName::new("sensors/1/temp")?,
//!     delivery: Delivery::AtLeastOnce { id: PacketId::MIN, dup: Dup::First },
//!     retain: Retain::No,
//!     payload: b"21.5",
//! };
//! let mut buffer = [0; 64];
//! let len = publish.encode(&mut buffer)?;
//! assert_eq!(len, publish.encoded_len()?);
//!
//! assert_eq!(Packet::decode(&buffer[..len - 1])?, None);
//! assert_eq!(Packet::decode(&buffer)?, Some((Packet::Publish(publish), len)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ack;
mod client_id;
mod connack;
mod connect;
mod empty;
mod error;
mod filter;
mod header;
mod login;
mod packet;
mod packet_id;
mod publish;
mod qos;
mod string;
mod suback;
mod subscribe;
mod topic;
mod unsubscribe;
mod utf8;
mod will;

pub use ack::{Ack, AckType};
pub use client_id::ClientId;
pub use connack::{ConnAck, ConnectRefusal, SessionPresent};
pub(crate) use connect::ConnectFields;
pub use connect::{CleanSession, ClientIdRequired, Connect};
pub use empty::Empty;
pub use error::{DecodeError, EncodeError};
pub use filter::{FilterError, TopicFilter, TopicFilters};
pub use header::{FixedHeader, PacketType, RemainingLength};
pub use login::{Login, Password};
pub use packet::Packet;
pub use packet_id::PacketId;
pub(crate) use publish::PublishHead;
pub use publish::{Delivery, Dup, Publish, PublishHeader, Retain};
pub use qos::QoS;
pub use string::{Binary, StringError, Utf8Str};
pub(crate) use suback::decode_answered_id;
pub use suback::{SubAck, SubAckCode, SubAckCodes};
pub use subscribe::{Subscribe, SubscribeFilters};
pub use topic::{TopicError, TopicName};
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters};
pub use will::Will;
