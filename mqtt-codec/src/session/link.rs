use super::acks::Acks;
use super::session::Stage;
use super::timers::Timers;
use super::transmit::Packet;

/// Everything that belongs to one connection. A new connection gets a new one, so that nothing can be left
/// over from the last.
#[derive(Debug)]
#[repr(C)] // as `Session`
pub(super) struct Link {
    pub(super) packet: Packet,
    /// Bytes handed out and bytes that the transport took, modulo 2³².
    pub(super) staged: u32,
    pub(super) written: u32,
    /// Bytes of the last input that were not consumed.
    pub(super) left_over: usize,
    pub(super) timers: Timers,
    pub(super) acks: Acks,
    pub(super) incoming: Incoming,
    /// What its CONNECT asked for.
    pub(super) stage: Stage,
    pub(super) ping_wanted: bool,
    pub(super) renewal: Renewal,
    pub(super) phase: Phase,
    pub(super) reading: Reading,
    /// Whether a received message was given up.
    pub(super) gave_up: bool,
}

impl Link {
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
            gave_up: false,
        }
    }

    /// Becomes that of the next connection, or of none.
    #[inline(never)]
    pub(super) fn renew(&mut self, phase: Phase) {
        // all zero: one fill
        const CLOSED: Link = Link::new(Phase::Closed, 0);
        let sequence = self.acks.next_sequence();
        *self = CLOSED;
        self.phase = phase;
        self.acks = Acks::new(sequence);
    }

    /// Whether another connection, for the sake of messages that were given up, would not come anyway.
    pub(super) fn lacks_given_up(&self) -> bool {
        self.phase == Phase::Connected && self.gave_up && self.acks.is_empty()
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
    /// Bytes up to the end of the packet.
    pub(super) left: u32,
    /// Bytes up to the packet id, if one comes.
    pub(super) before_id: u32,
    pub(super) what: Arriving,
    /// Whether the PUBLISH has a place among the acknowledgements: the newest.
    pub(super) for_ack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arriving {
    /// A payload that is delivered in chunks.
    Payload,
    /// Bytes that are skipped.
    Skipped,
    /// Bytes that are skipped, with a packet id among them.
    PacketId,
}

impl Incoming {
    const fn new() -> Self {
        Self {
            left: 0,
            before_id: 0,
            what: Arriving::Payload,
            for_ack: false,
        }
    }

    /// The next `left` bytes.
    pub(super) const fn begin(&mut self, what: Arriving, left: u32) {
        self.left = left;
        self.what = what;
    }

    /// Whether the newest place among the acknowledgements is that of a message still arriving.
    pub(super) const fn awaits_ack(&self) -> bool {
        self.left > 0 && self.for_ack
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Done,
    Wanted,
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
