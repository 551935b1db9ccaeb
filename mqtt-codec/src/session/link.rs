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
    pub(super) ping_wanted: bool,
    pub(super) renewal: Renewal,
    pub(super) reading: Reading,
    pub(super) packet: Packet,
    /// Bytes handed out and bytes that the transport took, modulo 2³².
    pub(super) staged: u32,
    pub(super) written: u32,
    pub(super) incoming: Incoming,
    /// Bytes of the last input that were not consumed.
    pub(super) left_over: usize,
    pub(super) acks: Acks,
    pub(super) timers: Timers,
}

impl Link {
    #[inline(never)]
    pub(super) const fn new(phase: Phase, ack_sequence: usize) -> Self {
        Self {
            phase,
            stage: Stage::Persist,
            incoming: Incoming::new(),
            left_over: 0,
            packet: Packet::NONE,
            staged: 0,
            written: 0,
            acks: Acks::new(ack_sequence),
            timers: Timers::new(),
            ping_wanted: false,
            renewal: Renewal::Done,
            reading: Reading::On,
        }
    }

    /// Whether another connection, for the sake of messages that were given up, would not come anyway.
    pub(super) fn lacks_given_up(&self) -> bool {
        self.phase == Phase::Connected && self.acks.is_only_given_up()
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

/// The part of a PUBLISH that is still to come; without one, the next byte begins a packet.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) what: Arriving,
    /// Bytes up to the end of the packet.
    pub(super) left: u32,
    /// Whether the PUBLISH has a place among the acknowledgements: the newest.
    pub(super) for_ack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arriving {
    /// A payload that is delivered in chunks.
    Payload,
    /// Bytes that are skipped.
    Skipped,
    /// Bytes that are skipped, `before` of them up to a packet id.
    PacketId { before: u32 },
}

impl Incoming {
    const fn new() -> Self {
        Self {
            what: Arriving::Payload,
            left: 0,
            for_ack: false,
        }
    }

    /// Whether the newest place among the acknowledgements is that of a message still arriving.
    pub(super) const fn awaits_ack(&self) -> bool {
        self.left > 0 && self.for_ack
    }
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
    /// Reading went on although consumers stall: QoS 1 messages are discarded. None was yet.
    Overrun,
    /// As [`Overrun`](Self::Overrun), and at least one was.
    Discarding,
}
