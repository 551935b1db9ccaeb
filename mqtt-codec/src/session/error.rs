use core::error;
use core::fmt;

use crate::wire::{ConnectRefusal, DecodeError};

/// Why a connection is over. The session itself goes on, unless [`Error::is_terminal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
// as `Input`
#[cfg_attr(not(target_pointer_width = "64"), repr(u32))]
pub enum Error {
    /// The broker broke a rule of the protocol.
    Protocol(Violation),
    /// The broker answered CONNECT with a refusal.
    Refused(ConnectRefusal),
    /// The broker, or the way to it, was silent for too long.
    Timeout(Timeout),
    /// The broker's session delivers QoS 2, which this client does not subscribe to: it stems from another
    /// client. Start once with [`Start::CleanSlate`](super::Start::CleanSlate), or use another client id.
    QoS2Session,
    /// A PUBLISH over [`Config::max_incoming`](super::Config::max_incoming), or with a topic over the receive
    /// buffer, with [`Oversized::Close`](super::Oversized::Close).
    Oversized {
        /// Its remaining length in bytes.
        remaining_length: u32,
    },
}

impl Error {
    /// Whether connecting again in the same way cannot help: wrong protocol version, client id refused, a
    /// session that delivers QoS 2.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::QoS2Session
                | Self::Refused(
                    ConnectRefusal::UnacceptableProtocolVersion
                        | ConnectRefusal::IdentifierRejected
                )
        )
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Protocol(Violation::Malformed(error))
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Protocol(violation)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(violation) => violation.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Timeout(timeout) => timeout.fmt(f),
            Self::QoS2Session => f.write_str(
                "the broker's session for this client id delivers QoS 2, left by another client: \
                 start once with a clean slate or use another client id",
            ),
            Self::Oversized { remaining_length } => {
                write!(
                    f,
                    "incoming PUBLISH of {remaining_length} bytes is over the limit"
                )
            }
        }
    }
}

impl error::Error for Error {}

/// A rule that the broker broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The bytes are no packet of MQTT 3.1.1.
    Malformed(DecodeError),
    /// The first packet is not CONNACK.
    FirstPacketNotConnAck,
    /// CONNACK came twice.
    SecondConnAck,
    /// CONNACK claims a session although a clean one was asked for.
    SessionAfterClean,
    /// A packet that only a client may send.
    PacketOfClient,
    /// An acknowledgement of another kind than the packet with that id asks for.
    AckOfWrongKind,
    /// SUBACK has not one return code for each filter.
    SubAckCount,
    /// The packet's remaining length is impossible for its type.
    ImpossibleLength,
}

impl Violation {
    /// The normative id or the section of MQTT 3.1.1.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.id(),
            Self::FirstPacketNotConnAck => "MQTT-3.2.0-1",
            Self::SecondConnAck => "section 3.2",
            Self::SessionAfterClean => "MQTT-3.2.2-1",
            Self::PacketOfClient => "section 2.2.1",
            Self::AckOfWrongKind => "section 4.3",
            Self::SubAckCount => "MQTT-3.8.4-5",
            Self::ImpossibleLength => "section 2.2.3",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Malformed(error) => {
                return write!(f, "malformed packet from the broker: {error}");
            }
            Self::FirstPacketNotConnAck => "the first packet is not CONNACK",
            Self::SecondConnAck => "a second CONNACK",
            Self::SessionAfterClean => {
                "CONNACK claims a session although a clean one was asked for"
            }
            Self::PacketOfClient => "a packet that only a client may send",
            Self::AckOfWrongKind => "an acknowledgement of the wrong kind",
            Self::SubAckCount => "SUBACK does not match the filters of its SUBSCRIBE",
            Self::ImpossibleLength => "remaining length is impossible for the packet type",
        };
        write!(
            f,
            "protocol violation by the broker: {what} [{}]",
            self.id()
        )
    }
}

impl error::Error for Violation {}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// No CONNACK within [`Config::connect_timeout`](super::Config::connect_timeout).
    ConnAck,
    /// No byte after a PINGREQ for half the keep alive.
    PingResponse,
    /// The transport took no byte for [`Config::write_timeout`](super::Config::write_timeout).
    Write,
    /// The oldest PUBLISH, or the oldest SUBSCRIBE or UNSUBSCRIBE, was not acknowledged within
    /// [`Config::ack_timeout`](super::Config::ack_timeout).
    Acknowledgement,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnAck => "no CONNACK in time",
            Self::PingResponse => "no answer to PINGREQ in time",
            Self::Write => "the transport takes no more bytes",
            Self::Acknowledgement => "no acknowledgement in time",
        })
    }
}

/// Why [`Session::enqueue`](super::Session::enqueue) gave the handle back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnqueueReason {
    /// All slots are taken: wait until something is acknowledged.
    Full,
    /// The packet would be longer than MQTT 3.1.1 can express (section 2.2.3).
    PacketTooLong,
    /// A SUBSCRIBE or UNSUBSCRIBE without filter ([MQTT-3.8.3-3], [MQTT-3.10.3-2]).
    NoFilter,
    /// More filters than [`Config::receive_buffer`](super::Config::receive_buffer) less seven, or than 65,535: the
    /// answer, with a byte for each, could not be received. Use several packets.
    TooManyFilters,
    /// A filter at QoS 2, which this client does not speak.
    ExactlyOnce,
}

/// A handle that was not taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnqueueError<H> {
    /// The handle, unchanged.
    pub handle: H,
    /// The reason.
    pub reason: EnqueueReason,
}

impl<H> fmt::Display for EnqueueError<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            EnqueueReason::Full => "all slots of the session are taken",
            EnqueueReason::PacketTooLong => "packet is longer than MQTT 3.1.1 can express",
            EnqueueReason::NoFilter => "no topic filter given",
            EnqueueReason::TooManyFilters => "more topic filters than one packet may carry",
            EnqueueReason::ExactlyOnce => "a subscription at QoS 2",
        })
    }
}

impl<H: fmt::Debug> error::Error for EnqueueError<H> {}
