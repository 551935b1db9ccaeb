//! rumqttc-v4-next 0.34: reads from and writes to `BytesMut`; topic and payload share it.

use std::hint::black_box;

use anyhow::Result;
use bytes::BytesMut;
use rumqttc_next::Packet;

use super::Codec;

const MAX_PACKET: usize = 128 * 1024;

pub struct Next;

impl Codec for Next {
    const NAME: &'static str = "v4-next";

    type Input = BytesMut;
    type Packet = Packet;
    type Buffer = BytesMut;

    fn input(stream: &'static [u8]) -> Self::Input {
        BytesMut::from(stream)
    }

    fn decode(input: &mut Self::Input, _packet_len: usize) -> Result<()> {
        black_box(&Packet::read(input, MAX_PACKET)?);
        Ok(())
    }

    fn packet(bytes: &'static [u8]) -> Result<Self::Packet> {
        Ok(Packet::read(&mut BytesMut::from(bytes), MAX_PACKET)?)
    }

    fn buffer(len: usize) -> Self::Buffer {
        BytesMut::with_capacity(len)
    }

    fn encode(packet: &Self::Packet, buffer: &mut Self::Buffer) -> Result<()> {
        buffer.clear();
        black_box(packet.write(buffer, MAX_PACKET)?);
        Ok(())
    }
}
