//! Received messages and their acknowledgement.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use mqtt_codec::session::AckToken;
use mqtt_codec::wire::{Dup, QoS, Retain, TopicName};

use crate::state::Shared;

/// A received message.
///
/// At QoS 1 the broker keeps it until it is acknowledged: when the message is dropped, or, with
/// [`manual_ack`](crate::Subscribe::manual_ack), by [`ack`](Self::ack). Acknowledgements leave in
/// the order in which the messages came, so one that is held back holds back those behind it.
///
/// One that is dropped while its thread panics, or without `ack` in manual mode, is given up: it is not acknowledged on
/// this connection, and the broker sends it again on the next one. Until then it takes a place in the broker's window
/// (mosquitto sends 20 unacknowledged messages); so when nothing else has been unacknowledged for
/// [`stall_timeout`](crate::ConnectOptions::stall_timeout), the client connects again. A message that is given up each
/// time comes again at that pace. In a [`Transient`](crate::SessionStart::Transient) session no connection would bring
/// it again: there it is lost, and acknowledged so that the window stays open.
#[must_use = "dropping a message acknowledges it"]
pub struct Message {
    pub(crate) content: Content,
    pub(crate) acker: Option<Acker>,
}

/// What was received.
#[derive(Clone)]
pub(crate) struct Content {
    /// Topic, then payload.
    pub(crate) bytes: Bytes,
    pub(crate) topic_len: u16,
    pub(crate) qos: QoS,
    pub(crate) retain: Retain,
    pub(crate) dup: Dup,
}

/// A message in a queue, not yet given to anybody.
pub(crate) struct Queued {
    pub(crate) content: Content,
    pub(crate) receipt: Option<Receipt>,
}

/// The right to acknowledge, shared by the streams that the message went to.
#[derive(Clone)]
pub(crate) struct Receipt {
    pub(crate) token: AckToken,
    /// Whose session the message belongs to: see [`State::session_number`](crate::state::State::session_number).
    pub(crate) session: u32,
    pub(crate) shares: Option<Arc<Shares>>,
}

pub(crate) struct Shares {
    left: AtomicUsize,
    /// A stream's consumer has settled its share.
    settled: AtomicBool,
    given_up: AtomicBool,
}

pub(crate) struct Acker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) receipt: Receipt,
    pub(crate) mode: AckMode,
}

/// When a received message is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AckMode {
    #[default]
    OnDrop,
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Acknowledged,
    GivenUp,
}

/// What it means that a stream leaves its share of a message unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing: another stream has the message, too.
    ToOthers,
    /// The share is the last one; the other streams' consumers have settled theirs.
    Last,
    /// Nobody has seen the message.
    Unseen,
}

impl Message {
    /// The topic that it was published to.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.content.topic().as_str()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.content.bytes[usize::from(self.content.topic_len)..]
    }

    /// The payload, to be kept beyond the message. Small payloads share a buffer of at most 4 KiB
    /// with their neighbours; copy them to keep few of many.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.content
            .bytes
            .slice(usize::from(self.content.topic_len)..)
    }

    /// The QoS of this delivery, 0 or 1.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.content.qos
    }

    /// Whether the broker had retained it before the subscription.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        self.content.retain == Retain::Yes
    }

    /// Whether the broker says that it delivers it again. The first delivery may not have come
    /// here.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.content.dup == Dup::Repeat
    }

    /// Acknowledges it now. The same as dropping it, unless the stream acknowledges manually.
    ///
    /// Without effect at QoS 0, and when the connection that brought it has ended: the broker sends
    /// it again.
    pub fn ack(mut self) {
        if let Some(acker) = self.acker.take() {
            acker.settle(Settlement::Acknowledged);
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take() else {
            return;
        };
        let settlement = match acker.mode {
            AckMode::OnDrop if !std::thread::panicking() => Settlement::Acknowledged,
            AckMode::OnDrop | AckMode::Manual => Settlement::GivenUp,
        };
        acker.settle(settlement);
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("payload_len", &self.payload().len())
            .field("qos", &self.content.qos)
            .field("retain", &self.content.retain)
            .field("dup", &self.content.dup)
            .finish_non_exhaustive()
    }
}

impl Content {
    pub(crate) fn topic(&self) -> TopicName<'_> {
        TopicName::assume_checked(&self.bytes[..usize::from(self.topic_len)])
    }
}

impl Acker {
    fn settle(self, settlement: Settlement) {
        if let Some(settlement) = self.receipt.settle(settlement) {
            self.shared.settle_message(self.receipt.token, settlement);
        }
    }
}

impl Receipt {
    pub(crate) fn new(token: AckToken, session: u32, streams: usize) -> Self {
        let shares = (streams > 1).then(|| {
            Arc::new(Shares {
                left: AtomicUsize::new(streams),
                settled: AtomicBool::new(false),
                given_up: AtomicBool::new(false),
            })
        });
        Self {
            token,
            session,
            shares,
        }
    }

    /// Settles one stream's share; with the last one, what is to become of the message.
    pub(crate) fn settle(&self, settlement: Settlement) -> Option<Settlement> {
        let Some(shares) = &self.shares else {
            return Some(settlement);
        };
        shares.settled.store(true, Ordering::Relaxed);
        if settlement == Settlement::GivenUp {
            shares.given_up.store(true, Ordering::Relaxed);
        }
        // AcqRel: the last one sees what the others stored
        if shares.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        Some(if shares.given_up.load(Ordering::Relaxed) {
            Settlement::GivenUp
        } else {
            Settlement::Acknowledged
        })
    }

    /// Leaves one stream's share unread. The last one stays, to be settled.
    pub(crate) fn leave(&self) -> Left {
        let Some(shares) = &self.shares else {
            return Left::Unseen;
        };
        let others = |left: usize| (left > 1).then(|| left - 1);
        let left = shares
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, others);
        match left {
            Ok(_) => Left::ToOthers,
            Err(_) if shares.settled.load(Ordering::Relaxed) => Left::Last,
            Err(_) => Left::Unseen,
        }
    }
}
