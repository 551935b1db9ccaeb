use super::string::{Writer, packet_len};
use super::{DecodeError, EncodeError, FixedHeader, PacketId, PacketType, QoS, TopicName};

/// PUBLISH with its whole payload (section 3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Publish<'a> {
    /// Topic of the message.
    pub topic: TopicName<'a>,
    /// Quality of service, with what it needs.
    pub delivery: Delivery,
    /// RETAIN flag.
    pub retain: Retain,
    /// The message: any bytes, or none.
    pub payload: &'a [u8],
}

/// PUBLISH up to its payload, for a payload that is sent or received in pieces.
///
/// ```
/// use mqtt_codec::wire::{Delivery, FixedHeader, PublishHeader, Retain, TopicName};
///
/// let header = PublishHeader {
///     topic: TopicName::new("firmware/1.2")?,
///     delivery: Delivery::AtMostOnce,
///     retain: Retain::No,
///     payload_len: 1_000_000,
/// };
/// let mut head = [0; 32];
/// let len = header.encode(&mut head)?;
/// // Send `head[..len]`, then 1,000,000 bytes of payload in pieces of any size.
///
/// let (fixed, fixed_len) = FixedHeader::decode(&head)?.expect("it is complete");
/// let (received, rest_len) =
///     PublishHeader::decode(fixed, &head[fixed_len..len])?.expect("it is complete");
/// assert_eq!(received, header);
/// assert_eq!(fixed_len + rest_len, len);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PublishHeader<'a> {
    /// Topic of the message.
    pub topic: TopicName<'a>,
    /// Quality of service, with what it needs.
    pub delivery: Delivery,
    /// RETAIN flag.
    pub retain: Retain,
    /// Bytes of payload that follow.
    pub payload_len: u32,
}

/// Quality of service of a PUBLISH: only above QoS 0 there are a Packet Identifier
/// [MQTT-2.3.1-5] and a DUP flag [MQTT-3.3.1-2].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
// As `session::Input`: the tag apart, which takes a small processor 100 bytes less.
#[cfg_attr(not(target_pointer_width = "64"), repr(u8))]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1: answered by PUBACK.
    AtLeastOnce {
        /// Identifier that the PUBACK will carry.
        id: PacketId,
        /// Whether the packet may have been sent before.
        dup: Dup,
    },
    /// QoS 2: answered by PUBREC.
    ExactlyOnce {
        /// Identifier that PUBREC, PUBREL and PUBCOMP will carry.
        id: PacketId,
        /// Whether the packet may have been sent before.
        dup: Dup,
    },
}

/// DUP flag: whether the same packet may have been sent before (section 3.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dup {
    /// DUP 0: sent for the first time.
    First,
    /// DUP 1: possibly sent before.
    Repeat,
}

/// RETAIN flag of a message (section 3.3.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retain {
    /// RETAIN 0. To the client: the message was published just now.
    No,
    /// RETAIN 1. To the server: keep the message for later subscribers. To the client: it was
    /// kept when the subscription was made.
    Yes,
}

impl Delivery {
    /// The level of service.
    #[must_use]
    #[inline]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The Packet Identifier, `None` at QoS 0.
    #[must_use]
    #[inline]
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { id, .. } | Self::ExactlyOnce { id, .. } => Some(id),
        }
    }

    /// The DUP flag, which is 0 at QoS 0.
    #[must_use]
    #[inline]
    pub const fn dup(self) -> Dup {
        match self {
            Self::AtMostOnce => Dup::First,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }
}

impl Dup {
    #[inline]
    pub(crate) const fn from_flags(flags: u8) -> Self {
        if flags & DUP_BIT == 0 {
            Self::First
        } else {
            Self::Repeat
        }
    }
}

impl Retain {
    #[inline]
    pub(crate) const fn from_flags(flags: u8) -> Self {
        if flags & RETAIN_BIT == 0 {
            Self::No
        } else {
            Self::Yes
        }
    }
}

impl<'a> Publish<'a> {
    /// Reads the packet from its fixed header and the body after it.
    ///
    /// # Errors
    /// QoS 3 [MQTT-3.3.1-4], DUP at QoS 0 [MQTT-3.3.1-2], a topic that is none
    /// [MQTT-3.3.2-2] [MQTT-4.7.3-1], Packet Identifier 0 [MQTT-2.3.1-1], a body too short for its
    /// fields.
    // As a call it returns through memory, and takes twice as long.
    #[inline(always)]
    pub fn decode(header: FixedHeader, body: &'a [u8]) -> Result<Self, DecodeError> {
        header.expect(PacketType::Publish, body)?;
        let head = PublishHead::decode(header.flags, body.len(), body)?;
        let (head, payload) = head.ok_or(DecodeError::PacketTooShort)?;
        Ok(Self {
            topic: head.topic,
            delivery: head.delivery(header.flags)?,
            retain: Retain::from_flags(header.flags),
            payload,
        })
    }

    /// Bytes of the whole packet.
    ///
    /// # Errors
    /// [`EncodeError::PacketTooLong`]
    #[inline]
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        packet_len(self.head().encoded_len() + self.payload.len())
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], [`EncodeError::PacketTooLong`]
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let head = self.head();
        let body_len = head.encoded_len() + self.payload.len();
        let first = (PacketType::Publish, flags(self.delivery, self.retain));
        let (mut writer, needed) = Writer::begin(out, first, body_len, body_len)?;
        head.write(&mut writer);
        writer.bytes(self.payload);
        Ok(needed)
    }

    #[inline]
    const fn head(&self) -> PublishHead<'a> {
        PublishHead {
            topic: self.topic,
            id: self.delivery.packet_id(),
        }
    }
}

