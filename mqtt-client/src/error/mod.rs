//! What can go wrong, by who is at fault.
mod connect;

use std::{convert::Infallible, io, sync::Arc};

use mqtt_codec::session;
use mqtt_codec::wire::{FilterError, TopicError};

pub use self::connect::{ConnectError, ConnectFailure, ConnectPhase};
use crate::{
    options::{Filter, OptionsError},
    panic::Panicked,
};

/// The client has ended: nothing is sent or received any more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the client is closed: {reason}")]
pub struct ClosedError {
    reason: CloseReason,
}

/// Why a client has ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`disconnect`](crate::Client::disconnect) was called.
    #[error("disconnected on request")]
    Disconnected,
    /// The last handle was dropped.
    #[error("every handle was dropped")]
    Dropped,
    /// Connecting failed in a way that trying again cannot mend, or the first attempt failed and
    /// [`FirstConnect::ReturnError`](crate::FirstConnect::ReturnError) was set.
    #[error("{0}")]
    Connect(Arc<ConnectError>),
    /// The connection ended in a way that connecting again cannot mend.
    #[error("{0}")]
    Session(session::Error),
    /// The runtime ended the client's task.
    #[error("the runtime was shut down")]
    Runtime,
    /// The client's task panicked: in a stream of the [connector's](crate::ConnectOptions::connector), in a waker or a
    /// destructor that it ran, or by a mistake of this library. Start another client.
    #[error("the client's task {0}")]
    Panicked(Panicked),
}

impl ClosedError {
    pub(crate) const fn new(reason: CloseReason) -> Self {
        Self { reason }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &CloseReason {
        &self.reason
    }
}

/// The client was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The options contradict each other or exceed a limit. The caller's mistake.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// There is no tokio runtime here to run the client's task: call it from an async function, or within
    /// `Runtime::enter`. The caller's mistake.
    #[error("a client is started within a tokio runtime, and there is none here")]
    NoRuntime,
    /// The first attempt to connect failed, and either trying again cannot help or
    /// [`FirstConnect::ReturnError`](crate::FirstConnect::ReturnError) was set.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The client was closed before it was connected.
    #[error(transparent)]
    Closed(#[from] ClosedError),
}

/// A message was not published.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The client has ended. At QoS 1 the broker may have got the message all the same.
    #[error(transparent)]
    Closed(#[from] ClosedError),
    /// The topic cannot be published to. The caller's mistake; nothing was sent.
    #[error("wrong topic: {0}")]
    Topic(TopicError),
    /// QoS 2 is not supported. The caller's mistake; nothing was sent.
    #[error("QoS 2 is not supported")]
    QoS2,
    /// Topic and payload are longer than MQTT 3.1.1 can express: 268,435,453 bytes together at QoS 0, 2 fewer at QoS 1. The
    /// caller's mistake; nothing was sent.
    #[error("a message of {len} bytes is longer than MQTT 3.1.1 can express")]
    TooLong {
        /// Topic and payload, bytes.
        len: u64,
    },
    /// The message alone is larger than the outbox may be. Raise [`ConnectOptions::outbox`](crate::ConnectOptions::outbox) or use
    /// [`publish_stream`](crate::Client::publish_stream).
    #[error("a message of {len} bytes does not fit an outbox of {limit} bytes")]
    OutboxTooSmall {
        /// Topic and payload, bytes.
        len: usize,
        /// The outbox, bytes.
        limit: usize,
    },
    /// That many connections ended while the message was the oldest unacknowledged one: the broker seems not to take it.
    #[error("undeliverable: {attempts} connections ended while it was being delivered")]
    Undeliverable {
        /// The limit that was reached, [`ConnectOptions::max_attempts`](crate::ConnectOptions::max_attempts).
        attempts: u8,
    },
    /// The payload's source failed.
    #[error("the source of the payload failed: {0}")]
    Source(Arc<io::Error>),
    /// The payload's source panicked. The caller's own code.
    #[error("the source of the payload {0}")]
    SourcePanicked(Panicked),
    /// The payload's source ended before its announced length.
    #[error("the source of the payload ended after {got} of {announced} bytes")]
    SourceTooShort {
        /// Bytes announced.
        announced: u64,
        /// Bytes read.
        got: u64,
    },
    /// The payload's source has more bytes than it announced.
    #[error("the source of the payload has more than the {announced} bytes it announced")]
    SourceTooLong {
        /// Bytes announced.
        announced: u64,
    },
}

impl From<TopicError> for PublishError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}

/// A publish that never waits did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TryPublishError {
    /// The outbox has no room now, or others wait for it; at QoS 0 also while a longer message is under way or subscriptions
    /// are renewed. Nothing was sent.
    #[error("the outbox has no room now")]
    Full,
    /// There is no connection now, which a message at QoS 0 needs; one at QoS 1 waits for it in the outbox. Nothing was
    /// sent.
    #[error("there is no connection, which QoS 0 needs")]
    NotConnected,
    /// Anything else; waiting would not help.
    #[error(transparent)]
    Failed(#[from] PublishError),
}

/// A subscription was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The client has ended.
    #[error(transparent)]
    Closed(#[from] ClosedError),
    /// A filter is none. The caller's mistake; nothing was sent.
    #[error("wrong filter: {0}")]
    Filter(FilterError),
    /// QoS 2 is not supported. The caller's mistake; nothing was sent.
    #[error("QoS 2 is not supported")]
    QoS2,
    /// The same filter stands twice in one call. The caller's mistake; nothing was sent.
    #[error("the filter `{filter}` stands there twice")]
    Duplicate {
        /// Which.
        filter: Filter,
    },
    /// The broker refused filters (SUBACK 0x80).
    #[error("the broker refused {}", display_filters(.refused))]
    Refused {
        /// Those it refused.
        refused: Vec<Filter>,
        /// The stream of the others, if it granted any.
        granted: Option<Box<crate::Subscription>>,
    },
}

impl From<FilterError> for SubscribeError {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

impl From<Infallible> for SubscribeError {
    /// A prepared [`Filter`] cannot be wrong.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A stream cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeStreamError {
    /// There is no subscription to this filter: declare it in the options, or subscribe.
    #[error("there is no subscription to `{filter}`")]
    Unknown {
        /// The filter.
        filter: String,
    },
    /// The stream was taken already.
    #[error("the stream of `{filter}` was taken already")]
    Taken {
        /// The filter.
        filter: String,
    },
    /// The default stream was taken already.
    #[error("the default stream was taken already")]
    DefaultTaken,
}

/// A stream of messages has ended early.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The broker refused a declared subscription, or, after it lost the session, to renew this one (SUBACK 0x80).
    #[error("the broker refused the subscription to `{filter}`")]
    Refused {
        /// The filter.
        filter: Filter,
    },
    /// The client has ended by an error.
    #[error(transparent)]
    Closed(#[from] ClosedError),
}

/// There is no message to take now.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// None has come yet.
    #[error("no message is here")]
    Empty,
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
    /// The stream has an error to tell.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

fn display_filters(filters: &[Filter]) -> String {
    filters
        .iter()
        .map(|filter| format!("`{filter}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
