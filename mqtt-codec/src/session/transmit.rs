use crate::wire::{
    Delivery, Dup, EncodeError, FixedHeader, PacketType, PublishHeader, RemainingLength, Retain,
    TopicName,
};

use super::link::{Incoming, Phase, Renewal};
use super::ring::Slot;
use super::session::packet_body_len;
use super::{Content, Instant, Outgoing, PayloadRange, Session, Storage, Transmit};

/// Room for four PUBACKs, or for the longest beginning of a packet: fixed header, packet id, a length.
const PREFIX: usize = 16;
const PUBACK_LEN: usize = 4;

/// The packet that is being handed out, cut into segments of a few bytes of ours and a body of the caller's:
///
/// ```text
/// PUBLISH    [header, topic length | topic] [id | payload]
/// SUBSCRIBE  [header, id, length | filter] [QoS, length | filter] … [QoS]
/// ```
#[derive(Debug)]
pub(super) struct Packet {
    source: Source,
    step: u16,
    /// Bytes of the segment that are handed out.
    at: u32,
    prefix: [u8; PREFIX],
    prefix_len: u8,
    body_len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    /// Whole packets in the prefix.
    Prefix,
    /// The control packet before the send cursor.
    Control,
    /// The PUBLISH before the send cursor.
    Publish,
    /// A QoS 0 PUBLISH whose bytes the caller holds.
    AtMostOnce,
}

impl Packet {
    pub(super) const NONE: Self = Self {
        source: Source::None,
        step: 0,
        at: 0,
        prefix: [0; PREFIX],
        prefix_len: 0,
        body_len: 0,
    };

    pub(super) const fn is_none(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// Whether no byte of it is handed out yet.
    pub(super) const fn is_untouched(&self) -> bool {
        self.step == 0 && self.at == 0
    }

    pub(super) fn is_publish(&self) -> bool {
        self.source == Source::Publish
    }

    pub(super) fn is_control(&self) -> bool {
        self.source == Source::Control
    }

    pub(super) fn disconnect() -> Self {
        let mut packet = Self::new(Source::Prefix);
        packet.put_header(PacketType::Disconnect, 0, 0);
        packet
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            ..Self::NONE
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let at = usize::from(self.prefix_len);
        if let Some(place) = self.prefix.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
            self.prefix_len += bytes.len() as u8;
        }
    }

    fn put_header(&mut self, packet_type: PacketType, flags: u8, remaining_length: u32) {
        let at = usize::from(self.prefix_len);
        let (Some(remaining_length), Some(place)) = (
            RemainingLength::new(remaining_length),
            self.prefix.get_mut(at..),
        ) else {
            return;
        };
        if let Ok(len) = (FixedHeader {
            packet_type,
            flags,
            remaining_length,
        })
        .encode(place)
        {
            self.prefix_len += len as u8;
        }
    }

    /// The first segment of the PUBLISH, SUBSCRIBE or UNSUBSCRIBE in the slot.
    fn begin<H: Outgoing>(&mut self, slot: &Slot<H>, id: u16) {
        let Some(handle) = slot.handle() else { return };
        let remaining_length = packet_body_len(handle).unwrap_or(0);
        match handle.content() {
            Content::Publish { topic, retain, .. } => {
                let dup = if slot.touched() { 0b1000 } else { 0 };
                let flags = dup | 0b0010 | u8::from(retain == Retain::Yes);
                self.put_header(PacketType::Publish, flags, remaining_length);
                self.put_body(topic.as_bytes());
            }
            content => {
                let packet_type = match content {
                    Content::Subscribe => PacketType::Subscribe,
                    _ => PacketType::Unsubscribe,
                };
                self.put_header(packet_type, 0b0010, remaining_length);
                self.put(&id.to_be_bytes());
                if let Some((filter, _)) = handle.filter(0) {
                    self.put_body(filter.as_str().as_bytes());
                }
            }
        }
    }

    /// The next segment; false at the end of the packet.
    fn next_segment<H: Outgoing>(&mut self, handle: &H, id: u16) -> bool {
        self.step += 1;
        self.at = 0;
        self.prefix_len = 0;
        self.body_len = 0;
        match handle.content() {
            Content::Publish { payload_len, .. } => {
                self.put(&id.to_be_bytes());
                self.body_len = payload_len;
                self.step == 1
            }
            content => {
                let step = usize::from(self.step);
                if matches!(content, Content::Subscribe) {
                    if let Some((_, qos)) = handle.filter(step - 1) {
                        self.put(&[qos as u8]);
                    }
                }
                if let Some((filter, _)) = handle.filter(step) {
                    self.put_body(filter.as_str().as_bytes());
                }
                self.prefix_len > 0
            }
        }
    }

    fn put_body(&mut self, body: &[u8]) {
        self.put(&(body.len() as u16).to_be_bytes());
        self.body_len = body.len() as u32;
    }
}

