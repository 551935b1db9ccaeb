use crate::wire::{
    Ack, AckType, Delivery, Dup, Empty, EncodeError, FixedHeader, PacketType, PublishHeader,
    RemainingLength, Retain, TopicName,
};

use super::link::{Phase, Renewal};
use super::outbox::Kind;
use super::ring::Slot;
use super::session::remaining_length;
use super::{Content, Instant, Outgoing, PayloadRange, Session, Storage, Transmit};

/// Room for four PUBACKs, or for the longest beginning of a packet: fixed header, packet id, a length.
const PREFIX: usize = 16;

/// The packet that is being handed out, cut into segments of a few bytes of ours and a body of the caller's:
///
/// ```text
/// PUBLISH    [header, topic length | topic] [id | payload]
/// SUBSCRIBE  [header, id, length | filter] [QoS, length | filter] … [QoS]
/// ```
#[derive(Debug)]
pub(super) struct Packet {
    source: Source,
    prefix_len: u8,
    step: u16,
    /// Bytes of the segment that are handed out.
    at: u32,
    body_len: u32,
    prefix: [u8; PREFIX],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    /// Whole packets in the prefix.
    Prefix,
    /// The packet before the send cursor.
    Ring(Kind),
    /// A QoS 0 PUBLISH whose bytes the caller holds.
    AtMostOnce,
}

impl Packet {
    pub(super) const NONE: Self = Self {
        source: Source::None,
        prefix_len: 0,
        step: 0,
        at: 0,
        body_len: 0,
        prefix: [0; PREFIX],
    };

    pub(super) const fn is_none(&self) -> bool {
        matches!(self.source, Source::None)
    }

    /// Whether no byte of it is handed out yet.
    pub(super) const fn is_untouched(&self) -> bool {
        self.step == 0 && self.at == 0
    }

    /// The ring that it comes from.
    pub(super) const fn kind(&self) -> Option<Kind> {
        match self.source {
            Source::Ring(kind) => Some(kind),
            _ => None,
        }
    }

    pub(super) fn set_disconnect(&mut self) {
        self.begin(Source::Prefix, 0);
        self.put(&Empty::Disconnect.to_bytes());
    }

    /// An empty segment.
    fn begin(&mut self, source: Source, step: u16) {
        self.source = source;
        self.step = step;
        self.at = 0;
        self.prefix_len = 0;
        self.body_len = 0;
    }

