use core::fmt;

use super::{FilterError, StringError, TopicError};

/// What the peer broke. The connection is over: nothing after the fault can be trusted.
///
/// One variant per rule; [`id`](Self::id) names it.
///
/// ```
/// use mqtt_codec::wire::Packet;
///
/// let error = Packet::decode(b"\x30\x03\x00\x01#").unwrap_err();
/// assert_eq!(error.id(), "MQTT-3.3.2-2");
/// assert_eq!(error.to_string(), "wildcard in the topic of PUBLISH [MQTT-3.3.2-2]");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet type is 0 or 15, which are reserved (section 2.2.1).
    ReservedPacketType,
    /// A packet of another type than the one asked for (section 2.2.1).
    ///
    /// Only from the `decode` of a single packet type that was given another type's header.
    UnexpectedPacketType,
    /// The flags of the fixed header are not those of table 2.2 [MQTT-2.2.2-2].
    InvalidFlags,
    /// The flags of a PUBREL are not `0b0010` [MQTT-3.6.1-1].
    InvalidPubRelFlags,
    /// The flags of a SUBSCRIBE are not `0b0010` [MQTT-3.8.1-1].
    InvalidSubscribeFlags,
    /// The flags of an UNSUBSCRIBE are not `0b0010` [MQTT-3.10.1-1].
    InvalidUnsubscribeFlags,
    /// The flags of a DISCONNECT are not 0 [MQTT-3.14.1-1].
    InvalidDisconnectFlags,
    /// A PUBLISH with both QoS bits set [MQTT-3.3.1-4].
    InvalidPublishQos,
    /// A PUBLISH with DUP although its QoS is 0 [MQTT-3.3.1-2].
    DupWithQos0,
    /// The fourth byte of the Remaining Length asks for a fifth (section 2.2.3).
    MalformedRemainingLength,
    /// The fields of the packet go past its end (section 2.2.3).
    PacketTooShort,
    /// The packet goes on after its last field (section 2.2.3).
    TrailingBytes,
    /// A string is not well-formed UTF-8 [MQTT-1.5.3-1].
    IllFormedUtf8,
    /// A string contains U+0000 [MQTT-1.5.3-2].
    NulInString,
    /// A PUBLISH, SUBSCRIBE or UNSUBSCRIBE with Packet Identifier 0 [MQTT-2.3.1-1].
    ZeroPacketId,
    /// A PUBACK, PUBREC or PUBREL with Packet Identifier 0, which no PUBLISH has [MQTT-2.3.1-6].
    ZeroPacketIdInPublishAck,
    /// A PUBCOMP with Packet Identifier 0, which no PUBREL has [MQTT-4.3.3-2].
    ZeroPacketIdInPubComp,
    /// A SUBACK or UNSUBACK with Packet Identifier 0, which no request has [MQTT-2.3.1-7].
    ZeroPacketIdInSubscribeAck,
    /// A topic name or topic filter of no bytes [MQTT-4.7.3-1].
    EmptyTopic,
    /// The topic name of a PUBLISH contains `+` or `#` [MQTT-3.3.2-2].
    WildcardInTopicName,
    /// The will topic of a CONNECT contains `+` or `#` [MQTT-4.7.1-1].
    WildcardInWillTopic,
    /// A `#` in a topic filter that is not the whole last level [MQTT-4.7.1-2].
    MisplacedMultiLevelWildcard,
    /// A `+` in a topic filter that is not a whole level [MQTT-4.7.1-3].
    MisplacedSingleLevelWildcard,
    /// `$share/` without a share name or without a filter after it (MQTT 5.0, section 4.8.2).
    MalformedSharedSubscription,
    /// A CONNECT for another protocol than `MQTT` [MQTT-3.1.2-1].
    UnknownProtocolName,
    /// A CONNECT with another protocol level than 4 [MQTT-3.1.2-2]; the answer is CONNACK
    /// [`UnacceptableProtocolVersion`](super::ConnectRefusal::UnacceptableProtocolVersion).
    UnacceptableProtocolLevel,
    /// A CONNECT with the reserved bit of its flags set [MQTT-3.1.2-3].
    ReservedConnectFlag,
    /// A CONNECT with a will QoS but no will [MQTT-3.1.2-13].
    WillQosWithoutWill,
    /// A CONNECT with both bits of the will QoS set [MQTT-3.1.2-14].
    InvalidWillQos,
    /// A CONNECT with will retain but no will [MQTT-3.1.2-15].
    WillRetainWithoutWill,
    /// A CONNECT with a password but no user name [MQTT-3.1.2-22].
    PasswordWithoutUserName,
    /// A CONNECT without client identifier that asks for a persistent session [MQTT-3.1.3-8];
    /// the answer is CONNACK
    /// [`IdentifierRejected`](super::ConnectRefusal::IdentifierRejected).
    EmptyClientIdWithPersistentSession,
    /// A CONNACK with one of the reserved acknowledge flags set (section 3.2.2.1).
    ReservedConnAckFlags,
    /// A CONNACK with a reserved return code, 6 or above (section 3.2.2.3).
    ReservedConnectReturnCode,
    /// A CONNACK that refuses and yet has Session Present set [MQTT-3.2.2-4].
    SessionPresentInRefusal,
    /// A SUBSCRIBE without a topic filter [MQTT-3.8.3-3].
    EmptySubscribe,
    /// A SUBSCRIBE asks for QoS 3 or has a reserved bit set [MQTT-3-8.3-4] (so spelt there).
    InvalidRequestedQos,
    /// A SUBACK without a return code [MQTT-3.8.4-5].
    EmptySubAck,
    /// A SUBACK with a return code other than 0x00, 0x01, 0x02 and 0x80 [MQTT-3.9.3-2].
    ReservedSubAckCode,
    /// An UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2].
    EmptyUnsubscribe,
}

