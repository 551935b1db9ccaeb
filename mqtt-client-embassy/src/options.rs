use core::num::{NonZeroU8, NonZeroU16};

use embassy_time::Duration;
use mqtt_codec::session::{self, Config, Identity};
use mqtt_codec::wire::{
    self, Binary, ClientId, Login, Password, QoS, Retain, TopicFilter, TopicName, Utf8Str,
};

use crate::{
    OptionsError, SubscribeError,
    state::{UNSUBSCRIBING, Unsubscribing},
};

pub use mqtt_codec::session::{Oversized, Start as SessionStart};

/// Settings of a client. Nothing is checked before [`new`](crate::new()). A time limit is 3 days at most: a longer one,
/// [`Duration::MAX`] for instance, counts as that.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    client_id: &'a str,
    user_name: Option<&'a str>,
    password: Option<Secret<'a>>,
    will: Option<Will<'a>>,
    pub(crate) declared: &'a [(&'a str, QoS)],
    pub(crate) config: Config,
    pub(crate) backoff_ms: (u32, u32),
    pub(crate) first_connect: FirstConnect,
    pub(crate) unmatched: Unmatched,
    pub(crate) unsubscribing: Option<&'static Unsubscribing>,
}

/// Does not show itself.
#[derive(Clone, Copy)]
struct Secret<'a>(&'a [u8]);

impl core::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("..")
    }
}

/// The message that the broker publishes when a connection ends without DISCONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Will<'a> {
    /// Where to.
    pub topic: &'a str,
    /// Up to 65,535 bytes.
    pub payload: &'a [u8],
    /// Quality of service.
    pub qos: QoS,
    /// Whether the broker keeps it for later subscribers.
    pub retain: Retain,
}

/// What becomes of a client whose first connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FirstConnect {
    /// It tries again as after any later failure.
    #[default]
    KeepTrying,
    /// It ends, and says why.
    ReturnError,
}

/// What becomes of a message that matches no subscription of ours, as an earlier run may have left some at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unmatched {
    /// At QoS 1 it waits, unacknowledged and in its place of the queue, for a matching inbox or for
    /// [`Client::unmatched`](crate::Client::unmatched).
    #[default]
    Hold,
    /// It is acknowledged and dropped.
    Discard,
}

