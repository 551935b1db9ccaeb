//! Our codec: borrowed, every rule checked.

use std::hint::black_box;
use std::iter::Copied;
use std::slice::Iter;

use anyhow::{Context, Result};
use mqtt_codec::wire::{Packet, QoS, Subscribe, TopicFilter};

use super::Codec;
use crate::contender::Role;

pub struct Mqboard;

/// What a client encodes. A request comes from the client's own filters, not from a received packet.
pub enum Outgoing {
    Packet(Packet<'static>),
    Subscribe(Subscribe<Copied<Iter<'static, (TopicFilter<'static>, QoS)>>>),
}

impl Codec for Mqboard {
    const NAME: &'static str = "mqboard";
    const ROLE: Role = Role::Ours;

    type Input = &'static [u8];
    type Packet = Outgoing;
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
        Ok(
            match Packet::decode(bytes)?.context("an incomplete packet")?.0 {
                Packet::Subscribe(received) => {
                    let filters = received
                        .filters()
                        .collect::<Vec<_>>()
                        .leak()
                        .iter()
                        .copied();
                    Outgoing::Subscribe(
                        Subscribe::new(received.id(), filters).context("no filters")?,
                    )
                }
                packet => Outgoing::Packet(packet),
            },
        )
    }

    fn buffer(len: usize) -> Self::Buffer {
        vec![0; len]
    }

    fn encode(packet: &Self::Packet, buffer: &mut Self::Buffer) -> Result<()> {
        black_box(match packet {
            Outgoing::Packet(packet) => packet.encode(buffer)?,
            Outgoing::Subscribe(subscribe) => subscribe.encode(buffer)?,
        });
        Ok(())
    }
}
