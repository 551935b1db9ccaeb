use core::num::{NonZeroU8, NonZeroU16};

use super::{Duration, TimeLimit};

/// What a connection does with the session that the broker may hold for its client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// Go on with it, from the first connection on. Needs a client id.
    #[default]
    Resume,
    /// Discard what an earlier run left, then keep a session of this run: connects clean and without will,
    /// disconnects, connects persistent; later reconnects resume. Needs a client id.
    CleanSlate,
    /// Keep nothing: every connection is clean. What waits for an acknowledgement is sent again as new.
    Transient,
}

/// What to do with an incoming PUBLISH over [`Config::max_incoming`], or whose topic does not fit
/// [`Config::receive_buffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Oversized {
    /// Read through it without buffering, report it, acknowledge it.
    #[default]
    Acknowledge,
    /// Close the connection with [`Error::Oversized`](super::Error::Oversized). A persistent session makes
    /// the broker send it again.
    Close,
}

/// Settings of a [`Session`](super::Session). All time limits are the caller's clock's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Default: [`Start::Resume`].
    pub start: Start,
    /// Keep Alive in seconds, section 3.1.2.10. `None` switches it off. Default 60.
    pub keep_alive: Option<NonZeroU16>,
    /// From [`Session::open`](super::Session::open) until CONNACK. Default 10 s.
    pub connect_timeout: TimeLimit,
    /// How long the transport may take no byte of what waits for it. Default 20 s.
    pub write_timeout: TimeLimit,
    /// How long reading may be paused while something of ours awaits an answer, and how long what was
    /// [given up](super::Session::give_up) may be all that is unacknowledged. Default 10 s.
    pub stall_timeout: TimeLimit,
    /// How long one PUBLISH, and one SUBSCRIBE or UNSUBSCRIBE, may be the oldest unacknowledged one. Default `None`:
    /// for ever.
    pub ack_timeout: Option<TimeLimit>,
    /// Connections that may end with one PUBLISH as the oldest unacknowledged one before it counts as
    /// undeliverable, if they are [counted](super::Session::count_attempt). Default `None`: no limit.
    pub max_attempts: Option<NonZeroU8>,
    /// PUBLISH packets at QoS 1 that may await their PUBACK at a time. Default 100, at least 1.
    pub window: u16,
    /// Bytes of the caller's receive buffer: a packet up to this size is delivered whole, a larger PUBLISH in
    /// chunks. Default 65,536; at least 16. [`Storage`](super::Storage) may tell another number.
    pub receive_buffer: u32,
    /// Largest incoming PUBLISH, counted as its remaining length in bytes. Default 268,435,455, the
    /// protocol's limit.
    pub max_incoming: u32,
    /// Default: [`Oversized::Acknowledge`].
    pub oversized: Oversized,
}

impl Config {
    /// Least of [`receive_buffer`](Self::receive_buffer).
    pub(super) const MIN_RECEIVE_BUFFER: u32 = 16;

    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: Start::Resume,
            keep_alive: NonZeroU16::new(60),
            connect_timeout: TimeLimit::new(Duration::from_secs(10)),
            write_timeout: TimeLimit::new(Duration::from_secs(20)),
            stall_timeout: TimeLimit::new(Duration::from_secs(10)),
            ack_timeout: None,
            max_attempts: None,
            window: 100,
            receive_buffer: 65_536,
            max_incoming: 268_435_455,
            oversized: Oversized::Acknowledge,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