impl DecodeError {
    /// The normative statement that was broken, like `"MQTT-3.3.2-2"`; the section, like
    /// `"section 2.2.3"`, where the specification states the rule without an id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.rule().0
    }

    const fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::ReservedPacketType => ("section 2.2.1", "packet type 0 or 15"),
            Self::UnexpectedPacketType => ("section 2.2.1", "another packet type was expected"),
            Self::InvalidFlags => ("MQTT-2.2.2-2", "invalid flags in the fixed header"),
            Self::InvalidPubRelFlags => ("MQTT-3.6.1-1", "invalid flags in PUBREL"),
            Self::InvalidSubscribeFlags => ("MQTT-3.8.1-1", "invalid flags in SUBSCRIBE"),
            Self::InvalidUnsubscribeFlags => ("MQTT-3.10.1-1", "invalid flags in UNSUBSCRIBE"),
            Self::InvalidDisconnectFlags => ("MQTT-3.14.1-1", "invalid flags in DISCONNECT"),
            Self::InvalidPublishQos => ("MQTT-3.3.1-4", "PUBLISH with QoS 3"),
            Self::DupWithQos0 => ("MQTT-3.3.1-2", "PUBLISH with DUP at QoS 0"),
            Self::MalformedRemainingLength => ("section 2.2.3", "remaining length over four bytes"),
            Self::PacketTooShort => ("section 2.2.3", "fields go past the end of the packet"),
            Self::TrailingBytes => ("section 2.2.3", "bytes after the last field of the packet"),
            Self::IllFormedUtf8 => ("MQTT-1.5.3-1", "string is not well-formed UTF-8"),
            Self::NulInString => ("MQTT-1.5.3-2", "string contains U+0000"),
            Self::ZeroPacketId => ("MQTT-2.3.1-1", "packet identifier 0"),
            Self::ZeroPacketIdInPublishAck => (
                "MQTT-2.3.1-6",
                "packet identifier 0 in PUBACK, PUBREC or PUBREL",
            ),
            Self::ZeroPacketIdInPubComp => ("MQTT-4.3.3-2", "packet identifier 0 in PUBCOMP"),
            Self::ZeroPacketIdInSubscribeAck => {
                ("MQTT-2.3.1-7", "packet identifier 0 in SUBACK or UNSUBACK")
            }
            Self::EmptyTopic => ("MQTT-4.7.3-1", "empty topic name or filter"),
            Self::WildcardInTopicName => ("MQTT-3.3.2-2", "wildcard in the topic of PUBLISH"),
            Self::WildcardInWillTopic => ("MQTT-4.7.1-1", "wildcard in the will topic"),
            Self::MisplacedMultiLevelWildcard => ("MQTT-4.7.1-2", "`#` is not the last level"),
            Self::MisplacedSingleLevelWildcard => ("MQTT-4.7.1-3", "`+` is not a whole level"),
            Self::MalformedSharedSubscription => (
                "MQTT 5.0 section 4.8.2",
                "shared subscription without share name or filter",
            ),
            Self::UnknownProtocolName => ("MQTT-3.1.2-1", "protocol name is not `MQTT`"),
            Self::UnacceptableProtocolLevel => ("MQTT-3.1.2-2", "protocol level is not 4"),
            Self::ReservedConnectFlag => ("MQTT-3.1.2-3", "reserved flag set in CONNECT"),
            Self::WillQosWithoutWill => ("MQTT-3.1.2-13", "will QoS without a will"),
            Self::InvalidWillQos => ("MQTT-3.1.2-14", "will QoS 3"),
            Self::WillRetainWithoutWill => ("MQTT-3.1.2-15", "will retain without a will"),
            Self::PasswordWithoutUserName => ("MQTT-3.1.2-22", "password without a user name"),
            Self::EmptyClientIdWithPersistentSession => (
                "MQTT-3.1.3-8",
                "persistent session without a client identifier",
            ),
            Self::ReservedConnAckFlags => ("section 3.2.2.1", "reserved flag set in CONNACK"),
            Self::ReservedConnectReturnCode => ("section 3.2.2.3", "reserved code in CONNACK"),
            Self::SessionPresentInRefusal => {
                ("MQTT-3.2.2-4", "session present in a CONNACK that refuses")
            }
            Self::EmptySubscribe => ("MQTT-3.8.3-3", "SUBSCRIBE without a topic filter"),
            Self::InvalidRequestedQos => ("MQTT-3-8.3-4", "invalid requested QoS in SUBSCRIBE"),
            Self::EmptySubAck => ("MQTT-3.8.4-5", "SUBACK without a return code"),
            Self::ReservedSubAckCode => ("MQTT-3.9.3-2", "reserved return code in SUBACK"),
            Self::EmptyUnsubscribe => ("MQTT-3.10.3-2", "UNSUBSCRIBE without a topic filter"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, words) = self.rule();
        write_rule(f, id, words)
    }
}

