use core::borrow::Borrow;

use crate::wire::{
    Ack, AckType, Delivery, Dup, Empty, EncodeError, PacketType, PublishHeader, QoS,
    RemainingLength, Retain, TopicFilter, TopicName,
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

/// The packet that is being handed out, in segments: a few bytes of ours around a body of the caller's, and a payload of
/// the caller's. They are worked out each time that they are asked for.
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
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    /// Whole packets in the frame.
    Frame,
    /// The packet before the send cursor of the ring.
    Ring(Kind),
    /// A QoS 0 PUBLISH whose bytes the caller holds.
    AtMostOnce,
}

impl Packet {
    pub(super) const NONE: Self = Self {
        frame: [0; FRAME],
        len: 0,
        at: 0,
        step: 0,
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
            Source::Ring(kind) => Some(kind),
            Source::None | Source::Frame | Source::AtMostOnce => None,
        }
    }

    /// Whether it comes from this ring.
    pub(super) const fn is_of(&self, kind: Kind) -> bool {
        matches!(self.source, Source::Ring(of) if of as u8 == kind as u8)
    }

    pub(super) fn set_disconnect(&mut self) {
        self.set_empty(Empty::Disconnect);
    }

    fn set_empty(&mut self, packet: Empty) {
        [self.frame[0], self.frame[1]] = packet.to_bytes();
        self.begin(Source::Frame, Empty::LEN as u32);
    }

    /// The first segment of a packet.
    fn begin(&mut self, source: Source, len: u32) {
        self.source = source;
        self.step = 0;
        self.at = 0;
        self.len = len;
    }

    /// Of the frame, what is not handed out of whole packets in it.
    fn whole(&self) -> Option<&[u8]> {
        self.frame.get(self.at as usize..self.len as usize)
    }

    /// What is not handed out of the segment of the packet in the slot; `None` if it has no such segment.
    fn segment<'s, H: Outgoing>(&'s mut self, slot: &'s Slot<H>) -> Option<Transmit<'s, H>> {
        let handle = slot.handle()?;
        let id = slot.id()?;
        let content = handle.content();
        let is_first = H::MAX_FILTERS == 1 || self.step == 0;
        let is_publish = matches!(content, Content::Publish { .. });
        // PUBLISH has the id behind its body, the others before
        self.put(ID, id.get());
        self.put(TAIL, id.get());
        let (body, first_byte, tail_len, payload_len) = match content {
            Content::Publish {
                topic,
                retain,
                payload_len,
            } => {
                let dup = if slot.touched() { 0b1000 } else { 0 };
                let flags = dup | 0b0010 | retain as u8;
                let first_byte = PacketType::Publish.first_byte(flags);
                (topic.as_bytes(), first_byte, 2, payload_len)
            }
            Content::Subscribe | Content::Unsubscribe => {
                let (filter, qos) = filter(handle, self.step)?;
                self.frame[TAIL] = qos.bits();
                let (packet_type, tail_len) = match content {
                    Content::Subscribe => (PacketType::Subscribe, 1),
                    _ => (PacketType::Unsubscribe, 0),
                };
                let first_byte = packet_type.first_byte(0b0010);
                (filter.as_str().as_bytes(), first_byte, tail_len, 0)
            }
        };
        self.put(BODY_LEN, body.len() as u16);
        let mut begin = match is_first && !is_publish {
            true => ID,
            false => BODY_LEN,
        };
        let mut len = ((TAIL - begin + body.len() + tail_len) as u32).saturating_add(payload_len);
        if is_first {
            // that of several filters has other segments
            let is_all = H::MAX_FILTERS == 1 || is_publish;
            let remaining_length = match is_all {
                true => len,
                false => remaining_length(handle, content),
            };
            let end = begin;
            begin = self.put_header(end, first_byte, remaining_length);
            len = len.wrapping_add((end - begin) as u32);
        }
        self.len = len;
        let (before, after) = self.frame.split_at(TAIL);
        let mut passed = self.at as usize;
        let bytes = [
            skip(before.get(begin..)?, &mut passed)?,
            skip(body, &mut passed)?,
            skip(after.get(..tail_len)?, &mut passed)?,
        ];
        let offset = passed as u32;
        let payload = is_publish.then_some(PayloadRange {
            handle,
            id,
            offset,
            len: payload_len.saturating_sub(offset),
        });
        let dup = if slot.touched() {
            Dup::Repeat
        } else {
            Dup::First
        };
        Some(Transmit {
            bytes,
            payload,
            begins: (is_publish && self.at == 0).then_some(dup),
        })
    }

    fn put(&mut self, at: usize, value: u16) {
        if let Some(place) = self.frame.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Writes the fixed header up to `end` of the frame, and returns where it begins.
    fn put_header(&mut self, end: usize, first_byte: u8, remaining_length: u32) -> usize {
        debug_assert!(
            RemainingLength::new(remaining_length).is_some(),
            "a handle tells another packet than the one accepted"
        );
        let mut begin = end - 2;
        // of four digits at most, for which there is room
        let mut rest = (remaining_length & RemainingLength::MAX.get()) >> 7;
        while rest > 0 {
            begin -= 1;
            rest >>= 7;
        }
        if let Some([first, length @ ..]) = self.frame.get_mut(begin..end) {
            *first = first_byte;
            rest = remaining_length;
            for byte in length {
                *byte = (rest & 0x7F) as u8 | if rest > 0x7F { 0x80 } else { 0 };
                rest >>= 7;
            }
        }
        begin
    }
}

/// The filter of a segment; `None` if there is none of that number.
fn filter<H: Outgoing>(handle: &H, step: u16) -> Option<(TopicFilter<'_>, QoS)> {
    let step = usize::from(step);
    if H::MAX_FILTERS > 1 && step >= H::MAX_FILTERS {
        return None;
    }
    handle.filter(step)
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
        let packet = &mut self.link.packet;
        match packet.source {
            Source::None | Source::AtMostOnce => None,
            Source::Frame => Some(Transmit {
                bytes: [packet.whole()?, &[], &[]],
                payload: None,
                begins: None,
            }),
            Source::Ring(kind) => {
                let (ring, slots) = self.outbox.ring(kind);
                packet.segment(ring.last_sent(slots)?)
            }
        }
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
        if let Some(kind) = packet.kind() {
            let (ring, slots) = self.outbox.ring(kind);
            if let Some(slot) = ring.last_sent(slots) {
                let next = packet.step + 1;
                let is_more = S::Handle::MAX_FILTERS > 1 && kind == Kind::Control;
                if is_more && slot.handle().is_some_and(|it| filter(it, next).is_some()) {
                    packet.at = 0;
                    packet.step = next;
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
            packet.begin(Source::Frame, len as u32);
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
            if ring.send_next(slots, link.staged) {
                packet.begin(Source::Ring(kind), 0);
                return Some(());
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