    fn put(&mut self, bytes: &[u8]) {
        let at = usize::from(self.prefix_len);
        if let Some(place) = self.prefix.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
            self.prefix_len += bytes.len() as u8;
        }
    }

    fn put_header(
        &mut self,
        packet_type: PacketType,
        flags: u8,
        remaining_length: RemainingLength,
    ) {
        let header = FixedHeader {
            packet_type,
            flags,
            remaining_length,
        };
        if let Ok(len) = header.encode(&mut self.prefix) {
            self.prefix_len = len as u8;
        }
    }

    /// Begins a segment of the packet in the slot; false if it has none of that number.
    fn cut<H: Outgoing>(&mut self, kind: Kind, slot: &Slot<H>, step: u16) -> bool {
        self.begin(Source::Ring(kind), step);
        let (Some(handle), Some(id)) = (slot.handle(), slot.id()) else {
            return false;
        };
        let id = id.get().to_be_bytes();
        let remaining_length =
            || remaining_length(handle, u32::MAX).unwrap_or(RemainingLength::ZERO);
        match handle.content() {
            Content::Publish {
                topic,
                retain,
                payload_len,
            } => match step {
                0 => {
                    let dup = if slot.touched() { 0b1000 } else { 0 };
                    let flags = dup | 0b0010 | u8::from(retain == Retain::Yes);
                    self.put_header(PacketType::Publish, flags, remaining_length());
                    self.put_body(topic.as_bytes());
                }
                1 => {
                    self.put(&id);
                    self.body_len = payload_len;
                }
                _ => {}
            },
            content => {
                let is_subscribe = matches!(content, Content::Subscribe);
                let index = usize::from(step);
                if index == 0 {
                    let packet_type = if is_subscribe {
                        PacketType::Subscribe
                    } else {
                        PacketType::Unsubscribe
                    };
                    self.put_header(packet_type, packet_type.fixed_flags(), remaining_length());
                    self.put(&id);
                } else if is_subscribe {
                    if let Some((_, qos)) = handle.filter(index - 1) {
                        self.put(&[qos.bits()]);
                    }
                }
                if let Some((filter, _)) = handle.filter(index) {
                    self.put_body(filter.as_str().as_bytes());
                }
            }
        }
        self.prefix_len > 0
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
            self.begin_packet()?;
        }
        let packet = &self.link.packet;
        let prefix = packet.prefix.get(..usize::from(packet.prefix_len))?;
        let at = packet.at as usize;
        let body_at = at.saturating_sub(prefix.len());
        let mut transmit = Transmit {
            bytes: [prefix.get(at..).unwrap_or_default(), &[]],
            payload: None,
            begins: None,
        };
        let kind = match packet.source {
            Source::None | Source::AtMostOnce => return None,
            Source::Prefix => return Some(transmit),
            Source::Ring(kind) => kind,
        };
        let (ring, slots) = self.outbox.ring(kind);
        let slot = ring.last_sent(slots)?;
        let handle = slot.handle()?;
        let body = match handle.content() {
            Content::Publish { topic, .. } if packet.step == 0 => {
                if at == 0 {
                    transmit.begins = Some(if slot.touched() {
                        Dup::Repeat
                    } else {
                        Dup::First
                    });
                }
                topic.as_bytes()
            }
            Content::Publish { payload_len, .. } => {
                let offset = body_at as u32;
                transmit.payload = Some(PayloadRange {
                    handle,
                    id: slot.id()?,
                    offset,
                    len: payload_len.saturating_sub(offset),
                });
                return Some(transmit);
            }
            _ => match handle.filter(usize::from(packet.step)) {
                Some((filter, _)) => filter.as_str().as_bytes(),
                None => &[],
            },
        };
        transmit.bytes[1] = body.get(body_at..).unwrap_or_default();
        Some(transmit)
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
        if let Some(kind) = packet.kind() {
            let (ring, slots) = self.outbox.ring(kind);
            if let Some(slot) = ring.last_sent(slots) {
                if packet.cut(kind, slot, packet.step + 1) {
                    return;
                }
                slot.complete();
            }
        }
        packet.source = Source::None;
    }

    /// The transport took `n` more of the bytes that were handed out.
    pub fn handle_written(&mut self, now: Instant, n: usize) {
        if n == 0 {
            return;
        }
        self.link.written = self.link.written.wrapping_add(n as u32);
        self.link.timers.handle_written(now);
        let (ring, slots) = self.outbox.publishes();
        ring.handle_written(slots, self.link.written);
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
        self.link.packet.begin(Source::AtMostOnce, 0);
        self.link.packet.body_len = len as u32 + payload_len;
        Ok(Some(len))
    }

    /// Whether [`publish_at_most_once`](Self::publish_at_most_once) can begin one now.
    #[must_use]
    pub fn accepts_at_most_once(&self) -> bool {
        self.link.phase == Phase::Connected
            && self.link.renewal == Renewal::Done
            && self.link.packet.is_none()
    }

    /// Makes the next packet the one that is handed out, `None` if there is nothing to send.
    fn begin_packet(&mut self) -> Option<()> {
        let link = &mut self.link;
        if !link.is_established() {
            return None;
        }
        let packet = &mut link.packet;
        packet.begin(Source::None, 0);
        let arriving = link.incoming.awaits_ack();
        while usize::from(packet.prefix_len) + Ack::LEN <= PREFIX {
            let Some(id) = link.acks.next_ready(self.outbox.storage.acks(), arriving) else {
                break;
            };
            let ack_type = AckType::PubAck;
            packet.put(&Ack { ack_type, id }.to_bytes());
        }
        if packet.prefix_len == 0 && link.ping_wanted {
            link.ping_wanted = false;
            packet.put(&Empty::PingReq.to_bytes());
        }
        if packet.prefix_len > 0 {
            packet.source = Source::Prefix;
            return Some(());
        }
        if link.phase == Phase::Disconnecting {
            self.finish();
            return Some(());
        }
        for kind in [Kind::Control, Kind::Publish] {
            let (ring, slots) = self.outbox.ring(kind);
            if kind == Kind::Publish
                && (link.renewal == Renewal::Wanted
                    || ring.in_flight() >= self.config.window.max(1))
            {
                break;
            }
            if let Some(slot) = ring.send_next(slots, link.staged) {
                packet.cut(kind, slot, 0);
                return Some(());
            }
        }
        None
    }
}
