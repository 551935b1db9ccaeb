use std::{fmt, io, sync::Arc, time::Duration};

use mqtt_codec::session;
use mqtt_codec::wire::QoS;

use crate::{
    error::{CloseReason, ConnectError},
    options::{Address, Filter},
};

/// State of the connection, from [`Client::connection`](crate::Client::connection).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Connecting, or waiting for the next attempt.
    Connecting,
    /// CONNACK has come.
    Connected {
        /// Whether the broker had the session.
        session: SessionState,
    },
    /// The client has ended.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Whether the broker had a session for the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It went on with it. If an attempt before had no answer, that may be a session that began then: the subscriptions are
    /// renewed all the same.
    Resumed,
    /// It began a new one: subscriptions are renewed, unacknowledged messages sent as new.
    New,
}

/// Something that an operator may want to know, from [`Client::events`](crate::Client::events). It displays as one line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The broker accepted a connection.
    Connected {
        /// Which address.
        address: Address,
        /// Whether the broker had the session.
        session: SessionState,
    },
    /// An attempt to connect failed.
    ConnectFailed {
        /// Where and why.
        error: Arc<ConnectError>,
        /// Until the next attempt; `None`: there is none.
        retry_in: Option<Duration>,
    },
    /// A connection ended.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// Until the next attempt; `None`: there is none.
        retry_in: Option<Duration>,
    },
    /// A connection ended while this message was the oldest unacknowledged one. The broker may dislike it: from 3 on it
    /// deserves a look.
    Suspect {
        /// Its topic.
        topic: String,
        /// Connections that ended so.
        attempts: u8,
    },
    /// The same, and [`ConnectOptions::max_attempts`](crate::ConnectOptions::max_attempts) is reached: its future fails.
    Undeliverable {
        /// Its topic.
        topic: String,
        /// Connections that ended so.
        attempts: u8,
    },
    /// A message over the packet limit was skipped and acknowledged.
    Oversized {
        /// Its topic, if that fits the receive buffer.
        topic: Option<String>,
        /// The packet's remaining length, bytes.
        remaining_length: u32,
    },
    /// The broker refused a subscription (SUBACK 0x80): a declared one, the renewal of one after it had lost the session,
    /// or one that [`Client::subscribe`](crate::Client::subscribe) asked for, which returns that as well.
    SubscriptionRefused {
        /// Which.
        filter: Filter,
    },
    /// The broker granted less than was asked for: messages come at the lower QoS.
    SubscriptionDowngraded {
        /// Which.
        filter: Filter,
        /// What was asked for.
        requested: QoS,
        /// What was granted.
        granted: QoS,
    },
    /// The broker has closed connection after connection before it was [stable](crate::BackoffOptions::stable_after).
    /// Most likely another client uses the same client id: the broker keeps only the newest of them, and each
    /// connects again. Or it dislikes something that this one does each time; its log tells.
    RepeatedlyClosed {
        /// Connections in a row, 3 and more.
        times: u32,
    },
    /// A QoS 1 message matches no stream and is held unacknowledged until one is taken
    /// ([`Unmatched::Hold`](crate::Unmatched::Hold)). Told of the first one of each connection: once the broker's window
    /// (mosquitto: 20) is full of them, nothing else is received. Most likely the broker has a subscription that an earlier
    /// version of the program made: take its stream, [unsubscribe](crate::Client::unsubscribe) its filter, or choose
    /// [`Unmatched::Discard`](crate::Unmatched::Discard).
    Unmatched {
        /// Its topic.
        topic: String,
    },
    /// Consumers have not kept up for the stall time-out while an answer was awaited: QoS 1 messages are discarded
    /// unacknowledged until the queues are empty.
    Stalled,
    /// The client has ended.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { address, session } => write!(f, "connected to {address}, {session}"),
            Self::ConnectFailed { error, retry_in } => {
                write!(f, "cannot connect to {error}; {}", Retry(*retry_in))
            }
            Self::Disconnected { reason, retry_in } => {
                write!(f, "connection ended: {reason}; {}", Retry(*retry_in))
            }
            Self::Suspect { topic, attempts } => write!(
                f,
                "connections that ended while the message to {topic:?} was delivered: {attempts}"
            ),
            Self::Undeliverable { topic, attempts } => write!(
                f,
                "undeliverable: the message to {topic:?}; connections that ended while it was delivered: {attempts}"
            ),
            Self::Oversized {
                topic,
                remaining_length,
            } => {
                write!(f, "over the packet limit: a message of {remaining_length} bytes")?;
                match topic {
                    Some(topic) => write!(f, " from {topic:?}"),
                    None => Ok(()),
                }
            }
            Self::SubscriptionRefused { filter } => {
                write!(f, "the broker refused the subscription to {filter:?}")
            }
            Self::SubscriptionDowngraded {
                filter,
                requested,
                granted,
            } => write!(
                f,
                "the broker granted QoS {} of {} for {filter:?}",
                *granted as u8, *requested as u8
            ),
            Self::RepeatedlyClosed { times } => write!(
                f,
                "the broker has closed {times} connections in a row soon after CONNACK: does another client use the same \
                 client id?"
            ),
            Self::Unmatched { topic } => write!(
                f,
                "held: a QoS 1 message from {topic:?} matches no stream; take one, unsubscribe its filter, or choose \
                 `Unmatched::Discard`"
            ),
            Self::Stalled => f.write_str(
                "consumers stall: QoS 1 messages are discarded unacknowledged until the queues are empty",
            ),
            Self::Closed { reason } => write!(f, "closed: {reason}"),
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resumed => "session resumed",
            Self::New => "new session",
        })
    }
}

