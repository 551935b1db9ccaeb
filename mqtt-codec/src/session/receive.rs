use crate::wire::{
    ConnAck, DecodeError, Delivery, FixedHeader, PacketId, PacketType, PublishHeader, QoS,
    SubAckCodes, decode_answer,
};

use super::link::{Arriving, Phase, Reading};
use super::outbox::Kind;
use super::session::{Stage, filters};
use super::{
    AckToken, Change, Content, Error, Input, Instant, Message, Outgoing, Oversized, Session,
    Storage, Violation,
};

/// A place for the acknowledgement of a message.
enum Admission {
    /// QoS 0.
    NotNeeded,
    Granted(AckToken),
    /// Every place is taken.
    Blocked,
    /// Consumers stall: skip the message, unacknowledged.
    Discard,
}

/// Bytes consumed, and what they brought.
type Taken<'b, S> = Result<(usize, Option<Input<'b, <S as Storage>::Handle>>), Error>;

impl<S: Storage> Session<S> {
    /// Takes at most one packet, or one chunk of a payload, from received bytes.
    ///
    /// Returns the bytes consumed and what they brought, which may borrow from them. The caller keeps the rest and
    /// calls again; with nothing consumed and nothing brought, it first reads more. It must be able to offer
    /// [`Config::receive_buffer`](super::Config::receive_buffer) bytes at once. Bytes that are offered again are no
    /// sign of life.
    ///
    /// # Errors
    /// The connection is over: close the transport and call [`handle_closed`](Self::handle_closed).
    pub fn handle_input<'b>(&mut self, now: Instant, input: &'b [u8]) -> Taken<'b, S> {
        if input.is_empty()
            || matches!(
                self.link.phase,
                Phase::Closed | Phase::Finished | Phase::Broken
            )
        {
            return Ok((input.len(), None));
        }
        // what was offered before is no news
        if input.len() > self.link.left_over {
            self.link.timers.handle_life(now);
        }
        let result = self.handle_bytes(input);
        if let Ok((consumed, _)) = result {
            self.link.left_over = input.len() - consumed;
        }
        result
    }

    fn handle_bytes<'b>(&mut self, input: &'b [u8]) -> Taken<'b, S> {
        let incoming = &mut self.link.incoming;
        if incoming.left == 0 {
            return self.handle_packet(input);
        }
        let mut upto = incoming.left;
        if incoming.what == Arriving::PacketId {
            upto = incoming.before_id;
            if upto == 0 {
                return self.handle_late_id(input);
            }
        }
        let bytes = input.get(..upto as usize).unwrap_or(input);
        let n = bytes.len() as u32;
        let left = incoming.left - n;
        incoming.left = left;
        incoming.before_id = upto - n;
        let payload = match incoming.what {
            Arriving::Payload => Some(Input::Payload { bytes, left }),
            Arriving::Skipped | Arriving::PacketId => None,
        };
        Ok((bytes.len(), payload))
    }

    fn handle_packet<'b>(&mut self, input: &'b [u8]) -> Taken<'b, S> {
        let Some((header, header_len)) = FixedHeader::decode(input)? else {
            return Ok((0, None));
        };
        self.check_header(header)?;
        let rest = input.get(header_len..).unwrap_or_default();
        let body_len = header.remaining_length.get() as usize;
        let body = rest.get(..body_len).unwrap_or(rest);
        if header.packet_type == PacketType::Publish {
            return self.handle_publish(header, header_len, body);
        }
        if body.len() < body_len {
            return Ok((0, None));
        }
        let brought = match header.packet_type {
            PacketType::ConnAck => self.handle_connack(ConnAck::decode(header, body)?)?,
            PacketType::PubAck | PacketType::SubAck | PacketType::UnsubAck => {
                let (id, codes) = decode_answer(header.packet_type, body)?;
                Some(self.handle_ack(header.packet_type, id, codes)?)
            }
            _ => match self.link.timers.handle_ping_response() {
                true => None,
                false => Some(Input::Unexpected(PacketType::PingResp)),
            },
        };
        Ok((header_len + body_len, brought))
    }

    /// What is wrong with a packet before its body is there.
    fn check_header(&self, header: FixedHeader) -> Result<(), Error> {
        let len = header.remaining_length.get();
        let connecting = self.link.phase == Phase::Connecting;
        if connecting && header.packet_type != PacketType::ConnAck {
            return Err(Violation::FirstPacketNotConnAck.into());
        }
        let possible = match header.packet_type {
            PacketType::Publish => true,
            PacketType::ConnAck if !connecting => return Err(Violation::SecondConnAck.into()),
            PacketType::ConnAck | PacketType::PubAck | PacketType::UnsubAck => len == 2,
            PacketType::SubAck => len > 2 && len - 2 <= self.max_suback_codes(),
            PacketType::PingResp => len == 0,
            PacketType::PubRel => return Err(Error::QoS2Session),
            PacketType::PubRec | PacketType::PubComp => {
                return Err(Violation::AckOfWrongKind.into());
            }
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Disconnect => return Err(Violation::PacketOfClient.into()),
        };
        if possible {
            Ok(())
        } else {
            Err(Violation::ImpossibleLength.into())
        }
    }

    /// A PUBLISH of which `body` is there, all of it or its beginning.
    fn handle_publish<'b>(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &'b [u8],
    ) -> Taken<'b, S> {
        let remaining_length = header.remaining_length.get();
        let left = remaining_length - body.len() as u32;
        let oversized = remaining_length > self.config().max_incoming;
        let buffer = self.receive_buffer();
        if oversized {
            if self.config().oversized == Oversized::Close {
                return Err(Error::Oversized { remaining_length });
            }
        } else if left > 0 && header_len as u32 + remaining_length <= buffer {
            return Ok((0, None));
        }
        let Some((publish, head_len)) = PublishHeader::decode(header, body)? else {
            if ((header_len + body.len()) as u32) < buffer {
                return Ok((0, None));
            }
            return self.handle_endless_topic(header, header_len, body);
        };
        let consumed = header_len + body.len();
        let admission = match publish.delivery {
            Delivery::AtMostOnce => Admission::NotNeeded,
            Delivery::AtLeastOnce { id, .. } => self.admit(id),
            Delivery::ExactlyOnce { .. } => return Err(Error::QoS2Session),
        };
        let token = match admission {
            Admission::NotNeeded => None,
            Admission::Granted(token) => Some(token),
            Admission::Blocked => return Ok((0, Some(Input::Blocked))),
            Admission::Discard => {
                self.link.incoming.begin(Arriving::Skipped, left);
                let discarded = Input::Discarded { remaining_length };
                return Ok((consumed, Some(discarded)));
            }
        };
        if left > 0 {
            self.link.incoming.begin(Arriving::Payload, left);
            self.link.incoming.for_ack = token.is_some();
        }
        let discarded = token.is_some() && self.link.reading == Reading::Discarding;
        if oversized || discarded {
            self.link.incoming.what = Arriving::Skipped;
            if let Some(token) = token {
                self.acknowledge(token);
            }
            if discarded {
                return Ok((consumed, Some(Input::Discarded { remaining_length })));
            }
            let topic = Some(publish.topic);
            let oversized = Input::Oversized {
                topic,
                remaining_length,
            };
            return Ok((consumed, Some(oversized)));
        }
        let message = Message {
            topic: publish.topic,
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.delivery.dup(),
            payload: body.get(head_len..).unwrap_or_default(),
            payload_len: publish.payload_len,
            token,
        };
        Ok((consumed, Some(Input::Message(message))))
    }

    /// A PUBLISH whose topic fills the whole receive buffer: only its packet id is of interest.
    // As `handle_ack`.
    #[inline(always)]
    fn handle_endless_topic<'b>(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &'b [u8],
    ) -> Taken<'b, S> {
        let remaining_length = header.remaining_length.get();
        if self.config().oversized == Oversized::Close {
            return Err(Error::Oversized { remaining_length });
        }
        let Some((length, _)) = body.split_first_chunk() else {
            return Ok((0, None));
        };
        let qos = QoS::from_bits(header.flags >> 1 & 0b11);
        if qos == Some(QoS::ExactlyOnce) {
            return Err(Error::QoS2Session);
        }
        let incoming = &mut self.link.incoming;
        incoming.begin(Arriving::Skipped, remaining_length - 2);
        if qos == Some(QoS::AtLeastOnce) {
            incoming.before_id = u32::from(u16::from_be_bytes(*length));
            incoming.what = Arriving::PacketId;
        }
        let oversized = Input::Oversized {
            topic: None,
            remaining_length,
        };
        Ok((header_len + 2, Some(oversized)))
    }

    /// The packet id after a topic that was skipped.
    fn handle_late_id<'b>(&mut self, input: &'b [u8]) -> Taken<'b, S> {
        let Some((id, _)) = input.split_first_chunk() else {
            return Ok((0, None));
        };
        let id = PacketId::new(u16::from_be_bytes(*id)).ok_or(DecodeError::ZeroPacketId)?;
        let for_ack = match self.admit(id) {
            Admission::Blocked => return Ok((0, Some(Input::Blocked))),
            Admission::Granted(token) => self.acknowledge(token),
            Admission::NotNeeded | Admission::Discard => false,
        };
        let incoming = &mut self.link.incoming;
        incoming.begin(Arriving::Skipped, incoming.left - 2);
        incoming.for_ack = for_ack;
        Ok((2, None))
    }

    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn admit(&mut self, id: PacketId) -> Admission {
        if matches!(self.link.reading, Reading::Overrun | Reading::Discarding) {
            self.link.reading = Reading::Discarding;
            // a transient session acknowledges: no later connection brings it again, it would only use up the
            // broker's window
            if self.stage != Stage::Transient {
                return Admission::Discard;
            }
        }
        self.make_ack_room();
        let slots = self.outbox.storage.acks();
        match self.link.acks.push(slots, id) {
            Some(token) => Admission::Granted(token),
            None if slots.is_empty() || self.link.reading == Reading::Discarding => {
                Admission::Discard
            }
            None => Admission::Blocked,
        }
    }

    /// An acknowledgement; `codes` are those of a SUBACK.
    // As calls, this and the other steps of `handle_input` return through memory: 800 bytes on a small processor.
    #[inline(always)]
    fn handle_ack<'b>(
        &mut self,
        packet_type: PacketType,
        id: PacketId,
        codes: SubAckCodes<'b>,
    ) -> Result<Input<'b, S::Handle>, Error> {
        let unexpected = Ok(Input::Unexpected(packet_type));
        let kind = Kind::of(id);
        let half_sent = self.link.packet.is_of(kind);
        let (ring, slots) = self.outbox.ring(kind);
        let Some((offset, handle)) = ring.find(slots, id) else {
            return unexpected;
        };
        if !ring.is_sent(offset, half_sent) {
            return unexpected;
        }
        let expected = match handle.content() {
            Content::Publish { .. } => PacketType::PubAck,
            Content::Subscribe => PacketType::SubAck,
            Content::Unsubscribe => PacketType::UnsubAck,
        };
        if packet_type != expected {
            return Err(Violation::AckOfWrongKind.into());
        }
        // of one filter the length was judged before
        let count_varies = S::Handle::MAX_FILTERS > 1 && expected == PacketType::SubAck;
        if count_varies && filters(handle).count() != codes.len() {
            return Err(Violation::SubAckCount.into());
        }
        let Some((handle, _)) = ring.take(slots, offset) else {
            return unexpected;
        };
        // it was the oldest
        if offset == 0 {
            self.link.timers.handle_acknowledged(kind);
        }
        Ok(match expected {
            PacketType::SubAck => Input::Subscribed { handle, codes },
            PacketType::UnsubAck => Input::Unsubscribed { handle },
            _ => {
                self.note(Change::Removed(id));
                Input::Acknowledged { id, handle }
            }
        })
    }
}
