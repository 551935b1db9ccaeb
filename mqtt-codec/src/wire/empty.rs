use super::{DecodeError, EncodeError, FixedHeader, PacketType};

/// PINGREQ, PINGRESP or DISCONNECT: a fixed header and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Empty {
    /// PINGREQ: asks the server for a sign of life (section 3.12).
    PingReq = 12,
    /// PINGRESP: the server's sign of life (section 3.13).
    PingResp = 13,
    /// DISCONNECT: the client is about to close; its will is not sent (section 3.14).
    Disconnect = 14,
}

impl Empty {
    /// Bytes of the whole packet.
    pub const LEN: usize = 2;

    /// The packet as a packet type.
    #[must_use]
    #[inline]
    pub const fn packet_type(self) -> PacketType {
        match self {
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect => PacketType::Disconnect,
        }
    }

    /// Reads the packet from its fixed header and the body after it, which must be empty.
    ///
    /// # Errors
    /// A body of any length but 0.
    #[inline]
    pub fn decode(header: FixedHeader, body: &[u8]) -> Result<Self, DecodeError> {
        let packet = match header.packet_type {
            PacketType::PingReq => Self::PingReq,
            PacketType::PingResp => Self::PingResp,
            PacketType::Disconnect => Self::Disconnect,
            _ => return Err(DecodeError::UnexpectedPacketType),
        };
        header.expect_len(body)?;
        if body.is_empty() {
            Ok(packet)
        } else {
            Err(DecodeError::TrailingBytes)
        }
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
        [self.packet_type().first_byte(0), 0]
    }
}
