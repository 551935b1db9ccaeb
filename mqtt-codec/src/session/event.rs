use crate::wire::{Dup, PacketId, PacketType, QoS, Retain, SessionPresent, SubAckCodes, TopicName};

use super::AckToken;

/// What one step of [`Session::handle_input`](super::Session::handle_input) brought.
#[derive(Debug)]
#[non_exhaustive]
// With the tag apart its fields stay whole words: taking a denser layout apart cost a board 90 bytes.
#[cfg_attr(not(target_pointer_width = "64"), repr(u8))]
pub enum Input<'b, H> {
    /// The broker accepted the connection. The session wants its renewals next, see
    /// [`Session::wants_renewal`](super::Session::wants_renewal).
    Connected {
        /// Absent: the broker has no subscriptions of ours.
        session: SessionPresent,
    },
    /// A message, or its beginning.
    Message(Message<'b>),
    /// The next bytes of the message that has begun.
    Payload {
        /// In order, without gaps.
        bytes: &'b [u8],
        /// Bytes still to come.
        left: u32,
    },
    /// A PUBLISH over [`Config::max_incoming`](super::Config::max_incoming), or with a topic over the receive
    /// buffer; its bytes are skipped and it is acknowledged.
    Oversized {
        /// `None` when the topic does not fit the receive buffer.
        topic: Option<TopicName<'b>>,
        /// The packet's remaining length in bytes.
        remaining_length: u32,
    },
    /// A QoS 1 message that is skipped because its consumers stall, or because the storage has no slot for
    /// acknowledgements at all. It stays unacknowledged, but for a stall of a transient session, to which no later
    /// connection would bring it again.
    Discarded {
        /// The packet's remaining length in bytes.
        remaining_length: u32,
    },
    /// A QoS 1 PUBLISH waits in the input and no place for its acknowledgement is free. Pause reading until a
    /// message was acknowledged, then offer the same bytes again.
    Blocked,
    /// The broker has acknowledged a PUBLISH.
    Acknowledged {
        /// Its packet id.
        id: PacketId,
        /// The caller's handle.
        handle: H,
    },
    /// The broker has answered a SUBSCRIBE, one code for each of its filters.
    Subscribed {
        /// The caller's handle.
        handle: H,
        /// The codes in the order of the filters.
        codes: SubAckCodes<'b>,
    },
    /// The broker has acknowledged an UNSUBSCRIBE.
    Unsubscribed {
        /// The caller's handle.
        handle: H,
    },
    /// An acknowledgement that nothing asked for, ignored.
    Unexpected(PacketType),
}

/// A received message, or its beginning.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Message<'b> {
    /// Where it was published to.
    pub topic: TopicName<'b>,
    /// At most once or at least once.
    pub qos: QoS,
    /// Whether the broker had retained it.
    pub retain: Retain,
    /// Whether the broker marks it as delivered again.
    pub dup: Dup,
    /// The payload, or its first bytes.
    pub payload: &'b [u8],
    /// Bytes of the whole payload; more than `payload` holds if [`Input::Payload`] follows.
    pub payload_len: u32,
    /// The packet's remaining length in bytes.
    pub remaining_length: u32,
    /// To be acknowledged, at QoS 1.
    pub token: Option<AckToken>,
}

/// What happened without input.
#[derive(Debug)]
#[non_exhaustive]
// as `Input`
#[cfg_attr(not(target_pointer_width = "64"), repr(u8))]
pub enum Event<H> {
    /// Reading was paused for [`Config::stall_timeout`](super::Config::stall_timeout) while an answer was
    /// awaited: resume it now. QoS 1 messages come as [`Input::Discarded`] until
    /// [`Session::handle_drained`](super::Session::handle_drained).
    ReadOn,
    /// A connection ended with this PUBLISH as the oldest unacknowledged one, as
    /// [`Session::count_attempt`](super::Session::count_attempt) has counted.
    Suspect {
        /// Its packet id.
        id: PacketId,
        /// Connections that ended so, this one included.
        attempts: u8,
    },
    /// As [`Event::Suspect`], and [`Config::max_attempts`](super::Config::max_attempts) is reached: the message is
    /// given up. If a connection carried it whole, a persistent session is started clean once.
    Undeliverable {
        /// Its packet id.
        id: PacketId,
        /// Connections that ended so.
        attempts: u8,
        /// The caller's handle.
        handle: H,
    },
}

/// A durable change of the session, for a store. A store that passes over one of them loses messages: another kind
/// would be a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A PUBLISH was accepted under this id, behind all others.
    Accepted(PacketId),
    /// A PUBLISH is settled: acknowledged, undeliverable or abandoned. After the latter two the session may have to start
    /// clean once: until the next [`Input::Connected`] a run that restores it starts with
    /// [`Start::CleanSlate`](super::Start::CleanSlate).
    Removed(PacketId),
    /// The broker holds no session any more: every PUBLISH left counts as never sent.
    Reset,
}

/// What comes after a connection, see [`Session::handle_closed`](super::Session::handle_closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Connect again at once: the session closed the connection itself.
    Now,
    /// Connect again after a [`Backoff`](super::Backoff).
    AfterBackoff,
    /// Nothing: [`Session::disconnect`](super::Session::disconnect) was called.
    Never,
}

/// The next bytes for the transport: `bytes`, then the payload if there is one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transmit<'s, H> {
    /// Bytes of the engine and of the handle's topic or filter, in order; each may be empty.
    pub bytes: [&'s [u8]; 3],
    /// Payload to follow, supplied by the caller.
    pub payload: Option<PayloadRange<'s, H>>,
    /// At the first byte of a PUBLISH: whether it goes out again. Until some of it is taken over it can be
    /// [abandoned](super::Session::abandon) without harm to the connection.
    pub begins: Option<Dup>,
}

/// A part of a PUBLISH's payload.
#[derive(Debug)]
#[non_exhaustive]
pub struct PayloadRange<'s, H> {
    /// Whose payload.
    pub handle: &'s H,
    /// The packet's id.
    pub id: PacketId,
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub len: u32,
}
