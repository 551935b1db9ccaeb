use super::string::{Reader, Writer, packet_len};
use super::{DecodeError, EncodeError, FixedHeader, PacketId, PacketType, QoS, TopicFilter};

/// SUBSCRIBE: asks for at least one subscription (section 3.8).
///
/// `F` is what the filters come from: any iterator that can be cloned to send them, and
/// [`SubscribeFilters`] when they were received. A clone must yield the same items.
///
/// ```
/// use mqtt_codec::wire::{PacketId, QoS, Subscribe, TopicFilter};
///
/// let filters = [
///     (TopicFilter::new("sensors/+/temp")?, QoS::AtLeastOnce),
///     (TopicFilter::new("$SYS/#")?, QoS::AtMostOnce),
/// ];
/// let subscribe = Subscribe::new(PacketId::MIN, filters).expect("there are filters");
/// let mut buffer = [0; 64];
/// let len = subscribe.encode(&mut buffer)?;
/// # assert_eq!(len, subscribe.encoded_len()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subscribe<F> {
    id: PacketId,
    filters: F,
}

/// Filters of a received SUBSCRIBE, in its order, each with the QoS asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SubscribeFilters<'a>(&'a [u8]);

impl<F> Subscribe<F> {
    /// Identifier that the SUBACK will carry.
    #[inline]
    pub const fn id(&self) -> PacketId {
        self.id
    }
}

impl<'f, F> Subscribe<F>
where
    F: Iterator<Item = (TopicFilter<'f>, QoS)> + Clone,
{
    /// A request for all of `filters`, `None` if there are none [MQTT-3.8.3-3].
    pub fn new(id: PacketId, filters: impl IntoIterator<IntoIter = F>) -> Option<Self> {
        let filters = filters.into_iter();
        filters.clone().next()?;
        Some(Self { id, filters })
    }

    /// The filters in the order of the packet, each with the QoS asked for.
    pub fn filters(&self) -> F {
        self.filters.clone()
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
        let packet_type = PacketType::Subscribe;
        let first = (packet_type, packet_type.fixed_flags());
        let body_len = self.body_len();
        let (mut writer, needed) = Writer::begin(out, first, body_len, body_len)?;
        writer.u16(self.id.get());
        for (filter, qos) in self.filters() {
            writer.binary(filter.as_str().as_bytes());
            writer.u8(qos.bits());
        }
        Ok(needed)
    }

    fn body_len(&self) -> usize {
        self.filters().fold(2, |len: usize, (filter, _)| {
            len.saturating_add(2 + filter.as_str().len() + 1)
        })
    }
}

impl<'a> Subscribe<SubscribeFilters<'a>> {
    /// Reads the packet from its fixed header and the body after it. Every filter is checked.
    ///
    /// # Errors
    /// Packet Identifier 0 [MQTT-2.3.1-1], no filter [MQTT-3.8.3-3], a filter that is none
    /// ([`FilterError`](super::FilterError)), a QoS byte other than 0, 1 and 2 [MQTT-3-8.3-4], a
    /// body that ends within a filter.
    pub fn decode(header: FixedHeader, body: &'a [u8]) -> Result<Self, DecodeError> {
        header.expect(PacketType::Subscribe, body)?;
        let mut reader = Reader::new(body);
        let id = reader.packet_id(DecodeError::ZeroPacketId)?;
        let filters = SubscribeFilters(reader.rest());
        if reader.is_empty() {
            return Err(DecodeError::EmptySubscribe);
        }
        while !reader.is_empty() {
            TopicFilter::new(reader.str()?)?;
            QoS::from_bits(reader.u8()?).ok_or(DecodeError::InvalidRequestedQos)?;
        }
        Ok(Self { id, filters })
    }
}

impl<'a> Iterator for SubscribeFilters<'a> {
    type Item = (TopicFilter<'a>, QoS);

    fn next(&mut self) -> Option<Self::Item> {
        // Cannot fail before the end: `decode` has read it all.
        let mut reader = Reader::new(self.0);
        let filter = TopicFilter::checked(reader.str().ok()?);
        let qos = QoS::from_bits(reader.u8().ok()?)?;
        self.0 = reader.rest();
        Some((filter, qos))
    }
}
