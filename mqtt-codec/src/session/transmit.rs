use core::borrow::Borrow;

use crate::wire::{
    Ack, AckType, Delivery, Dup, Empty, EncodeError, PacketType, PublishHeader, QoS,
    RemainingLength, Retain, TopicName,
};

use super::link::{Phase, Renewal};
use super::outbox::Kind;
use super::ring::Slot;
use super::session::{Ending, remaining_length};
use super::{Content, Instant, Outgoing, PayloadRange, Session, Storage, Transmit};

/// Room for four PUBACKs, or for all of a segment but its body.
const FRAME: usize = 16;

/// Places in the frame of a segment: of the packet id of a SUBSCRIBE or UNSUBSCRIBE, of the body's length, and of what
/// follows the body.
const ID: usize = 5;
const BODY_LEN: usize = ID + 2;
const TAIL: usize = BODY_LEN + 2;

/// The packet that is being handed out, cut into segments: a few bytes of ours around a body of the caller's, and a
/// payload of the caller's.
///
/// ```text
/// PUBLISH    [header, topic length | topic | id] payload
/// SUBSCRIBE  [header, id, length | filter | QoS] [length | filter | QoS] …
/// ```
#[derive(Debug)]
pub(super) struct Packet {
    frame: [u8; FRAME],
    /// Bytes of the segment, body and payload included, and how many of them are handed out.
    len: u32,
    at: u32,
    step: u16,
    /// In the frame: where it begins, where the body belongs, and where it ends.
    head: u8,
    tail: u8,
    end: u8,
    source: Source,
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
        frame: [0; FRAME],
        len: 0,
        at: 0,
        step: 0,
        head: 0,
        tail: 0,
        end: 0,
        source: Source::None,
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

    /// Whether it comes from this ring.
    pub(super) const fn is_of(&self, kind: Kind) -> bool {
        match kind {
            Kind::Publish => matches!(self.source, Source::Publish),
            Kind::Control => matches!(self.source, Source::Control),
        }
    }

    pub(super) fn set_disconnect(&mut self) {
        self.set_empty(Empty::Disconnect);
    }

    fn set_empty(&mut self, packet: Empty) {
        [self.frame[0], self.frame[1]] = packet.to_bytes();
        self.set_frame(Empty::LEN);
    }

    /// The first `len` bytes of the frame are whole packets.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn set_frame(&mut self, len: usize) {
        self.begin(Source::Frame, len as u32);
        self.head = 0;
        self.tail = len as u8;
        self.end = len as u8;
    }

    /// The first segment of a packet.
    fn begin(&mut self, source: Source, len: u32) {
        self.source = source;
        self.step = 0;
        self.at = 0;
        self.len = len;
    }

    /// Begins a segment of the packet in the slot; false if it has none of that number.
    #[inline(never)]
    fn cut<H: Outgoing>(&mut self, kind: Kind, slot: &Slot<H>, step: u16) -> bool {
        let (Some(handle), Some(id)) = (slot.handle(), slot.id()) else {
            return false;
        };
        let content = handle.content();
        let Some((body, qos)) = body(handle, content, step) else {
            return false;
        };
        let id = id.get().to_be_bytes();
        let (first_byte, source, tail, tail_len, payload_len) = match content {
            Content::Publish {
                retain,
                payload_len,
                ..
            } => {
                let dup = if slot.touched() { 0b1000 } else { 0 };
                let flags = dup | 0b0010 | retain as u8;
                let first_byte = PacketType::Publish.first_byte(flags);
                (first_byte, Source::Publish, id, 2, payload_len)
            }
            Content::Subscribe => {
                let first_byte = PacketType::Subscribe.first_byte(0b0010);
                (first_byte, Source::Control, [qos.bits(), 0], 1, 0)
            }
            Content::Unsubscribe => {
                let first_byte = PacketType::Unsubscribe.first_byte(0b0010);
                (first_byte, Source::Control, [0; 2], 0, 0)
            }
        };
        let mut head = BODY_LEN;
        if kind == Kind::Control {
            [self.frame[ID], self.frame[ID + 1]] = id;
            if step == 0 {
                head = ID;
            }
        }
        [self.frame[BODY_LEN], self.frame[BODY_LEN + 1]] = (body.len() as u16).to_be_bytes();
        [self.frame[TAIL], self.frame[TAIL + 1]] = tail;
        let end = TAIL + tail_len;
        let mut len = ((end - head + body.len()) as u32).saturating_add(payload_len);
        if step == 0 {
            // that of several filters has other segments
            let is_all = H::MAX_FILTERS == 1 || kind == Kind::Publish;
            let remaining_length = match is_all {
                true => len,
                false => remaining_length(handle, content),
            };
            let begin = self.put_header(head, first_byte, remaining_length);
            len = len.saturating_add((head - begin) as u32);
            head = begin;
        }
        self.begin(source, len);
        self.step = step;
        self.head = head as u8;
        self.tail = TAIL as u8;
        self.end = end as u8;
        true
    }

    /// Writes the fixed header up to `end` of the frame, and returns where it begins.
    fn put_header(&mut self, end: usize, first_byte: u8, remaining_length: u32) -> usize {
        let remaining_length = RemainingLength::new(remaining_length);
        debug_assert!(
            remaining_length.is_some(),
            "a handle tells another packet than the one accepted"
        );
        let remaining_length = remaining_length.unwrap_or(RemainingLength::ZERO);
        let begin = end - 1 - remaining_length.encoded_len();
        if let Some([first, length @ ..]) = self.frame.get_mut(begin..end) {
            *first = first_byte;
            let mut rest = remaining_length.get();
            for byte in length {
                *byte = (rest & 0x7F) as u8 | if rest > 0x7F { 0x80 } else { 0 };
                rest >>= 7;
            }
        }
        begin
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
            let step = usize::from(step);
            if H::MAX_FILTERS > 1 && step >= H::MAX_FILTERS {
                return None;
            }
            let (filter, qos) = handle.filter(step)?;
            Some((filter.as_str().as_bytes(), qos))
        }
    }
}

