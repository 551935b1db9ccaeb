//! A broker that does as little as a client under measurement allows: it answers, swallows and floods.
//!
//! One blocking thread serves one connection, on raw bytes. Acknowledgements leave in one write per
//! read. Nothing is checked: the clients are trusted.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::measure::pin_to_cpu;
use crate::packets::{fixed_header, push_publish};
use crate::workload::{FENCE_TOPIC, FLOOD_TOPIC, TOPIC, WINDOW};

const READ_BUFFER: usize = 256 * 1024;
const FLOOD_WRITE: usize = 64 * 1024;
const STACK: usize = 64 * 1024;

/// `bench sink`: serves connections on a free loopback port, which is printed, until standard input ends.
pub fn run(cpu: usize) -> Result<()> {
    pin_to_cpu(cpu)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = move || {
                if let Err(error) = Connection::new(stream).serve() {
                    eprintln!("sink: {error:#}");
                }
            };
            if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(serve) {
                eprintln!("sink: no thread for a connection: {error}");
            }
        }
    });
    let mut ignored = Vec::new();
    std::io::stdin().read_to_end(&mut ignored)?;
    Ok(())
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// `input[start..end]` is read and not yet handled.
    start: usize,
    end: usize,
    output: Vec<u8>,
    /// The payload of the packet being swallowed that has not arrived yet.
    missing: usize,
    /// The acknowledgement due when the rest has arrived.
    missing_ack: Option<[u8; 2]>,
    /// Messages of ours that the client has not acknowledged.
    unacknowledged: u64,
    fence: Option<[u8; 2]>,
    flood: Option<Flood>,
    closed: bool,
}

struct Flood {
    batch: Vec<u8>,
    packet_len: usize,
    id_offset: Option<usize>,
    left: u64,
    next_id: u16,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: vec![0; READ_BUFFER],
            start: 0,
            end: 0,
            output: Vec::new(),
            missing: 0,
            missing_ack: None,
            unacknowledged: 0,
            fence: None,
            flood: None,
            closed: false,
        }
    }

    fn serve(mut self) -> Result<()> {
        self.stream.set_nodelay(true)?;
        while !self.closed && self.read()? {
            while self.handle_packet()? {}
            self.release_fence();
            if !self.output.is_empty() {
                self.stream.write_all(&self.output)?;
                self.output.clear();
            }
            self.send_flood()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.input[self.end..]) {
            Ok(count) => {
                self.end += count;
                Ok(count > 0)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error).context("reading failed"),
        }
    }

    /// Handles one packet or a part of a large one; `false` if more input is needed.
    fn handle_packet(&mut self) -> Result<bool> {
        if self.missing > 0 {
            return Ok(self.swallow());
        }
        let bytes = &self.input[self.start..self.end];
        let Some((header_len, remaining)) = fixed_header(bytes) else {
            return Ok(false);
        };
        match bytes[0] >> 4 {
            3 => return self.handle_publish(header_len, remaining),
            _ if bytes.len() < header_len + remaining => return Ok(false),
            1 => self.output.extend_from_slice(b"\x20\x02\x00\x00"),
            4 => self.unacknowledged = self.unacknowledged.saturating_sub(1),
            8 => {
                let (id, filters) = bytes[header_len..header_len + remaining].split_at(2);
                let granted = granted(filters)?;
                self.output
                    .extend_from_slice(&[0x90, 2 + granted.len() as u8, id[0], id[1]]);
                self.output.extend_from_slice(&granted);
            }
            10 => {
                let id = [bytes[header_len], bytes[header_len + 1]];
                self.output.extend_from_slice(&[0xb0, 2, id[0], id[1]]);
            }
            12 => self.output.extend_from_slice(b"\xd0\x00"),
            14 => self.closed = true,
            kind => bail!("packet type {kind} from the client"),
        }
        self.start += header_len + remaining;
        Ok(true)
    }

    fn handle_publish(&mut self, header_len: usize, remaining: usize) -> Result<bool> {
        let bytes = &self.input[self.start..self.end];
        let mut ack = None;
        if bytes[0] & 0b0110 != 0 {
            let Some(length) = bytes.get(header_len..header_len + 2) else {
                return Ok(false);
            };
            let topic_len = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let topic = header_len + 2..header_len + 2 + topic_len;
            let Some(id) = bytes.get(topic.end..topic.end + 2) else {
                return Ok(false);
            };
            ack = Some([id[0], id[1]]);
            let topic = &bytes[topic];
            if topic == FENCE_TOPIC.as_bytes() {
                self.fence = ack.take();
            } else if topic == FLOOD_TOPIC.as_bytes() {
                let payload = header_len + 4 + topic_len..header_len + remaining;
                let Some(payload) = bytes.get(payload) else {
                    return Ok(false);
                };
                self.flood = Some(Flood::parse(payload)?);
            }
        }
        self.start += header_len;
        self.missing = remaining;
        self.missing_ack = ack;
        Ok(self.swallow())
    }

    fn swallow(&mut self) -> bool {
        let present = self.missing.min(self.end - self.start);
        self.start += present;
        self.missing -= present;
        if self.missing == 0
            && let Some([high, low]) = self.missing_ack.take()
        {
            self.output.extend_from_slice(&[0x40, 2, high, low]);
        }
        self.missing == 0
    }

    fn release_fence(&mut self) {
        if self.unacknowledged == 0
            && self.flood.is_none()
            && let Some([high, low]) = self.fence.take()
        {
            self.output.extend_from_slice(&[0x40, 2, high, low]);
        }
    }

    fn send_flood(&mut self) -> Result<()> {
        let Some(flood) = &mut self.flood else {
            return Ok(());
        };
        loop {
            let room = match flood.id_offset {
                Some(_) => u64::from(WINDOW) - self.unacknowledged,
                None => u64::MAX,
            };
            let count = room.min(flood.left);
            if count == 0 {
                break;
            }
            let acknowledged = flood.id_offset.is_some();
            let (sent, bytes) = flood.next(count);
            self.stream.write_all(bytes)?;
            if acknowledged {
                self.unacknowledged += sent;
            }
        }
        if flood.left == 0 {
            self.flood = None;
        }
        Ok(())
    }
}

