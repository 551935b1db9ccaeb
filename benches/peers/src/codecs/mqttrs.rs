//! mqttrs 0.4: borrowed.

use std::hint::black_box;

use anyhow::{Context, Result, anyhow};
use mqttrs::{Error, Packet, decode_slice, encode_slice};

use super::{Codec, CodecRow, Packet as Kind, Way};

pub struct Mqttrs;

impl Codec for Mqttrs {
    const NAME: &'static str = "mqttrs";

    type Input = &'static [u8];
    type Packet = Packet<'static>;
    type Buffer = Vec<u8>;

    fn remark(row: &CodecRow) -> Option<&'static str> {
        matches!((row.way, row.packet), (Way::Decode, Kind::Publish(_)))
            .then_some("does not check the topic name, nor tell the packet's length")
    }

    fn input(stream: &'static [u8]) -> Self::Input {
        stream
    }

    fn decode(input: &mut Self::Input, packet_len: usize) -> Result<()> {
        let packet = decode_slice(input)
            .map_err(error)?
            .context("an incomplete packet")?;
        black_box(&packet);
        *input = &input[packet_len..];
        Ok(())
    }

    fn packet(bytes: &'static [u8]) -> Result<Self::Packet> {
        decode_slice(bytes)
            .map_err(error)?
            .context("an incomplete packet")
    }

    fn buffer(len: usize) -> Self::Buffer {
        vec![0; len]
    }

    fn encode(packet: &Self::Packet, buffer: &mut Self::Buffer) -> Result<()> {
        black_box(encode_slice(packet, buffer).map_err(error)?);
        Ok(())
    }
}

fn error(error: Error) -> anyhow::Error {
    anyhow!("{error:?}")
}
