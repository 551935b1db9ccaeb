use crate::wire::{
    Ack, AckType, Delivery, Dup, Empty, EncodeError, FixedHeader, PacketType, PublishHeader, QoS,
    RemainingLength, Retain, TopicName,
};

use super::link::{Phase, Renewal};
use super::outbox::Kind;
use super::ring::Slot;
use super::session::{Ending, remaining_length};
use super::{Content, Instant, Outgoing, PayloadRange, Session, Storage, Transmit};

/// Room for four PUBACKs, or for all of a segment but its body.
const FRAME: usize = 16;

/// The packet that is being handed out, cut into segments: a few bytes of ours around a body of the caller's, and a
/// payload of the caller's.
///
/// ```text
/// PUBLISH    [header, topic length | topic | id] payload
/// SUBSCRIBE  [header, id, length | filter | QoS] [length | filter | QoS] …
/// ```
#[derive(Debug)]
pub(super) struct Packet {
    source: Source,
    /// Bytes of the frame before the body, and of all of it.
    head_len: u8,
    frame_len: u8,
    body_len: u16,
    step: u16,
    /// Bytes of the segment that are handed out.
    at: u32,
    payload_len: u32,
    frame: [u8; FRAME],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    /// Whole packets in the frame.
    Frame,
    /// The packet before the send cursor of the ring.
    Publish,
    Control,
    /// A QoS 0 PUBLISH whose bytes the caller holds.
    AtMostOnce,
}

impl Packet {
    pub(super) const NONE: Self = Self {
        source: Source::None,
        head_len: 0,
        frame_len: 0,
        body_len: 0,
        step: 0,
        at: 0,
        payload_len: 0,
        frame: [0; FRAME],
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
            Source::Publish => Some(Kind::Publish),
            Source::Control => Some(Kind::Control),
            Source::None | Source::Frame | Source::AtMostOnce => None,
        }
    }

    pub(super) fn set_disconnect(&mut self) {
        self.begin(Source::Frame, 0);
        self.put(&Empty::Disconnect.to_bytes());
    }

    /// An empty segment.
    fn begin(&mut self, source: Source, step: u16) {
        *self = Self {
            source,
            step,
            frame: self.frame,
            ..Self::NONE
        };
    }

    fn put(&mut self, bytes: &[u8]) {
        let at = usize::from(self.frame_len);
        if let Some(place) = self.frame.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
            self.frame_len += bytes.len() as u8;
        }
    }

    fn put_header<H: Outgoing>(&mut self, packet_type: PacketType, flags: u8, handle: &H) {
        let remaining_length = remaining_length(handle, u32::MAX);
        debug_assert!(
            remaining_length.is_ok(),
            "a handle tells another packet than the one accepted"
        );
        let header = FixedHeader {
            packet_type,
            flags,
            remaining_length: remaining_length.unwrap_or(RemainingLength::ZERO),
        };
        if let Ok(len) = header.encode(&mut self.frame) {
            self.frame_len = len as u8;
        }
    }

    /// Leaves room for the body, behind its length.
    fn put_body(&mut self, body: &[u8]) {
        self.body_len = body.len() as u16;
        self.put(&self.body_len.to_be_bytes());
        self.head_len = self.frame_len;
    }

    /// Begins a segment of the packet in the slot; false if it has none of that number.
    fn cut<H: Outgoing>(&mut self, kind: Kind, slot: &Slot<H>, step: u16) -> bool {
        let source = match kind {
            Kind::Publish => Source::Publish,
            Kind::Control => Source::Control,
        };
        self.begin(source, step);
        let (Some(handle), Some(id)) = (slot.handle(), slot.id()) else {
            return false;
        };
        let id = id.get().to_be_bytes();
        let content = handle.content();
        let Some((body, qos)) = body(handle, content, step) else {
            return false;
        };
        if step == 0 {
            let (packet_type, flags) = match content {
                Content::Publish { retain, .. } => {
                    let dup = if slot.touched() { 0b1000 } else { 0 };
                    let flags = dup | 0b0010 | u8::from(retain == Retain::Yes);
                    (PacketType::Publish, flags)
                }
                Content::Subscribe => (PacketType::Subscribe, 0b0010),
                Content::Unsubscribe => (PacketType::Unsubscribe, 0b0010),
            };
            self.put_header(packet_type, flags, handle);
            if kind == Kind::Control {
                self.put(&id);
            }
        }
        self.put_body(body);
        match content {
            Content::Publish { payload_len, .. } => {
                self.put(&id);
                self.payload_len = payload_len;
            }
            Content::Subscribe => self.put(&[qos.bits()]),
            Content::Unsubscribe => {}
        }
        true
    }

    fn len(&self) -> u32 {
        u32::from(self.frame_len) + u32::from(self.body_len) + self.payload_len
    }
}

