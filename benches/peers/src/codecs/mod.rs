//! Decoding and encoding packets, one file for each library.

mod mqboard;
mod mqttrs;
mod rumqttc_0_25;
mod rumqttc_v4_next;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::contender::Role;
use crate::measure::pin_to_cpu;
use crate::packets::{connect, push_publish};
use crate::workload::TOPIC;

/// Every codec, in the order of the table.
pub static ALL: [CodecEntry; 4] = [
    CodecEntry::of::<mqboard::Mqboard>(),
    CodecEntry::of::<rumqttc_0_25::Rumqttc>(),
    CodecEntry::of::<rumqttc_v4_next::Next>(),
    CodecEntry::of::<mqttrs::Mqttrs>(),
];

/// Every row of the measurement, in the order of the table.
pub static ROWS: [CodecRow; 13] = [
    CodecRow {
        name: "decode-publish-0",
        way: Way::Decode,
        packet: Packet::Publish(0),
    },
    CodecRow {
        name: "decode-publish-64",
        way: Way::Decode,
        packet: Packet::Publish(64),
    },
    CodecRow {
        name: "decode-publish-1k",
        way: Way::Decode,
        packet: Packet::Publish(1024),
    },
    CodecRow {
        name: "decode-publish-16k",
        way: Way::Decode,
        packet: Packet::Publish(16_384),
    },
    CodecRow {
        name: "decode-puback",
        way: Way::Decode,
        packet: Packet::PubAck,
    },
    CodecRow {
        name: "decode-suback",
        way: Way::Decode,
        packet: Packet::SubAck,
    },
    CodecRow {
        name: "encode-publish-0",
        way: Way::Encode,
        packet: Packet::Publish(0),
    },
    CodecRow {
        name: "encode-publish-64",
        way: Way::Encode,
        packet: Packet::Publish(64),
    },
    CodecRow {
        name: "encode-publish-1k",
        way: Way::Encode,
        packet: Packet::Publish(1024),
    },
    CodecRow {
        name: "encode-publish-16k",
        way: Way::Encode,
        packet: Packet::Publish(16_384),
    },
    CodecRow {
        name: "encode-puback",
        way: Way::Encode,
        packet: Packet::PubAck,
    },
    CodecRow {
        name: "encode-subscribe",
        way: Way::Encode,
        packet: Packet::Subscribe,
    },
    CodecRow {
        name: "encode-connect",
        way: Way::Encode,
        packet: Packet::Connect,
    },
];

const BATCH: usize = 256;
const BUFFER: usize = 32 * 1024;
const TIME_PER_ROW: Duration = Duration::from_millis(30);

/// A library that decodes and encodes MQTT packets.
pub trait Codec: 'static {
    /// The name on the command line and in the table.
    const NAME: &'static str;
    const ROLE: Role = Role::Peer;

    /// What received bytes lie in.
    type Input;
    /// A packet ready to be encoded.
    type Packet;
    /// What packets are encoded into.
    type Buffer;

    /// How the codec's work differs from ours: a footnote of the table.
    fn remark(_row: &CodecRow) -> Option<&'static str> {
        None
    }

    fn input(stream: &'static [u8]) -> Self::Input;

    /// Decodes one packet, `packet_len` bytes long, with all checks, and advances the input behind it.
    fn decode(input: &mut Self::Input, packet_len: usize) -> Result<()>;

    fn packet(bytes: &'static [u8]) -> Result<Self::Packet>;

    /// A buffer with room for at least `len` bytes.
    fn buffer(len: usize) -> Self::Buffer;

    /// Encodes the packet at the start of the buffer.
    fn encode(packet: &Self::Packet, buffer: &mut Self::Buffer) -> Result<()>;
}

/// A [`Codec`] in a list.
#[derive(Debug)]
pub struct CodecEntry {
    pub name: &'static str,
    pub role: Role,
    pub remark: fn(&CodecRow) -> Option<&'static str>,
    measure: fn(&CodecRow) -> Result<f64>,
}

impl CodecEntry {
    const fn of<C: Codec>() -> Self {
        Self {
            name: C::NAME,
            role: C::ROLE,
            remark: C::remark,
            measure: measure::<C>,
        }
    }
}

/// One row of the measurement: QoS 1 and the usual topic.
#[derive(Debug)]
pub struct CodecRow {
    pub name: &'static str,
    pub way: Way,
    pub packet: Packet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Decode,
    Encode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// QoS 1, with that many bytes of payload.
    Publish(usize),
    PubAck,
    SubAck,
    Subscribe,
    Connect,
}

/// `bench codec`: measures the codec and prints one line for each row.
pub fn run(name: &str, cpu: usize) -> Result<()> {
    pin_to_cpu(cpu)?;
    let entry = ALL
        .iter()
        .find(|entry| entry.name == name)
        .with_context(|| format!("no codec {name}"))?;
    for row in &ROWS {
        println!("{}={}", row.name, (entry.measure)(row)?);
    }
    Ok(())
}

/// The median time of one packet, in nanoseconds.
fn measure<C: Codec>(row: &CodecRow) -> Result<f64> {
    let bytes: &'static [u8] = row.packet.bytes().leak();
    match row.way {
        Way::Decode => {
            let stream: &'static [u8] = bytes.repeat(BATCH).leak();
            sample(|| {
                let mut input = C::input(stream);
                let start = Instant::now();
                for _ in 0..BATCH {
                    C::decode(black_box(&mut input), bytes.len())?;
                }
                Ok(start.elapsed())
            })
        }
        Way::Encode => {
            let packet = C::packet(bytes)?;
            let mut buffer = C::buffer(BUFFER);
            sample(|| {
                let start = Instant::now();
                for _ in 0..BATCH {
                    C::encode(black_box(&packet), black_box(&mut buffer))?;
                }
                Ok(start.elapsed())
            })
        }
    }
}

/// Repeats a timed batch and returns the median time of one packet, in nanoseconds.
fn sample(mut batch: impl FnMut() -> Result<Duration>) -> Result<f64> {
    let warm_up = Instant::now();
    while warm_up.elapsed() < TIME_PER_ROW / 5 {
        batch()?;
    }
    let mut samples = Vec::new();
    let start = Instant::now();
    while start.elapsed() < TIME_PER_ROW || samples.len() < 11 {
        samples.push(batch()?);
    }
    samples.sort_unstable();
    Ok(samples[samples.len() / 2].as_nanos() as f64 / BATCH as f64)
}

impl Packet {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Publish(payload_len) => {
                let mut out = Vec::new();
                push_publish(&mut out, TOPIC, Some(10), &vec![b'x'; payload_len]);
                out
            }
            Self::PubAck => b"\x40\x02\x00\x0a".to_vec(),
            Self::SubAck => b"\x90\x03\x00\x0a\x01".to_vec(),
            Self::Subscribe => b"\x82\x13\x00\x0a\x00\x0esensors/+/temp\x01".to_vec(),
            Self::Connect => connect("gateway-1"),
        }
    }
}
