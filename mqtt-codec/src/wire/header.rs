use super::utf8::IS_SMALL;
use super::{DecodeError, EncodeError};

/// The fourteen control packet types of table 2.1, with their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PacketType {
    /// Client to server: opens the session.
    Connect = 1,
    /// Server to client: accepts or refuses a CONNECT.
    ConnAck = 2,
    /// Either way: carries a message.
    Publish = 3,
    /// Either way: acknowledges a PUBLISH of QoS 1.
    PubAck = 4,
    /// Either way: first answer to a PUBLISH of QoS 2.
    PubRec = 5,
    /// Either way: answer to PUBREC.
    PubRel = 6,
    /// Either way: answer to PUBREL, the end of a QoS 2 delivery.
    PubComp = 7,
    /// Client to server: asks for subscriptions.
    Subscribe = 8,
    /// Server to client: answers SUBSCRIBE.
    SubAck = 9,
    /// Client to server: gives subscriptions up.
    Unsubscribe = 10,
    /// Server to client: answers UNSUBSCRIBE.
    UnsubAck = 11,
    /// Client to server: asks for a sign of life.
    PingReq = 12,
    /// Server to client: answers PINGREQ.
    PingResp = 13,
    /// Client to server: ends the connection without the will being sent.
    Disconnect = 14,
}

impl PacketType {
    /// The type of that number, `None` for 0 and 15, which are reserved, and above.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            _ => return None,
        })
    }

    /// The flags that a packet of this type must have (table 2.2). Those of PUBLISH vary: 0 here.
    #[must_use]
    #[inline]
    pub const fn fixed_flags(self) -> u8 {
        const SET: u16 = 1 << PacketType::PubRel as u16
            | 1 << PacketType::Subscribe as u16
            | 1 << PacketType::Unsubscribe as u16;
        (SET >> self as u16 & 1) as u8 * 0b0010
    }

    /// Reads it from the first byte of a packet, whose flags are judged.
    #[inline(always)]
    pub(crate) fn decode(first: u8) -> Result<Self, DecodeError> {
        let flags = first & 0x0F;
        let Some(packet_type) = Self::from_bits(first >> 4) else {
            return Err(DecodeError::ReservedPacketType);
        };
        if IS_SMALL || LEGAL_FLAGS[usize::from(first >> 4)] >> flags & 1 == 0 {
            check_flags(packet_type, flags)?;
        }
        Ok(packet_type)
    }

    #[inline]
    pub(crate) const fn first_byte(self, flags: u8) -> u8 {
        (self as u8) << 4 | flags & 0x0F
    }
}

/// Remaining Length: bytes of a packet after its fixed header, 0 to 268,435,455 (section 2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RemainingLength(u32);

impl RemainingLength {
    /// No byte follows the fixed header.
    pub const ZERO: Self = Self(0);
    /// The largest length that four bytes can say.
    pub const MAX: Self = Self(268_435_455);

    /// That many bytes, `None` over [`MAX`](Self::MAX).
    #[must_use]
    #[inline]
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes <= Self::MAX.0 {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The length in bytes.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bytes of the shortest encoding, 1 to 4.
    #[must_use]
    #[inline]
    pub const fn encoded_len(self) -> usize {
        match self.0 {
            0..=0x7F => 1,
            0x80..=0x3FFF => 2,
            0x4000..=0x1F_FFFF => 3,
            _ => 4,
        }
    }

    /// Reads it from the bytes after the first of a packet: the length and what follows it, or `None`
    /// if more bytes are needed.
    #[inline(always)]
    pub(crate) fn decode(mut input: &[u8]) -> Result<Option<(Self, &[u8])>, DecodeError> {
        let mut length = 0;
        for position in 0..4 {
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            input = rest;
            length |= u32::from(byte & 0x7F) << (7 * position);
            if byte & 0x80 == 0 {
                return Ok(Some((Self(length), input)));
            }
        }
        Err(DecodeError::MalformedRemainingLength)
    }

    pub(super) const fn from_usize(bytes: usize) -> Result<Self, EncodeError> {
        if bytes > Self::MAX.0 as usize {
            return Err(EncodeError::PacketTooLong);
        }
        Ok(Self(bytes as u32))
    }
}

/// Fixed header: what every packet begins with (section 2.2).
// In this order the niche of `packet_type` comes first, and what `decode` returns stays in
// registers: half the time of decoding a short packet was spent on moving it through memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct FixedHeader {
    /// Type of the packet.
    pub packet_type: PacketType,
    /// Flags of the packet, in the low four bits.
    pub flags: u8,
    /// Bytes that follow this header.
    pub remaining_length: RemainingLength,
}

impl FixedHeader {
    /// Bytes of the longest fixed header: one and four of Remaining Length.
    pub const MAX_LEN: usize = 5;

