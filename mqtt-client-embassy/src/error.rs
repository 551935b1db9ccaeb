use core::{error, fmt};

use mqtt_codec::session;
use mqtt_codec::wire::{ConnectRefusal, FilterError, StringError, TopicError};

use crate::ConnectError;

/// A capacity of [`Resources`](crate::Resources) that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// `OUTBOX`: every place for a QoS 1 message is taken.
    Outbox,
    /// `MESSAGE`: topic and payload are longer. Enlarge it, or publish from memory of your own, by
    /// [`publish_borrowed`](crate::Client::publish_borrowed) or [`publish_source`](crate::Client::publish_source).
    Message,
    /// `BUFFER`: a packet, or its head, is longer than the transmit or receive buffer.
    Buffer,
    /// `QUEUE`: there is no place for a received message.
    Queue,
    /// `SUBSCRIPTIONS`: every place is taken.
    Subscriptions,
    /// 268,435,455 bytes, the longest packet of MQTT 3.1.1.
    Packet,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outbox => "every place of the outbox is taken",
            Self::Message => {
                "MESSAGE of Resources is too small: enlarge it, or use publish_borrowed"
            }
            Self::Buffer => "BUFFER of Resources is too small",
            Self::Queue => "no place for received messages",
            Self::Subscriptions => "every place for subscriptions is taken",
            Self::Packet => "longer than a packet of MQTT 3.1.1",
        })
    }
}

/// Why a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is none.
    Topic(TopicError),
    /// A capacity was reached: nothing was sent, nothing has changed.
    Limit(Limit),
    /// So many connections ended with it as the oldest unacknowledged one, and
    /// [`Options::max_attempts`](crate::Options::max_attempts) allows no more.
    Undeliverable {
        /// Connections that ended so.
        attempts: u8,
    },
    /// The writer or the source gave fewer bytes than it had announced.
    TooShort,
    /// The writer was given more bytes than it had announced.
    TooLong,
    /// The source failed; or a payload that was due was not handed out for
    /// [`Options::write_timeout`](crate::Options::write_timeout), since the source gave nothing or the future was not
    /// polled.
    Source,
    /// The memory for a piece of the source's payload has no byte.
    NoBuffer,
    /// The connection ended in the middle of a QoS 0 message, or before the transport had taken what is flushed.
    ConnectionLost,
    /// The client has ended: see [`Client::state`](crate::Client::state).
    Closed,
}

impl From<TopicError> for PublishError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic(error) => return error.fmt(f),
            Self::Limit(limit) => return limit.fmt(f),
            Self::Undeliverable { .. } => "undeliverable: connections end while it is delivered",
            Self::TooShort => "fewer bytes of payload than announced",
            Self::TooLong => "more bytes of payload than announced",
            Self::Source => "the source of the payload failed",
            Self::NoBuffer => "no memory for a piece of the payload",
            Self::ConnectionLost => "the connection ended before all of it was sent",
            Self::Closed => "the client has ended",
        })
    }
}

impl error::Error for PublishError {}

impl embedded_io_async::Error for PublishError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        use embedded_io_async::ErrorKind;
        match self {
            Self::ConnectionLost => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::NotConnected,
            Self::TooLong => ErrorKind::WriteZero,
            Self::Topic(_) | Self::Limit(_) | Self::NoBuffer => ErrorKind::InvalidInput,
            Self::Undeliverable { .. } | Self::TooShort | Self::Source => ErrorKind::Other,
        }
    }
}

/// Why there is no subscription, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The filter is none.
    Filter(FilterError),
    /// A capacity was reached.
    Limit(Limit),
    /// QoS 2 was asked for.
    ExactlyOnce,
    /// Somebody holds the [`Inbox`](crate::Inbox) of this filter.
    Taken,
    /// Nobody has subscribed to this filter.
    Unknown,
    /// The broker has refused the filter (SUBACK 0x80).
    Refused,
    /// [`Client::unsubscribe`](crate::Client::unsubscribe) was called.
    Unsubscribed,
    /// The client has ended: see [`Client::state`](crate::Client::state).
    Closed,
}

impl From<FilterError> for SubscribeError {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter(error) => return error.fmt(f),
            Self::Limit(limit) => return limit.fmt(f),
            Self::ExactlyOnce => "QoS 2 is not supported",
            Self::Taken => "the inbox of this filter is taken",
            Self::Unknown => "there is no subscription to this filter",
            Self::Refused => "the broker has refused the filter",
            Self::Unsubscribed => "unsubscribed",
            Self::Closed => "the client has ended",
        })
    }
}

impl error::Error for SubscribeError {}

/// Why the rest of a large message does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The connection ended. At QoS 1 the broker sends the message again on the next one.
    ConnectionLost,
    /// It was not read for [`Options::stall_timeout`](crate::Options::stall_timeout) while an answer of the broker was
    /// awaited, which can only come behind it. At QoS 1 the broker sends the message again on the next connection.
    Stalled,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionLost => "the connection ended within the message",
            Self::Stalled => "the message held up an answer that was awaited",
        })
    }
}

impl error::Error for ReadError {}

impl embedded_io_async::Error for ReadError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        match self {
            Self::ConnectionLost => embedded_io_async::ErrorKind::ConnectionReset,
            Self::Stalled => embedded_io_async::ErrorKind::TimedOut,
        }
    }
}

/// What is wrong with [`Options`](crate::Options).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionsError {
    /// A session that outlives its connection needs a client id.
    ClientIdRequired,
    /// Client id or user name.
    Text(StringError),
    /// Password or payload of the will: over 65,535 bytes.
    TooLong,
    /// The topic of the will.
    WillTopic(TopicError),
    /// A declared subscription: its filter, or that there is no place for it.
    Subscription(SubscribeError),
    /// `BUFFER` holds no CONNECT with this client id, will and login.
    BufferTooSmall {
        /// Bytes that it has to have; 16 at least.
        needed: usize,
    },
    /// Subscriptions are declared, and `QUEUE` or `MESSAGE` is 0.
    Limit(Limit),
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIdRequired => {
                f.write_str("a session that outlives its connection needs a client id")
            }
            Self::Text(error) => write!(f, "client id or user name: {error}"),
            Self::TooLong => f.write_str("password or will over 65,535 bytes"),
            Self::WillTopic(error) => write!(f, "topic of the will: {error}"),
            Self::Subscription(error) => write!(f, "a declared subscription: {error}"),
            Self::BufferTooSmall { needed } => {
                write!(
                    f,
                    "BUFFER of Resources is too small: CONNECT needs {needed} bytes"
                )
            }
            Self::Limit(limit) => write!(f, "subscriptions are declared: {limit}"),
        }
    }
}

impl error::Error for OptionsError {}

/// Why the client has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`Client::disconnect`](crate::Client::disconnect).
    Requested,
    /// No transport could be opened, and [`FirstConnect::ReturnError`](crate::FirstConnect::ReturnError) was chosen.
    Connect(ConnectError),
    /// The broker has refused the connection.
    Refused(ConnectRefusal),
    /// The connection failed before CONNACK with [`FirstConnect::ReturnError`](crate::FirstConnect::ReturnError), or
    /// in a way that connecting again cannot help.
    Session(session::Error),
    /// The runner's future was dropped.
    RunnerDropped,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("disconnected on request"),
            Self::Connect(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::RunnerDropped => f.write_str("the runner was dropped"),
        }
    }
}

impl error::Error for CloseReason {}
