use std::{future::Future, time::Duration};

use mqtt_codec::wire::QoS;

use crate::World;

/// A client of some adapter, as the scenarios use it. Clones are handles of the same client.
#[expect(
    async_fn_in_trait,
    reason = "the scenarios run on one thread and need no bound on the futures"
)]
pub trait Adapter: Clone + 'static {
    /// The acknowledgement of an enqueued message.
    type Ack: Future<Output = Result<(), Failure>> + Unpin + 'static;
    /// Received messages.
    type Inbox: Inbox;
    /// What it tells of itself.
    type Happenings: HappeningSource;

    /// Starts a client that connects through [`World::dial`]; returns at once.
    fn start(world: &World, setup: Setup) -> Self;

    /// Waits until it is connected, or has ended.
    async fn connected(&self) -> Result<(), Failure>;

    /// What happens from now on; taken before the first await, it misses nothing.
    fn happenings(&self) -> Self::Happenings;

    /// Completes at QoS 1 with the acknowledgement.
    async fn publish(&self, topic: &str, payload: &[u8], qos: QoS) -> Result<(), Failure>;

    /// Waits for room only.
    async fn enqueue(&self, topic: &str, payload: &[u8]) -> Result<Self::Ack, Failure>;

    /// QoS 1, read from the source while it is sent.
    async fn publish_source(&self, topic: &str, source: Source) -> Result<(), Failure>;

    /// Completes when it is granted.
    async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Self::Inbox, Failure>;

    /// Completes when it is acknowledged.
    async fn unsubscribe(&self, filter: &str) -> Result<(), Failure>;

    /// The stream of a declared subscription.
    fn take(&self, filter: &str) -> Self::Inbox;

    /// The stream of what matches no other.
    fn take_unmatched(&self) -> Self::Inbox;

    /// Completes when everything published so far was handed to the transport.
    async fn flush(&self) -> Result<(), Failure>;

    /// Ends the client, within this time if one is given; payloads of the QoS 1 messages that were not delivered.
    async fn disconnect(&self, within: Option<Duration>) -> Vec<Vec<u8>>;

    /// Its counters.
    fn counts(&self) -> Counts;
}

/// Where [`Happening`]s come from.
#[expect(
    async_fn_in_trait,
    reason = "the scenarios run on one thread and need no bound on the futures"
)]
pub trait HappeningSource: 'static {
    /// The next one, `None` when there is none any more.
    async fn next(&mut self) -> Option<Happening>;
}

/// Received messages.
#[expect(
    async_fn_in_trait,
    reason = "the scenarios run on one thread and need no bound on the futures"
)]
pub trait Inbox: 'static {
    type Delivery: Delivery;

    /// The next one; `None` at the end of the subscription.
    async fn next(&mut self) -> Option<Self::Delivery>;

    /// From now on messages are acknowledged by [`Delivery::ack`] alone.
    fn acknowledge_manually(&mut self);
}

/// A received message. Dropping it acknowledges it, unless its inbox does so manually.
pub trait Delivery: 'static {
    fn topic(&self) -> &str;
    fn payload(&self) -> &[u8];
    fn is_duplicate(&self) -> bool;
    fn ack(self);
}

/// Options of a client.
#[derive(Clone, Debug)]
pub struct Setup {
    pub client_id: &'static str,
    pub start: Start,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub stall_timeout: Duration,
    /// The first failure to connect does not end the client.
    pub keep_trying: bool,
    pub declared: Vec<(&'static str, QoS)>,
    pub max_attempts: Option<u8>,
    pub in_flight: u16,
    /// Messages at QoS 1 that the outbox holds.
    pub outbox: usize,
    /// Messages that the queue of a stream holds.
    pub queue: usize,
    /// The first and the largest bound of the backoff.
    pub backoff: (Duration, Duration),
}

/// How the session starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Resume,
    CleanSlate,
    Transient,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            client_id: "client",
            start: Start::Resume,
            keep_alive: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(10),
            keep_trying: false,
            declared: Vec::new(),
            max_attempts: None,
            in_flight: 100,
            outbox: 1_000,
            queue: 64,
            backoff: (Duration::from_millis(500), Duration::from_secs(60)),
        }
    }
}

/// A payload that is read while it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Bytes that it announces.
    pub announced: usize,
    /// Bytes that it has; the `n`-th is `n % 251`.
    pub has: usize,
    pub ending: Ending,
}

/// What comes behind the bytes that a [`Source`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    End,
    Error,
}

impl Source {
    /// One that keeps its word.
    #[must_use]
    pub const fn honest(len: usize) -> Self {
        Self {
            announced: len,
            has: len,
            ending: Ending::End,
        }
    }

    /// The bytes that it has.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        (0..self.has).map(|n| (n % 251) as u8).collect()
    }
}

/// What can become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The broker has refused the connection, CONNACK 1 to 5.
    Refused(u8),
    /// Connecting has failed otherwise.
    NotConnected(String),
    /// The client has ended.
    Closed,
    Undeliverable {
        attempts: u8,
    },
    SourceTooShort,
    SourceTooLong,
    SourceFailed,
    /// The broker has refused the filter, SUBACK 0x80.
    FilterRefused,
    Other(String),
}

/// What a client tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Connected {
        resumed: bool,
    },
    ConnectFailed {
        /// Normative id or section, if the broker has broken a rule.
        rule: Option<&'static str>,
        retry_in: Option<Duration>,
    },
    Disconnected {
        /// Normative id or section, if the broker has broken a rule.
        rule: Option<&'static str>,
        /// The broker, or the way to it, was silent or took nothing.
        timed_out: bool,
        retry_in: Option<Duration>,
    },
    Suspect {
        topic: String,
        attempts: u8,
    },
    Undeliverable {
        topic: String,
        attempts: u8,
    },
    Stalled,
    Closed,
    Other,
}

/// What a client counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: u64,
    pub resent: u64,
    pub lost_with_connection: u64,
    pub dropped_by_full_queue: u64,
    pub discarded_while_stalled: u64,
    pub disconnections: u64,
    pub outbox_messages: u64,
}
