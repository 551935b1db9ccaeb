use core::num::{NonZeroU8, NonZeroU16};

use embassy_time::Duration;
use mqtt_codec::session::{self, Config, Identity, TimeLimit};
use mqtt_codec::wire::{
    self, Binary, ClientId, Login, Password, QoS, Retain, TopicFilter, TopicFilters, TopicName,
    Utf8Str,
};

use crate::{
    OptionsError, SubscribeError,
    state::{SUSPECTING, Suspecting, UNSUBSCRIBING, Unsubscribing},
};

pub use mqtt_codec::session::{Oversized, Start as SessionStart};

/// Settings of a client. They are checked while they are put together: a `const` or a `static` of them takes no code for
/// that. What is wrong is told by [`new`](crate::new()): the first thing that was, even if it was set anew later.
///
/// Time limits are kept in steps of 256 µs, the rest is dropped, and are one step at least and 3 days at most: a longer
/// one, [`Duration::MAX`] for instance, counts as that.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    pub(crate) identity: Identity<'a>,
    /// Bytes of the longest CONNECT.
    pub(crate) connect_len: usize,
    /// What is wrong, of all that was set.
    error: Option<OptionsError>,
    pub(crate) declared: TopicFilters<'a>,
    pub(crate) config: Config,
    pub(crate) backoff_ms: (u32, u32),
    pub(crate) first_connect: FirstConnect,
    pub(crate) unmatched: Unmatched,
    pub(crate) unsubscribing: Option<&'static Unsubscribing>,
    pub(crate) suspecting: Option<&'static Suspecting>,
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
    /// [`Client::unmatched`](crate::Client::unmatched). What matches a filter that was
    /// [unsubscribed](crate::Client::unsubscribe), and no subscription of this run, is acknowledged and dropped all the
    /// same if nobody has that inbox: it cannot be told from what the broker still had for the filter.
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
        let options = Self {
            identity: Identity {
                client_id: ClientId::EMPTY,
                login: None,
                will: None,
            },
            connect_len: 0,
            error: None,
            declared: TopicFilters::EMPTY,
            config: Config::new(),
            backoff_ms: (500, 60_000),
            first_connect: FirstConnect::KeepTrying,
            unmatched: Unmatched::Hold,
            unsubscribing: None,
            suspecting: None,
        };
        match ClientId::new(client_id) {
            Ok(client_id) => options.with_identity(Identity {
                client_id,
                login: None,
                will: None,
            }),
            Err(error) => options.fail(OptionsError::Text(error)),
        }
    }

    /// User name and password. Default: none.
    #[must_use]
    pub const fn login(self, user_name: &'a str, password: &'a [u8]) -> Self {
        match Password::new(password) {
            Some(password) => self.with_login(user_name, Some(password)),
            None => self.fail(OptionsError::TooLong),
        }
    }

    /// User name without a password. Default: none.
    #[must_use]
    pub const fn user_name(self, user_name: &'a str) -> Self {
        self.with_login(user_name, None)
    }

    const fn with_login(self, user_name: &'a str, password: Option<Password<'a>>) -> Self {
        match Utf8Str::new(user_name) {
            Ok(user_name) => {
                let login = Some(Login {
                    user_name,
                    password,
                });
                let identity = Identity {
                    login,
                    ..self.identity
                };
                self.with_identity(identity)
            }
            Err(error) => self.fail(OptionsError::Text(error)),
        }
    }

    /// Default: none.
    #[must_use]
    pub const fn will(self, will: Will<'a>) -> Self {
        let topic = match TopicName::new(will.topic) {
            Ok(topic) => topic,
            Err(error) => return self.fail(OptionsError::WillTopic(error)),
        };
        let Some(payload) = Binary::new(will.payload) else {
            return self.fail(OptionsError::TooLong);
        };
        let will = Some(wire::Will {
            topic,
            payload,
            qos: will.qos,
            retain: will.retain,
        });
        let identity = Identity {
            will,
            ..self.identity
        };
        self.with_identity(identity)
    }

    /// Subscriptions that exist before the first byte is read, with an inbox each: [`Client::inbox`](crate::Client::inbox).
    /// SUBSCRIBE is sent only if the broker has not acknowledged it in its present session. Default: none.
    ///
    /// QoS 1 messages wait for their inbox to be taken. Those at QoS 0, retained ones among them, are dropped and
    /// [counted](crate::Stats::dropped) until then: take such an inbox before the runner runs.
    #[must_use]
    pub const fn declare(mut self, subscriptions: &'a [(&'a str, QoS)]) -> Self {
        match check_declared(subscriptions) {
            Ok(declared) => self.declared = declared,
            Err(error) => return self.fail(OptionsError::Subscription(error)),
        }
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

    /// How long one message, or one SUBSCRIBE or UNSUBSCRIBE, may be the oldest unacknowledged one. Default: for ever.
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
        self.suspecting = Some(&SUSPECTING);
        self
    }

    /// QoS 1 messages that may await their acknowledgement at a time, at most those of the outbox. Default: 100; 0 counts
    /// as 1.
    #[must_use]
    pub const fn window(mut self, messages: u16) -> Self {
        self.config.window = messages;
        self
    }

    /// Largest incoming message, as its remaining length in bytes, and what to do with a larger one, or one for us whose
    /// topic is longer than `MESSAGE` of [`Resources`](crate::Resources). Whom one is for whose topic is longer than
    /// `BUFFER` is not known: it counts as for us. Default: the protocol's 268,435,455, [`Oversized::Acknowledge`].
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

    /// What is wrong, as far as it does not depend on the resources.
    pub(crate) const fn check(&self) -> Result<(), OptionsError> {
        match self.error {
            Some(error) => Err(error),
            None if self.identity.client_id.is_empty()
                && !matches!(self.config.start, SessionStart::Transient) =>
            {
                Err(OptionsError::ClientIdRequired)
            }
            None => Ok(()),
        }
    }

    /// The first error is told.
    const fn fail(mut self, error: OptionsError) -> Self {
        if self.error.is_none() {
            self.error = Some(error);
        }
        self
    }

    const fn with_identity(mut self, identity: Identity<'a>) -> Self {
        self.connect_len = identity.connect_len();
        self.identity = identity;
        self
    }
}

