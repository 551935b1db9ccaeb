//! Times, bounds and policies, with their defaults and limits.
use std::{ops::RangeInclusive, time::Duration};

use super::OptionsError;

/// What any time-out may be set to.
pub(super) const TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(86_400);
/// The largest remaining length that MQTT can say, bytes.
pub(crate) const LONGEST_PACKET: usize = 268_435_455;
/// What the limit on incoming packets may be set to, in bytes.
const PACKET_LIMITS: RangeInclusive<usize> = 256..=LONGEST_PACKET;
/// The packet ids that the session has for PUBLISH; SUBSCRIBE and UNSUBSCRIBE have others.
const IN_FLIGHT: RangeInclusive<u16> = 1..=64_511;

/// A bound by number and by size, whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capacity {
    /// The number of messages, at least 1.
    pub messages: usize,
    /// The memory they keep alive, in bytes, at least 1. A message larger than this is let in when
    /// it is alone.
    pub bytes: usize,
}

impl Capacity {
    /// Both bounds.
    pub const fn new(messages: usize, bytes: usize) -> Self {
        Self { messages, bytes }
    }
}

/// What becomes of a QoS 0 publish while the outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits for room, as QoS 1 always does; without a connection, for the next one.
    #[default]
    Wait,
    /// It is dropped and counted; also without connection, and while a longer message is under way: a stream, or a
    /// payload over 256 KiB.
    Drop,
}

/// What becomes of an incoming message over the packet limit. It is never buffered, and always
/// reported in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Oversized {
    /// It is read through and acknowledged, so that the broker does not send it again.
    #[default]
    Acknowledge,
    /// The connection is closed. In a persistent session the broker sends it again on the next one.
    Close,
}

/// What becomes of a QoS 1 message that no stream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unmatched {
    /// In a session that persists it waits unacknowledged in the default queue until a matching stream or the default
    /// stream is taken; since PUBACKs leave in order of receipt, a broker's window full of such messages holds up all
    /// streams. [`Event::Unmatched`](crate::Event::Unmatched) tells. What comes for a filter that was unsubscribed (one of the last 64) is not waited for, but acknowledged and
    /// dropped. In a transient session, where no stream can be missing for long, it is acknowledged and dropped.
    #[default]
    Hold,
    /// It is acknowledged, dropped and counted.
    Discard,
}

/// What connecting for the first time does when it fails with an error that trying again could
/// cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FirstConnect {
    /// It returns the error, once every address was tried.
    #[default]
    ReturnError,
    /// It goes on trying with backoff, as every later connect does.
    KeepTrying,
}

/// How long to wait between attempts to connect: a random time between zero and a bound (full
/// jitter) that starts at `min`, doubles with each failure up to `max`, and starts again once a
/// connection was up for `stable_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffOptions {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    pub(crate) stable_after: Duration,
}

impl BackoffOptions {
    /// The bound after the first failure. Default 0.5 s, 1 ms to 24 h.
    #[must_use]
    pub const fn min(mut self, min: Duration) -> Self {
        self.min = min;
        self
    }

    /// The largest bound. Default 60 s, from `min` to 24 h.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// How long a connection must have been up for the bound to start at `min` again. Default 30 s,
    /// 1 ms to 24 h.
    #[must_use]
    pub const fn stable_after(mut self, uptime: Duration) -> Self {
        self.stable_after = uptime;
        self
    }
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(500),
            max: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
        }
    }
}

/// Everything about a client that is a number or a policy.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    pub(crate) connect_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) drain_timeout: Duration,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) in_flight: u16,
    pub(crate) outbox: Capacity,
    pub(crate) qos0_overflow: Overflow,
    pub(crate) packet_limit: usize,
    pub(crate) oversized: Oversized,
    pub(crate) queue: Capacity,
    pub(crate) unmatched: Unmatched,
    pub(crate) backoff: BackoffOptions,
    pub(crate) first_connect: FirstConnect,
}

impl Default for Tuning {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(10),
            ack_timeout: None,
            drain_timeout: Duration::from_secs(10),
            max_attempts: None,
            in_flight: 100,
            outbox: Capacity::new(10_000, 16 * MIB),
            qos0_overflow: Overflow::default(),
            packet_limit: 16 * MIB,
            oversized: Oversized::default(),
            queue: Capacity::new(1_024, 16 * MIB),
            unmatched: Unmatched::default(),
            backoff: BackoffOptions::default(),
            first_connect: FirstConnect::default(),
        }
    }
}

impl Tuning {
    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        self.validate_times()?;
        let bounds = [
            (
                "max_attempts",
                self.max_attempts
                    .is_none_or(|attempts| (1..=255).contains(&attempts)),
                "1 to 255",
            ),
            (
                "in_flight",
                IN_FLIGHT.contains(&self.in_flight),
                "1 to 64,511",
            ),
            ("outbox.messages", self.outbox.messages > 0, "at least 1"),
            ("outbox.bytes", self.outbox.bytes > 0, "at least 1"),
            ("queue.messages", self.queue.messages > 0, "at least 1"),
            ("queue.bytes", self.queue.bytes > 0, "at least 1"),
            (
                "packet_limit",
                PACKET_LIMITS.contains(&self.packet_limit),
                "256 to 268,435,455 bytes",
            ),
        ];
        match bounds.into_iter().find(|(_, within, _)| !within) {
            Some((option, _, allowed)) => Err(OptionsError::OutOfRange { option, allowed }),
            None => Ok(()),
        }
    }

    fn validate_times(&self) -> Result<(), OptionsError> {
        let times = [
            ("connect_timeout", Some(self.connect_timeout)),
            ("write_timeout", Some(self.write_timeout)),
            ("stall_timeout", Some(self.stall_timeout)),
            ("ack_timeout", self.ack_timeout),
            ("drain_timeout", Some(self.drain_timeout)),
            ("backoff.min", Some(self.backoff.min)),
            ("backoff.max", Some(self.backoff.max)),
            ("backoff.stable_after", Some(self.backoff.stable_after)),
        ];
        for (option, time) in times {
            if time.is_some_and(|time| !TIMEOUTS.contains(&time)) {
                return Err(OptionsError::OutOfRange {
                    option,
                    allowed: "1 ms to 24 h",
                });
            }
        }
        if self.backoff.min > self.backoff.max {
            return Err(OptionsError::OutOfRange {
                option: "backoff.max",
                allowed: "at least backoff.min",
            });
        }
        Ok(())
    }
}