impl Flood {
    fn parse(request: &[u8]) -> Result<Self> {
        let request = std::str::from_utf8(request)?;
        let mut numbers = request.split(' ').map(str::parse::<u64>);
        let mut next = || {
            numbers
                .next()
                .context("too few numbers in a flood request")?
                .context("bad number")
        };
        let (qos, payload_len, left) = (next()?, next()? as usize, next()?);
        let mut packet = Vec::new();
        push_publish(
            &mut packet,
            TOPIC,
            (qos > 0).then_some(1),
            &vec![b'x'; payload_len],
        );
        Ok(Self {
            id_offset: (qos > 0).then(|| packet.len() - payload_len - 2),
            packet_len: packet.len(),
            batch: packet.repeat((FLOOD_WRITE / packet.len()).max(1)),
            left,
            next_id: 1,
        })
    }

    /// The next packets, at most `limit`, and their number.
    fn next(&mut self, limit: u64) -> (u64, &[u8]) {
        let count = limit.min((self.batch.len() / self.packet_len) as u64);
        let batch = &mut self.batch[..count as usize * self.packet_len];
        if let Some(offset) = self.id_offset {
            for packet in batch.chunks_exact_mut(self.packet_len) {
                packet[offset..offset + 2].copy_from_slice(&self.next_id.to_be_bytes());
                self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            }
        }
        self.left -= count;
        (count, batch)
    }
}

/// The requested QoS of each filter, granted as asked.
fn granted(mut filters: &[u8]) -> Result<Vec<u8>> {
    let mut granted = Vec::new();
    while let Some(length) = filters.get(..2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        granted.push(*filters.get(2 + length).context("a filter without QoS")?);
        filters = &filters[3 + length..];
    }
    Ok(granted)
}