    /// Reads a fixed header from the beginning of `input`: the header and its own length in
    /// bytes, or `None` if more bytes are needed.
    ///
    /// Every form of 1 to 4 bytes of Remaining Length is accepted, the shortest or not: the
    /// specification does not ask for the shortest.
    ///
    /// # Errors
    /// A reserved packet type, flags that the type must not have, a Remaining Length over four
    /// bytes. Type and flags are judged as soon as the first byte is there.
    ///
    /// # Example
    /// ```
    /// use mqtt_codec::wire::{DecodeError, FixedHeader, PacketType};
    ///
    /// let (header, len) = FixedHeader::decode(b"\x30\xFF\x7F")?.expect("it is complete");
    /// assert_eq!((header.packet_type, len), (PacketType::Publish, 3));
    /// assert_eq!(header.remaining_length.get(), 16_383);
    ///
    /// assert_eq!(FixedHeader::decode(b"\x36"), Err(DecodeError::InvalidPublishQos));
    /// # Ok::<(), DecodeError>(())
    /// ```
    // As a call it returns through memory, and takes twice as long.
    #[inline(always)]
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((&first, rest)) = input.split_first() else {
            return Ok(None);
        };
        let packet_type = PacketType::decode(first)?;
        let Some((remaining_length, rest)) = RemainingLength::decode(rest)? else {
            return Ok(None);
        };
        let header = Self {
            packet_type,
            flags: first & 0x0F,
            remaining_length,
        };
        Ok(Some((header, input.len() - rest.len())))
    }

    /// Writes the header to the beginning of `out`, with the shortest form of its Remaining
    /// Length, and returns its length in bytes. The flags are written as they are.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`]
    #[inline]
    pub fn encode(self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = self.encoded_len();
        let Some((first, length)) = out.get_mut(..needed).and_then(<[u8]>::split_first_mut) else {
            return Err(EncodeError::BufferTooSmall { needed });
        };
        *first = self.packet_type.first_byte(self.flags);
        let mut rest = self.remaining_length.0;
        if let ([only], false) = (&mut *length, IS_SMALL) {
            *only = rest as u8;
            return Ok(needed);
        }
        for byte in length {
            *byte = (rest & 0x7F) as u8 | if rest > 0x7F { 0x80 } else { 0 };
            rest >>= 7;
        }
        Ok(needed)
    }

    /// Bytes of the header itself, 2 to 5.
    #[must_use]
    #[inline]
    pub const fn encoded_len(self) -> usize {
        1 + self.remaining_length.encoded_len()
    }

    /// Refuses a header of another type, and a body that is not the whole rest of the packet.
    #[inline]
    pub(super) fn expect(self, packet_type: PacketType, body: &[u8]) -> Result<(), DecodeError> {
        if self.packet_type != packet_type {
            return Err(DecodeError::UnexpectedPacketType);
        }
        self.expect_len(body)
    }

    #[inline]
    pub(super) fn expect_len(self, body: &[u8]) -> Result<(), DecodeError> {
        let length = self.remaining_length.0 as usize;
        if body.len() < length {
            Err(DecodeError::PacketTooShort)
        } else if body.len() > length {
            Err(DecodeError::TrailingBytes)
        } else {
            Ok(())
        }
    }
}

/// For each packet type, a bit for each value of the flags that it may have (table 2.2).
const LEGAL_FLAGS: [u16; 16] = {
    let mut legal = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        legal[bits as usize] = match PacketType::from_bits(bits) {
            // QoS 0 without DUP, QoS 1 and QoS 2, each with RETAIN and without.
            Some(PacketType::Publish) => 0b0011_1100_0011_1111,
            Some(packet_type) => 1 << packet_type.fixed_flags(),
            None => 0,
        };
        bits += 1;
    }
    legal
};

/// As [`LEGAL_FLAGS`] has it, which is faster and larger.
#[cfg_attr(target_pointer_width = "64", cold)]
#[cfg_attr(not(target_pointer_width = "64"), inline(always))]
fn check_flags(packet_type: PacketType, flags: u8) -> Result<(), DecodeError> {
    Err(match packet_type {
        PacketType::Publish if flags & 0b0110 == 0b0110 => DecodeError::InvalidPublishQos,
        PacketType::Publish if flags & 0b1110 == 0b1000 => DecodeError::DupWithQos0,
        PacketType::Publish => return Ok(()),
        _ if flags == packet_type.fixed_flags() => return Ok(()),
        PacketType::PubRel => DecodeError::InvalidPubRelFlags,
        PacketType::Subscribe => DecodeError::InvalidSubscribeFlags,
        PacketType::Unsubscribe => DecodeError::InvalidUnsubscribeFlags,
        PacketType::Disconnect => DecodeError::InvalidDisconnectFlags,
        _ => DecodeError::InvalidFlags,
    })
}
