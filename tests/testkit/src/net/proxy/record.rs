use std::collections::HashMap;

use mqtt_codec::wire::PacketType;

use super::Direction;
use super::framing::Passed;

/// A packet that went through a [`Proxy`](super::Proxy), or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Number of the connection, from 0.
    pub connection: u32,
    /// Which way it went.
    pub direction: Direction,
    /// Type of the packet, `None` for the reserved ones.
    pub packet_type: Option<PacketType>,
    /// Low four bits of its first byte.
    pub flags: u8,
    /// Its packet id, if it has one.
    pub id: Option<u16>,
    /// Topic of a PUBLISH, if it fits the bytes that are kept.
    pub topic: Option<String>,
    /// First bytes of the payload of a PUBLISH, some 200 at most.
    pub payload: Vec<u8>,
    /// Bytes that went through.
    pub len: u64,
    /// Whether it went through to its last byte.
    pub whole: Whole,
}

/// Whether a packet went through to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// All of it.
    Yes,
    /// The connection ended within it.
    Cut,
}

/// What a [`Proxy`](super::Proxy) has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that reached the broker.
    pub connections: u32,
    /// Connections that the proxy has ended.
    pub cuts: usize,
    /// Of these, within a packet to the broker.
    pub cuts_in_packet_to_broker: usize,
    /// Of these, within a packet to the client.
    pub cuts_in_packet_to_client: usize,
    /// Of these, with QoS 1 messages of the client that had reached the broker and no PUBACK for them.
    pub cuts_in_flight: usize,
    /// PUBLISH packets of the client with DUP=1.
    pub repeats: usize,
    /// PINGREQ packets of the client.
    pub pings: usize,
    /// PUBACK packets to the client.
    pub pubacks: usize,
    /// PUBLISH packets of the client at QoS 1, repeats included.
    pub publishes: usize,
    /// Bytes that were swallowed.
    pub swallowed: u64,
}

/// Everything that has gone through.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) records: Vec<Record>,
    pub(super) counters: Counters,
    /// Payloads of the present connection's messages of the client, by their packet id.
    in_flight: HashMap<u16, Vec<u8>>,
    pub(super) acknowledged: Vec<Vec<u8>>,
}

impl Record {
    /// Whether it is a PUBLISH with DUP=1.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.packet_type == Some(PacketType::Publish) && self.flags & 0b1000 != 0
    }

    fn new(connection: u32, direction: Direction, passed: Passed, whole: Whole) -> Self {
        let head = passed.head.as_slice();
        let first = head.first().copied().unwrap_or_default();
        let mut record = Self {
            connection,
            direction,
            packet_type: PacketType::from_bits(first >> 4),
            flags: first & 0x0F,
            id: None,
            topic: None,
            payload: Vec::new(),
            len: passed.passed,
            whole,
        };
        let length_bytes = head
            .iter()
            .skip(1)
            .take(4)
            .take_while(|&byte| byte & 0x80 != 0);
        let body = head.get(2 + length_bytes.count()..).unwrap_or_default();
        match record.packet_type {
            Some(PacketType::Publish) => record.read_publish(body),
            Some(
                PacketType::Connect
                | PacketType::ConnAck
                | PacketType::PingReq
                | PacketType::PingResp
                | PacketType::Disconnect,
            )
            | None => {}
            Some(_) => record.id = split_u16(body).map(|(id, _)| id),
        }
        record
    }

    fn read_publish(&mut self, body: &[u8]) {
        let Some((topic_len, rest)) = split_u16(body) else {
            return;
        };
        let Some((topic, rest)) = rest.split_at_checked(topic_len.into()) else {
            return;
        };
        self.topic = Some(String::from_utf8_lossy(topic).into_owned());
        if self.flags & 0b0110 == 0 {
            self.payload = rest.to_vec();
        } else if let Some((id, payload)) = split_u16(rest) {
            self.id = Some(id);
            self.payload = payload.to_vec();
        }
    }
}

impl Seen {
    pub(super) fn note_connection(&mut self) -> u32 {
        self.in_flight.clear();
        self.counters.connections += 1;
        self.counters.connections - 1
    }

    /// A whole packet goes through.
    pub(super) fn note(&mut self, connection: u32, direction: Direction, passed: Passed) {
        let record = Record::new(connection, direction, passed, Whole::Yes);
        match (direction, record.packet_type, record.id) {
            (Direction::ToBroker, Some(PacketType::Publish), Some(id)) => {
                self.counters.publishes += 1;
                self.in_flight.insert(id, record.payload.clone());
            }
            (Direction::ToClient, Some(PacketType::PubAck), Some(id)) => {
                self.counters.pubacks += 1;
                self.acknowledged.extend(self.in_flight.remove(&id));
            }
            (Direction::ToBroker, Some(PacketType::PingReq), _) => self.counters.pings += 1,
            _ => {}
        }
        self.counters.repeats +=
            usize::from(direction == Direction::ToBroker && record.is_repeat());
        self.records.push(record);
    }

    /// The connection ends within a packet.
    pub(super) fn note_rest(&mut self, connection: u32, direction: Direction, passed: Passed) {
        if passed.passed > 0 {
            let record = Record::new(connection, direction, passed, Whole::Cut);
            self.counters.repeats +=
                usize::from(direction == Direction::ToBroker && record.is_repeat());
            self.records.push(record);
        }
    }

    /// The proxy ends the connection, with so many bytes of a packet passed to the broker and to the client.
    pub(super) fn note_cut(&mut self, [to_broker, to_client]: [u64; 2]) {
        self.counters.cuts += 1;
        self.counters.cuts_in_packet_to_broker += usize::from(to_broker > 0);
        self.counters.cuts_in_packet_to_client += usize::from(to_client > 0);
        self.counters.cuts_in_flight += usize::from(!self.in_flight.is_empty());
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (&value, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(value), rest))
}
