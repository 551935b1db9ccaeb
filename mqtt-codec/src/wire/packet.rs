use super::{
    Ack, AckType, ConnAck, Connect, DecodeError, Empty, EncodeError, FixedHeader, PacketId,
    PacketType, Publish, SubAck, SubAckCodes, Subscribe, SubscribeFilters, Unsubscribe,
    UnsubscribeFilters,
};

/// Any of the fourteen packets, as received.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Packet<'a> {
    /// CONNECT: opens a session.
    Connect(Connect<'a>),
    /// CONNACK: answers CONNECT.
    ConnAck(ConnAck),
    /// PUBLISH: carries a message.
    Publish(Publish<'a>),
    /// PUBACK: a PUBLISH of QoS 1 has arrived.
    PubAck(PacketId),
    /// PUBREC: a PUBLISH of QoS 2 has arrived.
    PubRec(PacketId),
    /// PUBREL: the PUBREC has arrived.
    PubRel(PacketId),
    /// PUBCOMP: the PUBREL has arrived.
    PubComp(PacketId),
    /// SUBSCRIBE: asks for subscriptions.
    Subscribe(Subscribe<SubscribeFilters<'a>>),
    /// SUBACK: answers SUBSCRIBE.
    SubAck(SubAck<SubAckCodes<'a>>),
    /// UNSUBSCRIBE: gives subscriptions up.
    Unsubscribe(Unsubscribe<UnsubscribeFilters<'a>>),
    /// UNSUBACK: answers UNSUBSCRIBE.
    UnsubAck(PacketId),
    /// PINGREQ: asks for a sign of life.
    PingReq,
    /// PINGRESP: answers PINGREQ.
    PingResp,
    /// DISCONNECT: ends the connection without the will being sent.
    Disconnect,
}

impl<'a> Packet<'a> {
    /// Reads one packet from the beginning of `input`: the packet and its length in bytes, or
    /// `None` if more bytes are needed.
    ///
    /// # Errors
    /// What the peer broke; the connection is over. Type and flags are judged by the first byte,
    /// everything else when the whole packet is there.
    ///
    /// # Example
    /// ```
    /// use mqtt_codec::wire::{Packet, PacketId};
    ///
    /// let mut input: &[u8] = b"\x40\x02\x00\x01\xD0\x00\x40\x02";
    /// let mut packets = Vec::new();
    /// while let Some((packet, len)) = Packet::decode(input)? {
    ///     packets.push(packet);
    ///     input = &input[len..];
    /// }
    /// assert_eq!(packets, [Packet::PubAck(PacketId::MIN), Packet::PingResp]);
    /// assert_eq!(input, b"\x40\x02");
    /// # Ok::<(), mqtt_codec::wire::DecodeError>(())
    /// ```
    #[inline]
    pub fn decode(input: &'a [u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((header, header_len)) = FixedHeader::decode(input)? else {
            return Ok(None);
        };
        let len = header_len + header.remaining_length.get() as usize;
        let Some(body) = input.get(header_len..len) else {
            return Ok(None);
        };
        // What arrives most is kept apart from the large code of the others, and each is returned
        // from where it is made: a move through memory takes longer than decoding an acknowledgement.
        match header.packet_type {
            PacketType::Publish => {
                let publish = Publish::decode(header, body)?;
                Ok(Some((Self::Publish(publish), len)))
            }
            PacketType::PubAck => {
                let ack = Ack::decode(header, body)?;
                Ok(Some((Self::PubAck(ack.id), len)))
            }
            _ => Self::decode_other(header, body, len),
        }
    }

    #[inline(never)]
    fn decode_other(
        header: FixedHeader,
        body: &'a [u8],
        len: usize,
    ) -> Result<Option<(Self, usize)>, DecodeError> {
        let packet = match header.packet_type {
            PacketType::Connect => Self::Connect(Connect::decode(header, body)?),
            PacketType::ConnAck => Self::ConnAck(ConnAck::decode(header, body)?),
            PacketType::Publish => Self::Publish(Publish::decode(header, body)?),
            PacketType::PubAck => Self::PubAck(Ack::decode(header, body)?.id),
            PacketType::PubRec => Self::PubRec(Ack::decode(header, body)?.id),
            PacketType::PubRel => Self::PubRel(Ack::decode(header, body)?.id),
            PacketType::PubComp => Self::PubComp(Ack::decode(header, body)?.id),
            PacketType::Subscribe => Self::Subscribe(Subscribe::decode(header, body)?),
            PacketType::SubAck => Self::SubAck(SubAck::decode(header, body)?),
            PacketType::Unsubscribe => Self::Unsubscribe(Unsubscribe::decode(header, body)?),
            PacketType::UnsubAck => Self::UnsubAck(Ack::decode(header, body)?.id),
            PacketType::PingReq => Empty::decode(header, body).map(|_| Self::PingReq)?,
            PacketType::PingResp => Empty::decode(header, body).map(|_| Self::PingResp)?,
            PacketType::Disconnect => Empty::decode(header, body).map(|_| Self::Disconnect)?,
        };
        Ok(Some((packet, len)))
    }

    /// Type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect => PacketType::Disconnect,
        }
    }

    /// Bytes of the whole packet.
    ///
    /// # Errors
    /// [`EncodeError::PacketTooLong`]
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(packet) => packet.encoded_len(),
            Self::Publish(packet) => packet.encoded_len(),
            Self::Subscribe(packet) => packet.encoded_len(),
            Self::SubAck(packet) => packet.encoded_len(),
            Self::Unsubscribe(packet) => packet.encoded_len(),
            Self::ConnAck(packet) => packet.encoded_len(),
            Self::PubAck(_)
            | Self::PubRec(_)
            | Self::PubRel(_)
            | Self::PubComp(_)
            | Self::UnsubAck(_) => Ok(Ack::LEN),
            Self::PingReq | Self::PingResp | Self::Disconnect => Ok(Empty::LEN),
        }
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], [`EncodeError::PacketTooLong`]
    #[inline]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        // What is sent most, as in `decode`.
        match self {
            Self::Publish(packet) => packet.encode(out),
            Self::PubAck(id) => encode_ack(AckType::PubAck, *id, out),
            _ => self.encode_other(out),
        }
    }

    #[inline(never)]
    fn encode_other(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(packet) => packet.encode(out),
            Self::ConnAck(packet) => packet.encode(out),
            Self::Publish(packet) => packet.encode(out),
            Self::PubAck(id) => encode_ack(AckType::PubAck, *id, out),
            Self::PubRec(id) => encode_ack(AckType::PubRec, *id, out),
            Self::PubRel(id) => encode_ack(AckType::PubRel, *id, out),
            Self::PubComp(id) => encode_ack(AckType::PubComp, *id, out),
            Self::Subscribe(packet) => packet.encode(out),
            Self::SubAck(packet) => packet.encode(out),
            Self::Unsubscribe(packet) => packet.encode(out),
            Self::UnsubAck(id) => encode_ack(AckType::UnsubAck, *id, out),
            Self::PingReq => Empty::PingReq.encode(out),
            Self::PingResp => Empty::PingResp.encode(out),
            Self::Disconnect => Empty::Disconnect.encode(out),
        }
    }
}

#[inline]
fn encode_ack(ack_type: AckType, id: PacketId, out: &mut [u8]) -> Result<usize, EncodeError> {
    Ack { ack_type, id }.encode(out)
}