/// What is left of a part when so many bytes of the segment are passed, which are fewer after it.
fn skip<'p>(part: &'p [u8], passed: &mut usize) -> Option<&'p [u8]> {
    let n = part.len().min(*passed);
    *passed -= n;
    part.get(n..)
}

impl<S: Storage> Session<S> {
    /// The next bytes for the transport, `None` when there is nothing to send. Asking again without
    /// [`advance`](Self::advance) gives the same.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_, S::Handle>> {
        if self.link.packet.is_none() {
            self.begin_packet()?;
        }
        let packet = &self.link.packet;
        if packet.source == Source::AtMostOnce {
            return None;
        }
        let frame = packet.frame.get(..usize::from(packet.end))?;
        let (before, after) = frame.split_at_checked(usize::from(packet.tail))?;
        let before = before.get(usize::from(packet.head)..)?;
        let mut within: &[u8] = &[];
        let mut payload = None;
        let mut begins = None;
        if let Some(kind) = packet.kind() {
            let (ring, slots) = self.outbox.ring(kind);
            let slot = ring.last_sent(slots)?;
            let handle = slot.handle()?;
            let content = handle.content();
            (within, _) = body(handle, content, packet.step)?;
            if let Content::Publish { payload_len, .. } = content {
                let head_len = packet.len.saturating_sub(payload_len);
                let offset = packet.at.saturating_sub(head_len);
                payload = Some(PayloadRange {
                    handle,
                    id: slot.id()?,
                    offset,
                    len: payload_len - offset,
                });
                if packet.at == 0 {
                    begins = Some(if slot.touched() {
                        Dup::Repeat
                    } else {
                        Dup::First
                    });
                }
            }
        }
        let mut passed = packet.at as usize;
        let bytes = [
            skip(before, &mut passed)?,
            skip(within, &mut passed)?,
            skip(after, &mut passed)?,
        ];
        Some(Transmit {
            bytes,
            payload,
            begins,
        })
    }

    /// The PUBLISH whose beginning the last [`poll_transmit`](Self::poll_transmit) gave goes back to its place, since its
    /// payload cannot be supplied yet. It comes again, behind what never waits for it: PUBACK, PINGREQ, SUBSCRIBE. No
    /// byte of it may have been taken over.
    pub fn postpone(&mut self) {
        let packet = &mut self.link.packet;
        if packet.is_of(Kind::Publish) && packet.is_untouched() {
            packet.source = Source::None;
            self.outbox.ring(Kind::Publish).0.unsend();
        }
    }

    /// The caller has taken over the first `n` bytes of the last [`poll_transmit`](Self::poll_transmit), or of what
    /// is left of a [`publish_at_most_once`](Self::publish_at_most_once): they are in its buffer, or written.
    pub fn advance(&mut self, n: usize) {
        let packet = &mut self.link.packet;
        self.link.staged = self.link.staged.wrapping_add(n as u32);
        packet.at += n as u32;
        if packet.at < packet.len {
            return;
        }
        if S::Handle::MAX_FILTERS > 1 && packet.is_of(Kind::Control) {
            let (ring, slots) = self.outbox.ring(Kind::Control);
            let slot = ring.last_sent(slots);
            if slot.is_some_and(|slot| packet.cut(Kind::Control, slot, packet.step + 1)) {
                return;
            }
        }
        if packet.is_of(Kind::Publish) {
            let (ring, slots) = self.outbox.ring(Kind::Publish);
            if let Some(slot) = ring.last_sent(slots) {
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
        let packet_len = len as u32 + payload_len;
        self.link.packet.begin(Source::AtMostOnce, packet_len);
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
        let arriving = link.incoming.awaits_ack();
        let mut len = 0;
        for place in packet.frame.chunks_exact_mut(Ack::LEN) {
            let Some(id) = link.acks.next_ready(self.outbox.storage.acks(), arriving) else {
                break;
            };
            let ack_type = AckType::PubAck;
            place.copy_from_slice(&Ack { ack_type, id }.to_bytes());
            len += Ack::LEN;
        }
        if len > 0 {
            packet.set_frame(len);
            return Some(());
        }
        if link.ping_wanted {
            link.ping_wanted = false;
            packet.set_empty(Empty::PingReq);
            return Some(());
        }
        if link.phase == Phase::Disconnecting {
            self.finish();
            return Some(());
        }
        let mut kind = Kind::Control;
        loop {
            let (ring, slots) = self.outbox.ring(kind);
            if let Some(slot) = ring.send_next(slots, link.staged) {
                return packet.cut(kind, slot, 0).then_some(());
            }
            if kind == Kind::Publish
                || link.renewal == Renewal::Wanted
                || self.outbox.publishes().in_flight() >= self.config.borrow().window.max(1)
            {
                return None;
            }
            kind = Kind::Publish;
        }
    }
}