impl<'a> PublishHeader<'a> {
    /// Reads everything before the payload from the fixed header and the beginning of the body:
    /// the header and how many bytes of the body it took, or `None` if more bytes are needed.
    ///
    /// `body_prefix` may go on beyond the topic and beyond the packet.
    ///
    /// # Errors
    /// Those of [`Publish::decode`]; that the topic goes past the end of the packet is found before
    /// the topic has arrived.
    #[inline]
    pub fn decode(
        header: FixedHeader,
        body_prefix: &'a [u8],
    ) -> Result<Option<(Self, usize)>, DecodeError> {
        if header.packet_type != PacketType::Publish {
            return Err(DecodeError::UnexpectedPacketType);
        }
        let body_len = header.remaining_length.get() as usize;
        let Some((head, _)) = PublishHead::decode(header.flags, body_len, body_prefix)? else {
            return Ok(None);
        };
        let head_len = head.encoded_len();
        let publish = Self {
            topic: head.topic,
            delivery: head.delivery(header.flags)?,
            retain: Retain::from_flags(header.flags),
            payload_len: (body_len - head_len) as u32,
        };
        Ok(Some((publish, head_len)))
    }

    /// Bytes of the packet before its payload, fixed header included.
    ///
    /// # Errors
    /// [`EncodeError::PacketTooLong`], the payload counted.
    #[inline]
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        let payload_len = self.payload_len as usize;
        let packet_len = packet_len(self.body_len())?;
        Ok(packet_len - payload_len)
    }

    /// Writes everything before the payload to the beginning of `out` and returns its length.
    /// Exactly `payload_len` bytes of payload must follow on the wire.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], [`EncodeError::PacketTooLong`]
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let head = self.head();
        let first = (PacketType::Publish, flags(self.delivery, self.retain));
        let (mut writer, needed) = Writer::begin(out, first, self.body_len(), head.encoded_len())?;
        head.write(&mut writer);
        Ok(needed)
    }

    #[inline]
    const fn body_len(&self) -> usize {
        (self.payload_len as usize).saturating_add(self.head().encoded_len())
    }

    #[inline]
    const fn head(&self) -> PublishHead<'a> {
        PublishHead {
            topic: self.topic,
            id: self.delivery.packet_id(),
        }
    }
}

const DUP_BIT: u8 = 0b1000;
const QOS_BITS: u8 = 0b0110;
const RETAIN_BIT: u8 = 0b0001;

#[inline]
const fn flags(delivery: Delivery, retain: Retain) -> u8 {
    let dup = match delivery.dup() {
        Dup::First => 0,
        Dup::Repeat => DUP_BIT,
    };
    dup | delivery.qos().bits() << 1 | retain as u8
}

/// What is between the fixed header of a PUBLISH and its payload.
#[derive(Clone, Copy)]
pub(crate) struct PublishHead<'a> {
    pub(crate) topic: TopicName<'a>,
    /// `None` at QoS 0.
    pub(crate) id: Option<PacketId>,
}

impl<'a> PublishHead<'a> {
    /// The head and the bytes after it, or `None` if `prefix` ends within it. All lengths are
    /// judged before all contents, so that the verdict is the same however the bytes arrive.
    /// The flags are not judged.
    #[inline(always)]
    pub(crate) fn decode(
        flags: u8,
        body_len: usize,
        prefix: &'a [u8],
    ) -> Result<Option<(Self, &'a [u8])>, DecodeError> {
        let id_len = if flags & QOS_BITS == 0 { 0 } else { 2 };
        let &[high, low, ref rest @ ..] = prefix else {
            return if body_len < 2 + id_len {
                Err(DecodeError::PacketTooShort)
            } else {
                Ok(None)
            };
        };
        let topic_len = usize::from(u16::from_be_bytes([high, low]));
        if body_len < 2 + topic_len + id_len {
            return Err(DecodeError::PacketTooShort);
        }
        let Some((topic, rest)) = rest.split_at_checked(topic_len) else {
            return Ok(None);
        };
        let Some((id, rest)) = rest.split_at_checked(id_len) else {
            return Ok(None);
        };
        let topic = TopicName::decode(topic)?;
        let id = match *id {
            [high, low] => {
                let id = PacketId::new(u16::from_be_bytes([high, low]));
                Some(id.ok_or(DecodeError::ZeroPacketId)?)
            }
            _ => None,
        };
        Ok(Some((Self { topic, id }, rest)))
    }

    #[inline]
    const fn encoded_len(self) -> usize {
        let id_len = if self.id.is_some() { 2 } else { 0 };
        2 + self.topic.as_bytes().len() + id_len
    }

    /// What `flags` and the id say, if they can be.
    #[inline(always)]
    fn delivery(self, flags: u8) -> Result<Delivery, DecodeError> {
        let dup = Dup::from_flags(flags);
        let qos = QoS::from_bits((flags & QOS_BITS) >> 1).ok_or(DecodeError::InvalidPublishQos)?;
        Ok(match (qos, self.id) {
            (QoS::ExactlyOnce, Some(id)) => Delivery::ExactlyOnce { id, dup },
            (_, Some(id)) => Delivery::AtLeastOnce { id, dup },
            (_, None) if dup == Dup::First => Delivery::AtMostOnce,
            (_, None) => return Err(DecodeError::DupWithQos0),
        })
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>) {
        writer.binary(self.topic.as_bytes());
        if let Some(id) = self.id {
            writer.u16(id.get());
        }
    }
}