impl core::error::Error for DecodeError {}

impl From<StringError> for DecodeError {
    #[inline]
    fn from(error: StringError) -> Self {
        match error {
            StringError::Nul => Self::NulInString,
            // A length on the wire has 16 bits, so that a decoded string is never too long.
            StringError::TooLong => Self::PacketTooShort,
        }
    }
}

impl From<TopicError> for DecodeError {
    #[inline]
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Empty => Self::EmptyTopic,
            TopicError::Nul => Self::NulInString,
            TopicError::Wildcard => Self::WildcardInTopicName,
            TopicError::TooLong => Self::PacketTooShort,
        }
    }
}

impl From<FilterError> for DecodeError {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Empty => Self::EmptyTopic,
            FilterError::Nul => Self::NulInString,
            FilterError::MultiLevelWildcard => Self::MisplacedMultiLevelWildcard,
            FilterError::SingleLevelWildcard => Self::MisplacedSingleLevelWildcard,
            FilterError::SharedSubscription => Self::MalformedSharedSubscription,
            FilterError::TooLong => Self::PacketTooShort,
        }
    }
}

/// Why a packet could not be written. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// The caller's buffer is shorter than the packet: try again with `needed` bytes.
    BufferTooSmall {
        /// Length of the whole packet (of the head alone for
        /// [`PublishHeader`](super::PublishHeader)), in bytes.
        needed: usize,
    },
    /// The packet is longer than a Remaining Length can say, 268,435,455 bytes
    /// (section 2.2.3): send less.
    PacketTooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed } => write!(f, "the packet needs {needed} bytes"),
            Self::PacketTooLong => {
                f.write_str("the packet is longer than 268,435,455 bytes (section 2.2.3)")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

pub(super) fn write_rule(f: &mut fmt::Formatter<'_>, id: &str, words: &str) -> fmt::Result {
    f.write_str(words)?;
    f.write_str(" [")?;
    f.write_str(id)?;
    f.write_str("]")
}