impl<S: Storage> Session<S> {
    /// The next bytes for the transport, `None` when there is nothing to send. Asking again without
    /// [`advance`](Self::advance) gives the same.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_, S::Handle>> {
        if self.link.packet.is_none() {
            self.link.packet = self.next_packet()?;
        }
        let packet = &self.link.packet;
        let prefix = packet.prefix.get(..usize::from(packet.prefix_len))?;
        let at = packet.at as usize;
        let body_at = at.saturating_sub(prefix.len());
        let prefix = prefix.get(at..).unwrap_or_default();
        let slot = match packet.source {
            Source::None | Source::AtMostOnce => return None,
            Source::Prefix => {
                return Some(Transmit {
                    bytes: [prefix, &[]],
                    payload: None,
                    begins: None,
                });
            }
            Source::Control => self.controls.last_sent(self.storage.controls())?,
            Source::Publish => self.publishes.last_sent(self.storage.publishes())?,
        };
        let handle = slot.handle()?;
        let dup = if slot.touched() {
            Dup::Repeat
        } else {
            Dup::First
        };
        match handle.content() {
            Content::Publish { topic, .. } if packet.step == 0 => Some(Transmit {
                bytes: [prefix, topic.as_bytes().get(body_at..).unwrap_or_default()],
                payload: None,
                begins: (at == 0).then_some(dup),
            }),
            Content::Publish { payload_len, .. } => {
                let offset = body_at as u32;
                let payload = PayloadRange {
                    handle,
                    id: self.publishes.last_sent_id()?,
                    offset,
                    len: payload_len.saturating_sub(offset),
                };
                Some(Transmit {
                    bytes: [prefix, &[]],
                    payload: Some(payload),
                    begins: None,
                })
            }
            _ => {
                let filter = handle
                    .filter(usize::from(packet.step))
                    .map(|(filter, _)| filter.as_str());
                let body = filter
                    .unwrap_or_default()
                    .as_bytes()
                    .get(body_at..)
                    .unwrap_or_default();
                Some(Transmit {
                    bytes: [prefix, body],
                    payload: None,
                    begins: None,
                })
            }
        }
    }

    /// The caller has taken over the first `n` bytes of the last [`poll_transmit`](Self::poll_transmit), or of what
    /// is left of a [`publish_at_most_once`](Self::publish_at_most_once): they are in its buffer, or written.
    pub fn advance(&mut self, n: usize) {
        let packet = &mut self.link.packet;
        self.link.staged = self.link.staged.wrapping_add(n as u32);
        packet.at += n as u32;
        if packet.at < u32::from(packet.prefix_len) + packet.body_len {
            return;
        }
        let (ring, slots) = match packet.source {
            Source::Control => (&mut self.controls, self.storage.controls()),
            Source::Publish => (&mut self.publishes, self.storage.publishes()),
            Source::None | Source::Prefix | Source::AtMostOnce => {
                *packet = Packet::NONE;
                return;
            }
        };
        let id = ring.last_sent_id().map_or(0, |id| id.get());
        let more = match ring.last_sent(slots).and_then(|slot| slot.handle()) {
            Some(handle) => packet.next_segment(handle, id),
            None => false,
        };
        if !more {
            *packet = Packet::NONE;
            ring.complete_last_sent(slots);
        }
    }

    /// The transport took `n` more of the bytes that were handed out.
    pub fn handle_written(&mut self, now: Instant, n: usize) {
        if n == 0 {
            return;
        }
        self.link.written = self.link.written.wrapping_add(n as u32);
        self.link.timers.handle_written(now);
        self.publishes
            .handle_written(self.storage.publishes(), self.link.written);
    }

    /// Begins a QoS 0 PUBLISH: writes everything before the payload to `out` and returns its length. The caller
    /// sends these bytes and then exactly `payload_len` bytes of payload, and reports both by
    /// [`advance`](Self::advance). Until then nothing else is transmitted.
    ///
    /// `None`: not now. There is no connection, its subscriptions are not renewed yet, or another packet is
    /// half sent.
    ///
    /// # Errors
    /// `out` is too small (the error tells the length), or the packet would be too long.
    pub fn publish_at_most_once(
        &mut self,
        topic: TopicName<'_>,
        retain: Retain,
        payload_len: u32,
        out: &mut [u8],
    ) -> Result<Option<usize>, EncodeError> {
        if !self.accepts_at_most_once() {
            return Ok(None);
        }
        let header = PublishHeader {
            topic,
            delivery: Delivery::AtMostOnce,
            retain,
            payload_len,
        };
        let len = header.encode(out)?;
        self.link.packet = Packet {
            body_len: len as u32 + payload_len,
            ..Packet::new(Source::AtMostOnce)
        };
        Ok(Some(len))
    }

    /// Whether [`publish_at_most_once`](Self::publish_at_most_once) can begin one now.
    #[must_use]
    pub fn accepts_at_most_once(&self) -> bool {
        self.link.phase == Phase::Connected
            && self.link.renewal == Renewal::Done
            && self.link.packet.is_none()
    }

    fn next_packet(&mut self) -> Option<Packet> {
        if !self.link.is_established() {
            return None;
        }
        let mut packet = Packet::new(Source::Prefix);
        let arriving = self.link.arrives_for_ack && self.link.incoming != Incoming::Packet;
        while usize::from(packet.prefix_len) + PUBACK_LEN <= PREFIX {
            let Some(id) = self.link.acks.next_ready(self.storage.acks(), arriving) else {
                break;
            };
            packet.put_header(PacketType::PubAck, 0, 2);
            packet.put(&id.get().to_be_bytes());
        }
        if packet.prefix_len > 0 {
            return Some(packet);
        }
        if self.link.ping_wanted {
            self.link.ping_wanted = false;
            packet.put_header(PacketType::PingReq, 0, 0);
            return Some(packet);
        }
        if self.link.phase == Phase::Disconnecting {
            return Some(self.finish());
        }
        let start = self.link.staged;
        if let Some(id) = self.controls.send_next(self.storage.controls(), start) {
            packet.source = Source::Control;
            packet.begin(self.controls.last_sent(self.storage.controls())?, id.get());
            return Some(packet);
        }
        let window = self.config.window.max(1);
        if self.link.renewal == Renewal::Wanted || self.publishes.in_flight() >= window {
            return None;
        }
        let id = self.publishes.send_next(self.storage.publishes(), start)?;
        packet.source = Source::Publish;
        packet.begin(
            self.publishes.last_sent(self.storage.publishes())?,
            id.get(),
        );
        Some(packet)
    }
}
