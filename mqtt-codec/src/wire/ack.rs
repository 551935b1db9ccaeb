use super::string::Reader;
use super::{DecodeError, EncodeError, FixedHeader, PacketId, PacketType};

/// The packets that carry a Packet Identifier and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum AckType {
    /// PUBACK: a PUBLISH of QoS 1 has arrived (section 3.4).
    PubAck = 4,
    /// PUBREC: a PUBLISH of QoS 2 has arrived (section 3.5).
    PubRec = 5,
    /// PUBREL: the PUBREC has arrived (section 3.6).
    PubRel = 6,
    /// PUBCOMP: the PUBREL has arrived (section 3.7).
    PubComp = 7,
    /// UNSUBACK: the UNSUBSCRIBE was carried out (section 3.11).
    UnsubAck = 11,
}

impl AckType {
    /// The acknowledgement that `packet_type` is, `None` if it is another packet.
    #[must_use]
    #[inline]
    pub const fn from_packet_type(packet_type: PacketType) -> Option<Self> {
        Some(match packet_type {
            PacketType::PubAck => Self::PubAck,
            PacketType::PubRec => Self::PubRec,
            PacketType::PubRel => Self::PubRel,
            PacketType::PubComp => Self::PubComp,
            PacketType::UnsubAck => Self::UnsubAck,
            _ => return None,
        })
    }

    /// The acknowledgement as a packet type.
    #[must_use]
    #[inline]
    pub const fn packet_type(self) -> PacketType {
        match self {
            Self::PubAck => PacketType::PubAck,
            Self::PubRec => PacketType::PubRec,
            Self::PubRel => PacketType::PubRel,
            Self::PubComp => PacketType::PubComp,
            Self::UnsubAck => PacketType::UnsubAck,
        }
    }

    const fn zero_packet_id(self) -> DecodeError {
        match self {
            Self::PubAck | Self::PubRec | Self::PubRel => DecodeError::ZeroPacketIdInPublishAck,
            Self::PubComp => DecodeError::ZeroPacketIdInPubComp,
            Self::UnsubAck => DecodeError::ZeroPacketIdInSubscribeAck,
        }
    }
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK: four bytes that differ by their type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ack {
    /// Which of the five it is.
    pub ack_type: AckType,
    /// Identifier of the packet that it answers.
    pub id: PacketId,
}

impl Ack {
    /// Bytes of the whole packet.
    pub const LEN: usize = 4;

    /// Reads the packet from its fixed header and the body after it.
    ///
    /// # Errors
    /// A body of other than two bytes, Packet Identifier 0 [MQTT-2.3.1-6] [MQTT-2.3.1-7].
    // As a call it returns through memory, which takes more code than all it does.
    #[inline(always)]
    pub fn decode(header: FixedHeader, body: &[u8]) -> Result<Self, DecodeError> {
        let ack_type = AckType::from_packet_type(header.packet_type)
            .ok_or(DecodeError::UnexpectedPacketType)?;
        header.expect_len(body)?;
        let mut reader = Reader::new(body);
        let id = reader.packet_id(ack_type.zero_packet_id())?;
        reader.finish()?;
        Ok(Self { ack_type, id })
    }

    /// Bytes of the whole packet: [`LEN`](Self::LEN).
    ///
    /// # Errors
    /// None; the form is that of all packets.
    #[inline]
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        Ok(Self::LEN)
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`]
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = Self::LEN;
        let room = out
            .first_chunk_mut()
            .ok_or(EncodeError::BufferTooSmall { needed })?;
        *room = self.to_bytes();
        Ok(needed)
    }

    /// The whole packet.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let packet_type = self.ack_type.packet_type();
        let [high, low] = self.id.get().to_be_bytes();
        [
            packet_type.first_byte(packet_type.fixed_flags()),
            2,
            high,
            low,
        ]
    }
}
