use std::fmt;

use mqtt_codec::wire::{DecodeError, FixedHeader, Packet, PacketType};

/// One whole packet as it went over the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// The packet's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The packet, which was checked when the frame was cut out.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        let (packet, _) = Packet::decode(&self.0)
            .expect("checked before")
            .expect("a whole packet");
        packet
    }

    #[must_use]
    pub fn packet_type(&self) -> PacketType {
        self.packet().packet_type()
    }

    /// The low four bits of the first byte.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.0.first().map_or(0, |byte| byte & 0x0F)
    }

    /// Cuts a stream of whole packets.
    #[must_use]
    pub fn all(bytes: &[u8]) -> Vec<Self> {
        let mut splitter = Splitter::default();
        splitter.push(bytes);
        let frames = std::iter::from_fn(|| splitter.next().expect("legal packets")).collect();
        assert_eq!(splitter.rest(), b"", "the last packet is incomplete");
        frames
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?} {:?}", self.0, self.packet())
    }
}

/// Cuts a stream of bytes into packets.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
}

impl Splitter {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet.
    ///
    /// # Errors
    /// The packet is not legal.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator of results would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, DecodeError> {
        let Some((header, header_len)) = FixedHeader::decode(&self.buffer)? else {
            return Ok(None);
        };
        let len = header_len + header.remaining_length.get() as usize;
        if self.buffer.len() < len {
            return Ok(None);
        }
        Packet::decode(&self.buffer)?;
        Ok(Some(Frame(self.buffer.drain(..len).collect())))
    }

    /// The bytes of a packet that is not whole yet.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }
}