impl<'a> Options<'a> {
    /// The defaults, for the client of this id. An empty id needs [`SessionStart::Transient`]: the broker gives one then,
    /// or refuses, as it likes.
    #[must_use]
    pub const fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            user_name: None,
            password: None,
            will: None,
            declared: &[],
            config: Config::new(),
            backoff_ms: (500, 60_000),
            first_connect: FirstConnect::KeepTrying,
            unmatched: Unmatched::Hold,
            unsubscribing: None,
        }
    }

    /// User name and password. Default: none.
    #[must_use]
    pub const fn login(mut self, user_name: &'a str, password: &'a [u8]) -> Self {
        self.user_name = Some(user_name);
        self.password = Some(Secret(password));
        self
    }

    /// User name without a password. Default: none.
    #[must_use]
    pub const fn user_name(mut self, user_name: &'a str) -> Self {
        self.user_name = Some(user_name);
        self.password = None;
        self
    }

    /// Default: none.
    #[must_use]
    pub const fn will(mut self, will: Will<'a>) -> Self {
        self.will = Some(will);
        self
    }

    /// Subscriptions that exist before the first byte is read, with an inbox each: [`Client::inbox`](crate::Client::inbox).
    /// SUBSCRIBE is sent only if the broker has not acknowledged it in its present session. Default: none.
    ///
    /// QoS 1 messages wait for their inbox to be taken. Those at QoS 0, retained ones among them, are dropped and
    /// [counted](crate::Stats::dropped) until then: take such an inbox before the runner runs.
    #[must_use]
    pub const fn declare(mut self, subscriptions: &'a [(&'a str, QoS)]) -> Self {
        self.declared = subscriptions;
        self
    }

    /// How the session starts. Default: [`SessionStart::Resume`].
    #[must_use]
    pub const fn session_start(mut self, start: SessionStart) -> Self {
        self.config.start = start;
        self.unsubscribing = match start {
            SessionStart::Transient => Some(&UNSUBSCRIBING),
            _ => None,
        };
        self
    }

    /// Keep Alive in seconds; 0 switches it off. Default: 60.
    #[must_use]
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.config.keep_alive = NonZeroU16::new(seconds);
        self
    }

    /// From the attempt to open a transport until CONNACK, each of the two. Default: 10 s.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = span(timeout);
        self
    }

    /// How long the transport may take no byte of what waits for it, and a publisher hand out none of a payload that is
    /// due. Default: 20 s.
    #[must_use]
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = span(timeout);
        self
    }

    /// How long reading may be held up by full queues while an answer of the broker is awaited. Default: 10 s.
    #[must_use]
    pub const fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.config.stall_timeout = span(timeout);
        self
    }

    /// How long one message may be the oldest unacknowledged one. Default: for ever.
    #[must_use]
    pub const fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.ack_timeout = Some(span(timeout));
        self
    }

    /// Connections that may end with one message as the oldest unacknowledged one before it counts as undeliverable.
    /// Default: no limit.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: NonZeroU8) -> Self {
        self.config.max_attempts = Some(attempts);
        self
    }

    /// QoS 1 messages that may await their acknowledgement at a time, at most those of the outbox. Default: 100; 0 counts
    /// as 1.
    #[must_use]
    pub const fn window(mut self, messages: u16) -> Self {
        self.config.window = messages;
        self
    }

    /// Largest incoming message, as its remaining length in bytes, and what to do with a larger one, or one whose topic
    /// is longer than `MESSAGE` of [`Resources`](crate::Resources). Default: the protocol's 268,435,455,
    /// [`Oversized::Acknowledge`].
    #[must_use]
    pub const fn max_incoming(mut self, bytes: u32, oversized: Oversized) -> Self {
        self.config.max_incoming = bytes;
        self.config.oversized = oversized;
        self
    }

    /// First and largest bound of the random wait between attempts, milliseconds; the wait is 8 ms at least, and a
    /// first bound of 0 counts as 1. Default: 500 and 60,000.
    #[must_use]
    pub const fn backoff(mut self, min_ms: u32, max_ms: u32) -> Self {
        let min_ms = if min_ms == 0 { 1 } else { min_ms };
        self.backoff_ms = (min_ms, max_ms);
        self
    }

    /// Default: [`FirstConnect::KeepTrying`].
    #[must_use]
    pub const fn first_connect(mut self, first_connect: FirstConnect) -> Self {
        self.first_connect = first_connect;
        self
    }

    /// Default: [`Unmatched::Hold`].
    #[must_use]
    pub const fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.unmatched = unmatched;
        self
    }

    pub(crate) fn identity(&self) -> Result<Identity<'a>, OptionsError> {
        let client_id = ClientId::new(self.client_id).map_err(OptionsError::Text)?;
        if client_id.is_empty() && self.config.start != SessionStart::Transient {
            return Err(OptionsError::ClientIdRequired);
        }
        let login = match self.user_name {
            None => None,
            Some(user_name) => Some(Login {
                user_name: Utf8Str::new(user_name).map_err(OptionsError::Text)?,
                password: match self.password {
                    None => None,
                    Some(Secret(password)) => {
                        Some(Password::new(password).ok_or(OptionsError::TooLong)?)
                    }
                },
            }),
        };
        let will = match self.will {
            None => None,
            Some(will) => Some(wire::Will {
                topic: TopicName::new(will.topic).map_err(OptionsError::WillTopic)?,
                payload: Binary::new(will.payload).ok_or(OptionsError::TooLong)?,
                qos: will.qos,
                retain: will.retain,
            }),
        };
        Ok(Identity {
            client_id,
            login,
            will,
        })
    }
}

/// A filter and a QoS that may be subscribed to.
pub(crate) fn subscription(filter: &str, qos: QoS) -> Result<TopicFilter<'_>, SubscribeError> {
    if qos == QoS::ExactlyOnce {
        return Err(SubscribeError::ExactlyOnce);
    }
    Ok(TopicFilter::new(filter)?)
}

/// The session's, about 3 days.
const LONGEST: Duration = Duration::from_secs(274_877);

const fn span(duration: Duration) -> session::Duration {
    let is_longer = duration.as_ticks() > LONGEST.as_ticks();
    let duration = if is_longer { LONGEST } else { duration };
    session::Duration::from_micros(duration.as_micros())
}
