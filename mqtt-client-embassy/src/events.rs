use core::fmt;

use embassy_time::Duration;
use embedded_io_async::ErrorKind;
use mqtt_codec::session;
use mqtt_codec::wire::SessionPresent;

use crate::{CloseReason, ConnectError};

/// How the client stands with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Not connected, and going to be.
    Connecting,
    /// CONNACK has come.
    Connected {
        /// Whether the broker had the session.
        session: SessionPresent,
    },
    /// The client has ended; the runner has returned.
    Closed(CloseReason),
}

/// What happens, told to the closure of [`Runner::run_with`](crate::Runner::run_with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'e> {
    /// CONNACK has come.
    Connected {
        /// Whether the broker had the session.
        session: SessionPresent,
    },
    /// An attempt to connect has failed.
    ConnectFailed {
        /// Why.
        reason: DisconnectReason,
        /// Time to the next attempt; `None`: there is none.
        retry_in: Option<Duration>,
    },
    /// A connection has ended.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// Time to the next attempt; `None`: there is none.
        retry_in: Option<Duration>,
    },
    /// A connection ended with this message as the oldest unacknowledged one.
    Suspect {
        /// Its topic, cut at the length of the receive buffer.
        topic: &'e str,
        /// Connections that ended so, this one included.
        attempts: u8,
    },
    /// As [`Suspect`](Self::Suspect), and the message is given up.
    Undeliverable {
        /// Its topic, cut at the length of the receive buffer.
        topic: &'e str,
        /// Connections that ended so.
        attempts: u8,
    },
    /// A message over [`Options::max_incoming`](crate::Options::max_incoming), or for us and with a topic longer than
    /// `MESSAGE` of [`Resources`](crate::Resources), was passed over and acknowledged.
    Oversized {
        /// Its topic; empty if it is longer than the receive buffer.
        topic: &'e str,
        /// Bytes of its packet behind the fixed header: payload, topic and up to 4 more.
        remaining_length: u32,
    },
    /// Consumers stall while an answer is awaited: QoS 1 messages are discarded unacknowledged until they have caught
    /// up, and then sent again by the broker.
    Stalled,
    /// The client has ended.
    Closed(CloseReason),
}

/// Why a connection ended, or did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// [`Client::disconnect`](crate::Client::disconnect).
    Requested,
    /// The session has ended it to go on with a new one.
    Cycled,
    /// The broker has closed it.
    ClosedByBroker,
    /// The broker broke a rule, refused us or was silent.
    Session(session::Error),
    /// The transport could not be opened.
    Connect(ConnectError),
    /// The transport has failed.
    Transport(ErrorKind),
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "on request",
            Self::Cycled => "to go on with a new one",
            Self::ClosedByBroker => "closed by the broker",
            Self::Session(error) => return error.fmt(f),
            Self::Connect(error) => return error.fmt(f),
            Self::Transport(kind) => return write!(f, "transport failed: {kind}"),
        })
    }
}

/// What the client has counted since its start, modulo 2³².
///
/// QoS 1 messages that are received, acknowledged and passed over count nowhere: those too long, told as
/// [`Event::Oversized`], those of [`Unmatched::Discard`](crate::Unmatched::Discard), and those of a subscription that was
/// ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// QoS 1 messages that the broker has acknowledged.
    pub acknowledged: u32,
    /// QoS 1 messages sent again.
    pub resent: u32,
    /// Messages received that got a place of the queue.
    pub received: u32,
    /// QoS 0 messages of which bytes were in the transmit buffer when their connection ended.
    pub lost_with_connection: u32,
    /// QoS 0 messages received for which there was no place or no inbox, whose inbox went while they waited, or whose
    /// connection ended before all of them, or the beginning of a long one, was handed over.
    pub dropped: u32,
    /// QoS 1 messages received and not acknowledged because consumers stalled.
    pub discarded_while_stalled: u32,
    /// Connections that have ended after CONNACK.
    pub disconnections: u32,
}

impl Stats {
    pub(crate) const NONE: Self = Self {
        acknowledged: 0,
        resent: 0,
        received: 0,
        lost_with_connection: 0,
        dropped: 0,
        discarded_while_stalled: 0,
        disconnections: 0,
    };
}