/// Until the next attempt to connect.
struct Retry(Option<Duration>);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no further attempt"),
            Some(Duration::ZERO) => f.write_str("next attempt at once"),
            Some(delay) => write!(f, "next attempt in {delay:.1?}"),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The broker closed it. Soon after each connect, again and again: see [`Event::RepeatedlyClosed`].
    #[error("the broker closed the connection")]
    ClosedByBroker,
    /// The transport failed.
    #[error("connection lost: {0}")]
    Io(Arc<io::Error>),
    /// The broker broke the protocol or was silent for too long.
    #[error("{0}")]
    Session(session::Error),
    /// The client ended it to start again: a stalled consumer has caught up, messages that were given up are to come
    /// again, a payload's source failed, or the session had to be started clean.
    #[error("ended to connect again")]
    Cycled,
    /// The client was asked to, or every handle was dropped.
    #[error("disconnected on request")]
    Requested,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ConnectFailure;

    #[test]
    fn each_event_is_one_line_that_names_its_parts() {
        let address = Address::tcp("broker", 1883).unwrap();
        let options = crate::ConnectOptions::new(address.clone());
        let settings = options.settings().unwrap();
        let failure = ConnectFailure::Io(io::ErrorKind::NetworkDown.into());
        let error = Arc::new(ConnectError::new(&settings, &address, failure));
        let topic = || "a\nb".to_owned();
        let filter = || Filter::new("a\nb").unwrap();
        let rows = [
            (
                Event::Connected {
                    address,
                    session: SessionState::Resumed,
                },
                ["mqtt://broker:1883", "session resumed"],
            ),
            (
                Event::ConnectFailed {
                    error: Arc::clone(&error),
                    retry_in: Some(Duration::from_millis(1_520)),
                },
                ["cannot connect to mqtt://broker:1883", "in 1.5s"],
            ),
            (
                Event::Disconnected {
                    reason: DisconnectReason::ClosedByBroker,
                    retry_in: None,
                },
                ["the broker closed the connection", "no further attempt"],
            ),
            (
                Event::Suspect {
                    topic: topic(),
                    attempts: 3,
                },
                [r"a\nb", "3"],
            ),
            (
                Event::Undeliverable {
                    topic: topic(),
                    attempts: 3,
                },
                ["undeliverable", r"a\nb"],
            ),
            (
                Event::Oversized {
                    topic: Some(topic()),
                    remaining_length: 300,
                },
                ["300 bytes", r"a\nb"],
            ),
            (
                Event::SubscriptionRefused { filter: filter() },
                ["refused", r"a\nb"],
            ),
            (
                Event::SubscriptionDowngraded {
                    filter: filter(),
                    requested: QoS::AtLeastOnce,
                    granted: QoS::AtMostOnce,
                },
                ["QoS 0 of 1", r"a\nb"],
            ),
            (
                Event::RepeatedlyClosed { times: 3 },
                ["3 connections", "client id"],
            ),
            (
                Event::Unmatched { topic: topic() },
                [r"a\nb", "`Unmatched::Discard`"],
            ),
            (Event::Stalled, ["stall", "discarded"]),
            (
                Event::Closed {
                    reason: CloseReason::Connect(error),
                },
                ["closed", "mqtt://broker:1883"],
            ),
        ];
        for (event, parts) in rows {
            let shown = event.to_string();
            assert!(!shown.contains('\n'), "{shown:?}");
            for part in parts {
                assert!(shown.contains(part), "{shown:?} has no {part:?}");
            }
        }
    }
}