/// Topic or filter of a segment, and the QoS of the filter; `None` if there is no such filter.
fn body<'h, H: Outgoing>(
    handle: &'h H,
    content: Content<'h>,
    step: u16,
) -> Option<(&'h [u8], QoS)> {
    match content {
        Content::Publish { topic, .. } => Some((topic.as_bytes(), QoS::AtLeastOnce)),
        Content::Subscribe | Content::Unsubscribe => {
            let (filter, qos) = handle.filter(usize::from(step))?;
            Some((filter.as_str().as_bytes(), qos))
        }
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
        let frame = packet.frame.get(..usize::from(packet.frame_len))?;
        let at = packet.at as usize;
        let kind = match packet.source {
            Source::None | Source::AtMostOnce => return None,
            Source::Frame => {
                return Some(Transmit {
                    bytes: [frame.get(at..)?, &[], &[]],
                    payload: None,
                    begins: None,
                });
            }
            Source::Publish => Kind::Publish,
            Source::Control => Kind::Control,
        };
        let (ring, slots) = self.outbox.ring(kind);
        let slot = ring.last_sent(slots)?;
        let handle = slot.handle()?;
        let (body, _) = body(handle, handle.content(), packet.step)?;
        let (head, tail) = frame.split_at_checked(usize::from(packet.head_len))?;
        let mut bytes = [head, body, tail];
        let mut passed = at;
        for part in &mut bytes {
            let n = passed.min(part.len());
            *part = part.get(n..)?;
            passed -= n;
        }
        let mut transmit = Transmit {
            bytes,
            payload: None,
            begins: None,
        };
        if kind == Kind::Publish {
            let offset = passed as u32;
            transmit.payload = Some(PayloadRange {
                handle,
                id: slot.id()?,
                offset,
                len: packet.payload_len.saturating_sub(offset),
            });
            if at == 0 {
                transmit.begins = Some(if slot.touched() {
                    Dup::Repeat
                } else {
                    Dup::First
                });
            }
        }
        Some(transmit)
    }

    /// The PUBLISH whose beginning the last [`poll_transmit`](Self::poll_transmit) gave goes back to its place, since its
    /// payload cannot be supplied yet. It comes again, behind what never waits for it: PUBACK, PINGREQ, SUBSCRIBE. No
    /// byte of it may have been taken over.
    pub fn postpone(&mut self) {
        let packet = &mut self.link.packet;
        if packet.kind() == Some(Kind::Publish) && packet.is_untouched() {
            packet.begin(Source::None, 0);
            self.outbox.ring(Kind::Publish).0.unsend();
        }
    }

    /// The caller has taken over the first `n` bytes of the last [`poll_transmit`](Self::poll_transmit), or of what
    /// is left of a [`publish_at_most_once`](Self::publish_at_most_once): they are in its buffer, or written.
    pub fn advance(&mut self, n: usize) {
        let packet = &mut self.link.packet;
        self.link.staged = self.link.staged.wrapping_add(n as u32);
        packet.at += n as u32;
        if packet.at < packet.len() {
            return;
        }
        if let Some(kind) = packet.kind() {
            let (ring, slots) = self.outbox.ring(kind);
            if let Some(slot) = ring.last_sent(slots) {
                // a PUBLISH has no other segment
                if kind == Kind::Control && packet.cut(kind, slot, packet.step + 1) {
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
        let (ring, slots) = self.outbox.ring(Kind::Publish);
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
        self.link.packet.payload_len = len as u32 + payload_len;
        Ok(Some(len))
    }

    /// Gives up the rest of a [`publish_at_most_once`](Self::publish_at_most_once) whose payload can no longer be
    /// supplied: [`wants_close`](Self::wants_close) is true afterwards, and the session connects again. Without effect
    /// if none is half handed out.
    pub fn abandon_at_most_once(&mut self) {
        if self.link.packet.source == Source::AtMostOnce {
            self.link.phase = Phase::Broken;
            self.end(Ending::Cycle);
            self.link.packet = Packet::NONE;
        }
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
        while usize::from(packet.frame_len) + Ack::LEN <= FRAME {
            let Some(id) = link.acks.next_ready(self.outbox.storage.acks(), arriving) else {
                break;
            };
            let ack_type = AckType::PubAck;
            packet.put(&Ack { ack_type, id }.to_bytes());
        }
        if packet.frame_len == 0 && link.ping_wanted {
            link.ping_wanted = false;
            packet.put(&Empty::PingReq.to_bytes());
        }
        if packet.frame_len > 0 {
            packet.source = Source::Frame;
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