const fn check_declared<'a>(
    subscriptions: &'a [(&'a str, QoS)],
) -> Result<TopicFilters<'a>, SubscribeError> {
    let mut checked = 0;
    while let (before, [(filter, qos), ..]) = subscriptions.split_at(checked) {
        if let Err(error) = subscription(filter, *qos) {
            return Err(error);
        }
        let mut others = before;
        while let [(other, _), rest @ ..] = others {
            if is_same(filter.as_bytes(), other.as_bytes()) {
                return Err(SubscribeError::Taken);
            }
            others = rest;
        }
        checked += 1;
    }
    match TopicFilters::new(subscriptions) {
        Ok(filters) => Ok(filters),
        Err(error) => Err(SubscribeError::Filter(error)),
    }
}

const fn is_same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([a_first, a_rest @ ..], [b_first, b_rest @ ..]) = (a, b) {
        if *a_first != *b_first {
            return false;
        }
        (a, b) = (a_rest, b_rest);
    }
    a.is_empty() && b.is_empty()
}

/// A filter and a QoS that may be subscribed to.
pub(crate) const fn subscription(
    filter: &str,
    qos: QoS,
) -> Result<TopicFilter<'_>, SubscribeError> {
    if let QoS::ExactlyOnce = qos {
        return Err(SubscribeError::ExactlyOnce);
    }
    match TopicFilter::new(filter) {
        Ok(filter) => Ok(filter),
        Err(error) => Err(SubscribeError::Filter(error)),
    }
}

/// The session's, about 3 days.
const LONGEST: Duration = Duration::from_secs(274_877);

const fn span(duration: Duration) -> TimeLimit {
    let is_longer = duration.as_ticks() > LONGEST.as_ticks();
    let duration = if is_longer { LONGEST } else { duration };
    TimeLimit::new(session::Duration::from_micros(duration.as_micros()))
}
