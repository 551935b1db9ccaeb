use crate::wire::{
    ConnAck, DecodeError, Dup, FixedHeader, PacketId, PacketType, PublishHead, QoS, Retain,
    SubAckCodes, decode_answered_id,
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
    Granted(AckToken),
    /// Every place is taken.
    Blocked,
    /// Consumers stall: skip the message.
    Discard,
}

/// What received bytes brought.
type Brought<'b, S> = Option<Input<'b, <S as Storage>::Handle>>;

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
    // As its steps, which are one function with it: as calls they return through memory, 800 bytes on a small processor.
    #[cfg_attr(not(target_pointer_width = "64"), inline(always))]
    pub fn handle_input<'b>(
        &mut self,
        now: Instant,
        input: &'b [u8],
    ) -> Result<(usize, Brought<'b, S>), Error> {
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
        self.link.left_over = input.len();
        let brought = self.handle_bytes(input)?;
        Ok((input.len() - self.link.left_over, brought))
    }

    /// Sets `left_over` when it consumes something.
    #[inline(always)]
    fn handle_bytes<'b>(&mut self, input: &'b [u8]) -> Result<Brought<'b, S>, Error> {
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
        self.link.left_over -= bytes.len();
        Ok(match incoming.what {
            Arriving::Payload => Some(Input::Payload { bytes, left }),
            Arriving::Skipped | Arriving::PacketId => None,
        })
    }

    #[inline(always)]
    fn handle_packet<'b>(&mut self, input: &'b [u8]) -> Result<Brought<'b, S>, Error> {
        let Some((header, header_len)) = FixedHeader::decode(input)? else {
            return Ok(None);
        };
        self.check_header(header)?;
        let packet_type = header.packet_type;
        let rest = input.get(header_len..).unwrap_or_default();
        let body_len = header.remaining_length.get() as usize;
        let body = rest.get(..body_len).unwrap_or(rest);
        let left_over = rest.len() - body.len();
        if packet_type == PacketType::Publish {
            return self.handle_publish(header, input.len(), body, left_over);
        }
        if body.len() < body_len {
            return Ok(None);
        }
        self.link.left_over = left_over;
        let &[first, second, ref codes @ ..] = body else {
            // by its length it is PINGRESP
            return Ok(match self.link.timers.handle_ping_response() {
                true => None,
                false => Some(Input::Unexpected(PacketType::PingResp)),
            });
        };
        if packet_type == PacketType::ConnAck {
            let (session, refusal) = ConnAck::decode_fields(first, second)?;
            return self.handle_connack(session, refusal);
        }
        let id = decode_answered_id(packet_type, [first, second])?;
        let codes = SubAckCodes::decode(codes, S::Handle::MAX_FILTERS)?;
        self.handle_ack(packet_type, id, codes).map(Some)
    }

    /// What is wrong with a packet before its body is there.
    #[inline(always)]
    fn check_header(&self, header: FixedHeader) -> Result<(), Error> {
        let connecting = self.link.phase == Phase::Connecting;
        if connecting && header.packet_type != PacketType::ConnAck {
            return Err(Violation::FirstPacketNotConnAck.into());
        }
        let possible = match header.packet_type {
            PacketType::Publish => return Ok(()),
            PacketType::PubRel => return Err(Error::QoS2Session),
            PacketType::ConnAck if !connecting => Err(Violation::SecondConnAck),
            PacketType::ConnAck | PacketType::PubAck | PacketType::UnsubAck => Ok((2, 2)),
            PacketType::SubAck => Ok((3, 2 + self.max_suback_codes())),
            PacketType::PingResp => Ok((0, 0)),
            PacketType::PubRec | PacketType::PubComp => Err(Violation::AckOfWrongKind),
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Disconnect => Err(Violation::PacketOfClient),
        };
        let (least, most) = possible?;
        let len = header.remaining_length.get();
        if len < least || len > most {
            return Err(Violation::ImpossibleLength.into());
        }
        Ok(())
    }

    /// A PUBLISH of which `body` is there, all of it or its beginning; `left_over` are the bytes behind it.
    #[inline(always)]
    fn handle_publish<'b>(
        &mut self,
        header: FixedHeader,
        input_len: usize,
        body: &'b [u8],
        left_over: usize,
    ) -> Result<Brought<'b, S>, Error> {
        let remaining_length = header.remaining_length.get();
        let left = remaining_length - body.len() as u32;
        let oversized = remaining_length > self.config().max_incoming;
        let buffer = self.receive_buffer();
        if oversized {
            if self.config().oversized == Oversized::Close {
                return Err(Error::Oversized { remaining_length });
            }
        } else if left > 0 && input_len as u32 + left <= buffer {
            return Ok(None);
        }
        let Some((publish, payload)) =
            PublishHead::decode(header.flags, remaining_length as usize, body)?
        else {
            if (input_len as u32) < buffer {
                return Ok(None);
            }
            return self.handle_endless_topic(header, body);
        };
        self.link.incoming.for_ack = false;
        let token = match publish.id {
            None => None,
            Some(_) if is_qos2(header.flags) => return Err(Error::QoS2Session),
            Some(id) => match self.admit(id, !oversized) {
                Admission::Granted(token) => Some(token),
                Admission::Blocked => return Ok(Some(Input::Blocked)),
                Admission::Discard => {
                    self.link.left_over = left_over;
                    self.link.incoming.begin(Arriving::Skipped, left);
                    return Ok(Some(Input::Discarded { remaining_length }));
                }
            },
        };
        self.link.left_over = left_over;
        if oversized {
            self.link.incoming.begin(Arriving::Skipped, left);
            return Ok(Some(Input::Oversized {
                topic: Some(publish.topic),
                remaining_length,
            }));
        }
        self.link.incoming.begin(Arriving::Payload, left);
        Ok(Some(Input::Message(Message {
            topic: publish.topic,
            qos: match token {
                Some(_) => QoS::AtLeastOnce,
                None => QoS::AtMostOnce,
            },
            retain: Retain::from_flags(header.flags),
            dup: Dup::from_flags(header.flags),
            payload,
            payload_len: left + payload.len() as u32,
            remaining_length,
            token,
        })))
    }

    /// A PUBLISH whose topic fills the whole receive buffer: only its packet id is of interest.
    #[inline(always)]
    fn handle_endless_topic<'b>(
        &mut self,
        header: FixedHeader,
        body: &'b [u8],
    ) -> Result<Brought<'b, S>, Error> {
        let remaining_length = header.remaining_length.get();
        if self.config().oversized == Oversized::Close {
            return Err(Error::Oversized { remaining_length });
        }
        let &[high, low, ref rest @ ..] = body else {
            return Ok(None);
        };
        let qos = QoS::from_bits(header.flags >> 1 & 0b11);
        if is_qos2(header.flags) {
            return Err(Error::QoS2Session);
        }
        self.link.left_over = rest.len();
        let incoming = &mut self.link.incoming;
        incoming.for_ack = false;
        incoming.begin(Arriving::Skipped, remaining_length - 2);
        if qos == Some(QoS::AtLeastOnce) {
            incoming.before_id = u32::from(u16::from_be_bytes([high, low]));
            incoming.what = Arriving::PacketId;
        }
        Ok(Some(Input::Oversized {
            topic: None,
            remaining_length,
        }))
    }

    /// The packet id after a topic that was skipped.
    #[inline(always)]
    fn handle_late_id<'b>(&mut self, input: &'b [u8]) -> Result<Brought<'b, S>, Error> {
        let &[high, low, ref rest @ ..] = input else {
            return Ok(None);
        };
        let id = PacketId::new(u16::from_be_bytes([high, low])).ok_or(DecodeError::ZeroPacketId)?;
        if let Admission::Blocked = self.admit(id, false) {
            return Ok(Some(Input::Blocked));
        }
        self.link.left_over = rest.len();
        let incoming = &mut self.link.incoming;
        incoming.begin(Arriving::Skipped, incoming.left - 2);
        Ok(None)
    }

    /// Finds a place for the acknowledgement of the message that arrives, which is due at once if the message is not
    /// `wanted`.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn admit(&mut self, id: PacketId, mut wanted: bool) -> Admission {
        if matches!(self.link.reading, Reading::Overrun | Reading::Discarding) {
            self.link.reading = Reading::Discarding;
            // a transient session acknowledges: no later connection brings it again, it would only use up the
            // broker's window
            if self.stage != Stage::Transient {
                return Admission::Discard;
            }
            wanted = false;
        }
        self.make_ack_room();
        let discards = self.link.reading == Reading::Discarding;
        let slots = self.outbox.storage.acks();
        match self.link.acks.push(slots, id, wanted) {
            Some(token) => {
                self.link.incoming.for_ack = true;
                if discards {
                    return Admission::Discard;
                }
                Admission::Granted(token)
            }
            None if slots.is_empty() || discards => Admission::Discard,
            None => Admission::Blocked,
        }
    }

    /// An acknowledgement; `codes` are those of a SUBACK.
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

/// Whether the legal flags of a PUBLISH are those of QoS 2.
const fn is_qos2(flags: u8) -> bool {
    flags >> 1 & 0b11 == QoS::ExactlyOnce as u8
}
