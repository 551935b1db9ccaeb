//! Our codec: borrowed, every rule checked.

use std::hint::black_box;

use anyhow::{Context, Result};
use mqtt_codec::wire::Packet;

use super::Codec;
use crate::contender::Role;

pub struct Mqboard;

impl Codec for Mqboard {
    const NAME: &'static str = "mqboard";
    const ROLE: Role = Role::Ours;

    type Input = &'static [u8];
    type Packet = Packet<'static>;
    type Buffer = Vec<u8>;

    fn input(stream: &'static [u8]) -> Self::Input {
        stream
    }

    fn decode(input: &mut Self::Input, _packet_len: usize) -> Result<()> {
        let (packet, len) = Packet::decode(input)?.context("an incomplete packet")?;
        black_box(&packet);
        *input = &input[len..];
        Ok(())
    }

    fn packet(bytes: &'static [u8]) -> Result<Self::Packet> {
        Ok(Packet::decode(bytes)?.context("an incomplete packet")?.0)
    }

    fn buffer(len: usize) -> Self::Buffer {
        vec![0; len]
    }

    fn encode(packet: &Self::Packet, buffer: &mut Self::Buffer) -> Result<()> {
        black_box(packet.encode(buffer)?);
        Ok(())
    }
}
