use super::string::{Writer, packet_len};
use super::{DecodeError, EncodeError, FixedHeader, PacketId, PacketType, QoS};

/// SUBACK: answers a SUBSCRIBE, one code for each of its filters (section 3.9).
///
/// `C` is what the codes come from: any iterator that can be cloned to send them, and
/// [`SubAckCodes`] when they were received. A clone must yield the same items.
///
/// ```
/// use mqtt_codec::wire::{Packet, QoS, SubAckCode};
///
/// let Some((Packet::SubAck(suback), _)) = Packet::decode(b"\x90\x04\x00\x01\x01\x80")? else {
///     panic!("it is a SUBACK");
/// };
/// let codes: Vec<_> = suback.codes().collect();
/// assert_eq!(codes, [SubAckCode::Granted(QoS::AtLeastOnce), SubAckCode::Failure]);
/// # Ok::<(), mqtt_codec::wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SubAck<C> {
    id: PacketId,
    codes: C,
}

/// Codes of a received SUBACK, in the order of the filters [MQTT-3.9.3-1].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SubAckCodes<'a>(&'a [u8]);

/// What became of one requested subscription.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
// as `Delivery`
#[cfg_attr(not(target_pointer_width = "64"), repr(u8))]
pub enum SubAckCode {
    /// Subscribed; messages come with this QoS at most.
    Granted(QoS),
    /// Refused: 0x80.
    Failure,
}

impl<C> SubAck<C> {
    /// Identifier of the SUBSCRIBE that it answers.
    #[inline]
    pub const fn id(&self) -> PacketId {
        self.id
    }
}

impl<C: Iterator<Item = SubAckCode> + Clone> SubAck<C> {
    /// An answer of all of `codes`, `None` if there are none [MQTT-3.8.4-5].
    pub fn new(id: PacketId, codes: impl IntoIterator<IntoIter = C>) -> Option<Self> {
        let codes = codes.into_iter();
        codes.clone().next()?;
        Some(Self { id, codes })
    }

    /// The codes in the order of the filters.
    pub fn codes(&self) -> C {
        self.codes.clone()
    }

    /// Bytes of the whole packet.
    ///
    /// # Errors
    /// [`EncodeError::PacketTooLong`]
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        packet_len(self.body_len())
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], [`EncodeError::PacketTooLong`]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let body_len = self.body_len();
        let (mut writer, needed) = Writer::begin(out, (PacketType::SubAck, 0), body_len, body_len)?;
        writer.u16(self.id.get());
        for code in self.codes() {
            writer.u8(code.to_byte());
        }
        Ok(needed)
    }

    fn body_len(&self) -> usize {
        self.codes().count().saturating_add(2)
    }
}

impl<'a> SubAck<SubAckCodes<'a>> {
    /// Reads the packet from its fixed header and the body after it. Every code is checked.
    ///
    /// # Errors
    /// Packet Identifier 0 [MQTT-2.3.1-7], no code [MQTT-3.8.4-5], a reserved code
    /// [MQTT-3.9.3-2].
    // As a call it returns through memory, which takes more code than all it does.
    #[inline(always)]
    pub fn decode(header: FixedHeader, body: &'a [u8]) -> Result<Self, DecodeError> {
        header.expect(PacketType::SubAck, body)?;
        let Some((&id, codes)) = body.split_first_chunk() else {
            return Err(DecodeError::PacketTooShort);
        };
        let id = decode_answered_id(PacketType::SubAck, id)?;
        let codes = SubAckCodes::decode(codes, codes.len())?;
        if codes.0.is_empty() {
            return Err(DecodeError::EmptySubAck);
        }
        Ok(Self { id, codes })
    }
}

/// Identifier of the packet that a PUBACK, SUBACK or UNSUBACK answers.
#[inline(always)]
pub(crate) fn decode_answered_id(
    packet_type: PacketType,
    id: [u8; 2],
) -> Result<PacketId, DecodeError> {
    PacketId::new(u16::from_be_bytes(id)).ok_or(match packet_type {
        PacketType::PubAck => DecodeError::ZeroPacketIdInPublishAck,
        _ => DecodeError::ZeroPacketIdInSubscribeAck,
    })
}

impl<'a> SubAckCodes<'a> {
    /// Those of a packet that has `max` at most.
    #[inline(always)]
    pub(crate) fn decode(codes: &'a [u8], max: usize) -> Result<Self, DecodeError> {
        let is_legal = |&code: &u8| SubAckCode::from_byte(code).is_some();
        let are_legal = match max {
            1 => codes.first().is_none_or(is_legal),
            _ => codes.iter().all(is_legal),
        };
        match are_legal {
            true => Ok(Self(codes)),
            false => Err(DecodeError::ReservedSubAckCode),
        }
    }
}

impl Iterator for SubAckCodes<'_> {
    type Item = SubAckCode;

    fn next(&mut self) -> Option<SubAckCode> {
        let (&code, rest) = self.0.split_first()?;
        self.0 = rest;
        SubAckCode::from_byte(code)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for SubAckCodes<'_> {}

impl SubAckCode {
    /// The meaning of a return code, `None` for the reserved ones [MQTT-3.9.3-2].
    #[must_use]
    pub const fn from_byte(code: u8) -> Option<Self> {
        match (code, QoS::from_bits(code)) {
            (_, Some(qos)) => Some(Self::Granted(qos)),
            (0x80, _) => Some(Self::Failure),
            _ => None,
        }
    }

    /// The return code on the wire: 0x00, 0x01, 0x02 or 0x80.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Granted(qos) => qos.bits(),
            Self::Failure => 0x80,
        }
    }
}
