use super::acks::Acks;
use super::session::Stage;
use super::timers::Timers;
use super::transmit::Packet;

/// Everything that belongs to one connection. A new connection gets a new one, so that nothing can be left
/// over from the last.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// What its CONNECT asked for.
    pub(super) stage: Stage,
    pub(super) incoming: Incoming,
    /// Whether the PUBLISH that is arriving has a place among the acknowledgements: the newest.
    pub(super) arrives_for_ack: bool,
    /// Bytes of the last input that were not consumed.
    pub(super) left_over: usize,
    pub(super) packet: Packet,
    /// Bytes handed out and bytes that the transport took, modulo 2³².
    pub(super) staged: u32,
    pub(super) written: u32,
    pub(super) acks: Acks,
    pub(super) timers: Timers,
    pub(super) ping_wanted: bool,
    pub(super) renewal: Renewal,
    pub(super) reading: Reading,
}

impl Link {
    pub(super) const fn new(phase: Phase, connection: u32) -> Self {
        Self {
            phase,
            stage: Stage::Persist,
            incoming: Incoming::Packet,
            arrives_for_ack: false,
            left_over: 0,
            packet: Packet::NONE,
            staged: 0,
            written: 0,
            acks: Acks::new(connection),
            timers: Timers::new(),
            ping_wanted: false,
            renewal: Renewal::Done,
            reading: Reading::On,
        }
    }

    pub(super) const fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Connected | Phase::Disconnecting)
    }
}

/// ```text
/// Closed ─open─► Connecting ─CONNACK─► Connected ─disconnect─► Disconnecting ─DISCONNECT handed out─► Finished
///    ▲               │                     │                        │                                    │
///    └───────────────┴─────────────────────┴─────── handle_closed ──┴────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Connecting,
    Connected,
    Disconnecting,
    /// Nothing more is sent; the caller closes when what was handed out is written.
    Finished,
    /// A packet was given up half sent: nothing that is written after it has a meaning.
    Broken,
}

/// What the next input byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A fixed header.
    Packet,
    /// A payload that is delivered in chunks.
    Payload { left: u32 },
    /// A PUBLISH that is skipped.
    Skip { left: u32 },
    /// A PUBLISH that is skipped and whose packet id is not seen yet: `before` bytes, then the id.
    SkipToId {
        before: u32,
        high: Option<u8>,
        left: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Wanted,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    On,
    /// The caller reads nothing.
    Paused,
    /// Reading went on although consumers stall: QoS 1 messages are discarded unacknowledged. None was yet.
    Overrun,
    /// As [`Overrun`](Self::Overrun), and at least one was.
    Discarding,
}
