use crate::wire::{
    Ack, AckType, ConnAck, DecodeError, Delivery, FixedHeader, PacketId, PacketType, Publish,
    PublishHeader, QoS, SubAck, SubAckCodes,
};

use super::link::{Incoming, Phase, Reading};
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
            self.handle_life(now);
        }
        let result = self.handle_bytes(input);
        if let Ok((consumed, _)) = result {
            self.link.left_over = input.len() - consumed;
        }
        result
    }

    fn handle_bytes<'b>(&mut self, input: &'b [u8]) -> Taken<'b, S> {
        match self.link.incoming {
            Incoming::Packet => self.handle_packet(input),
            Incoming::Payload { left } => {
                let bytes = input.get(..left as usize).unwrap_or(input);
                let left = left - bytes.len() as u32;
                self.link.incoming = if left == 0 {
                    Incoming::Packet
                } else {
                    Incoming::Payload { left }
                };
                Ok((bytes.len(), Some(Input::Payload { bytes, left })))
            }
            Incoming::Skip { left } => {
                let n = input.len().min(left as usize);
                self.skip(left - n as u32);
                Ok((n, None))
            }
            Incoming::SkipToId { before, high, left } => self.skip_to_id(input, before, high, left),
        }
    }

    fn handle_packet<'b>(&mut self, input: &'b [u8]) -> Taken<'b, S> {
        let Some((header, header_len)) = FixedHeader::decode(input)? else {
            return Ok((0, None));
        };
        self.check_header(header)?;
        let body = input.get(header_len..).unwrap_or_default();
        let body_len = header.remaining_length.get() as usize;
        let whole = body.get(..body_len);
        if header.packet_type == PacketType::Publish {
            let fits = header.remaining_length.get() <= self.config.max_incoming;
            return match whole.filter(|_| fits) {
                Some(body) => self.handle_publish(header, header_len, body),
                None => self.handle_large_publish(header, header_len, body),
            };
        }
        let Some(body) = whole else {
            return Ok((0, None));
        };
        let brought = match header.packet_type {
            PacketType::ConnAck => self.handle_connack(ConnAck::decode(header, body)?)?,
            PacketType::PubAck => Some(self.handle_puback(Ack::decode(header, body)?)?),
            PacketType::SubAck => Some(self.handle_suback(SubAck::decode(header, body)?)?),
            PacketType::UnsubAck => Some(self.handle_unsuback(Ack::decode(header, body)?)?),
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
            PacketType::Publish => return Ok(()),
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

    fn handle_publish<'b>(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &'b [u8],
    ) -> Taken<'b, S> {
        let publish = Publish::decode(header, body)?;
        let consumed = header_len + body.len();
        let token = match self.admit(publish.delivery)? {
            Admission::NotNeeded => None,
            Admission::Granted(token) => Some(token),
            Admission::Blocked => return Ok((0, Some(Input::Blocked))),
            Admission::Discard => {
                let remaining_length = header.remaining_length.get();
                return Ok((consumed, Some(Input::Discarded { remaining_length })));
            }
        };
        let message = Message {
            topic: publish.topic,
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.delivery.dup(),
            payload: publish.payload,
            payload_len: publish.payload.len() as u32,
            token,
        };
        Ok((consumed, Some(Input::Message(message))))
    }

    /// A PUBLISH that is not here as a whole, or over the limit.
    fn handle_large_publish<'b>(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &'b [u8],
    ) -> Taken<'b, S> {
        let remaining_length = header.remaining_length.get();
        let oversized = remaining_length > self.config.max_incoming;
        if oversized && self.config.oversized == Oversized::Close {
            return Err(Error::Oversized { remaining_length });
        }
        let total = header_len as u32 + remaining_length;
        if total <= self.config.receive_buffer && !oversized {
            return Ok((0, None));
        }
        let Some((publish, head_len)) = PublishHeader::decode(header, body)? else {
            if ((header_len + body.len()) as u32) < self.config.receive_buffer {
                return Ok((0, None));
            }
            return self.handle_endless_topic(header, header_len, body);
        };
        self.link.arrives_for_ack = false;
        let token = match self.admit(publish.delivery)? {
            Admission::NotNeeded => None,
            Admission::Granted(token) => Some(token),
            Admission::Blocked => return Ok((0, Some(Input::Blocked))),
            Admission::Discard => {
                self.skip(remaining_length - head_len as u32);
                return Ok((
                    header_len + head_len,
                    Some(Input::Discarded { remaining_length }),
                ));
            }
        };
        self.link.arrives_for_ack = token.is_some();
        if oversized {
            if let Some(token) = token {
                self.acknowledge(token);
            }
            self.skip(remaining_length - head_len as u32);
            let topic = Some(publish.topic);
            return Ok((
                header_len + head_len,
                Some(Input::Oversized {
                    topic,
                    remaining_length,
                }),
            ));
        }
        let payload = body.get(head_len..).unwrap_or_default();
        self.link.incoming = Incoming::Payload {
            left: publish.payload_len - payload.len() as u32,
        };
        let message = Message {
            topic: publish.topic,
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.delivery.dup(),
            payload,
            payload_len: publish.payload_len,
            token,
        };
        Ok((header_len + body.len(), Some(Input::Message(message))))
    }

    /// A PUBLISH whose topic fills the whole receive buffer: only its packet id is of interest.
    fn handle_endless_topic<'b>(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &'b [u8],
    ) -> Taken<'b, S> {
        let remaining_length = header.remaining_length.get();
        if self.config.oversized == Oversized::Close {
            return Err(Error::Oversized { remaining_length });
        }
        let Some((length, _)) = body.split_first_chunk() else {
            return Ok((0, None));
        };
        self.link.arrives_for_ack = false;
        let before = u32::from(u16::from_be_bytes(*length));
        let left = remaining_length - 2;
        self.link.incoming = match QoS::from_bits(header.flags >> 1 & 0b11) {
            Some(QoS::AtMostOnce) => Incoming::Skip { left },
            Some(QoS::AtLeastOnce) => Incoming::SkipToId {
                before,
                high: None,
                left,
            },
            _ => return Err(Error::QoS2Session),
        };
        Ok((
            header_len + 2,
            Some(Input::Oversized {
                topic: None,
                remaining_length,
            }),
        ))
    }

    fn skip_to_id<'b>(
        &mut self,
        input: &'b [u8],
        before: u32,
        high: Option<u8>,
        left: u32,
    ) -> Taken<'b, S> {
        let n = input.len().min(before as usize);
        if n > 0 {
            self.link.incoming = Incoming::SkipToId {
                before: before - n as u32,
                high,
                left: left - n as u32,
            };
            return Ok((n, None));
        }
        let Some(&byte) = input.first() else {
            return Ok((0, None));
        };
        let Some(high) = high else {
            self.link.incoming = Incoming::SkipToId {
                before,
                high: Some(byte),
                left: left - 1,
            };
            return Ok((1, None));
        };
        let id =
            PacketId::new(u16::from_be_bytes([high, byte])).ok_or(DecodeError::ZeroPacketId)?;
        match self.admit(Delivery::AtLeastOnce {
            id,
            dup: crate::wire::Dup::First,
        })? {
            Admission::Blocked => return Ok((0, Some(Input::Blocked))),
            Admission::Granted(token) => {
                self.acknowledge(token);
                self.link.arrives_for_ack = true;
            }
            Admission::NotNeeded | Admission::Discard => {}
        }
        self.skip(left - 1);
        Ok((1, None))
    }

    fn skip(&mut self, left: u32) {
        self.link.incoming = if left == 0 {
            Incoming::Packet
        } else {
            Incoming::Skip { left }
        };
    }

    fn admit(&mut self, delivery: Delivery) -> Result<Admission, Error> {
        let id = match delivery {
            Delivery::AtMostOnce => return Ok(Admission::NotNeeded),
            Delivery::AtLeastOnce { id, .. } => id,
            Delivery::ExactlyOnce { .. } => return Err(Error::QoS2Session),
        };
        if matches!(self.link.reading, Reading::Overrun | Reading::Discarding) {
            self.link.reading = Reading::Discarding;
            return Ok(Admission::Discard);
        }
        self.make_ack_room();
        Ok(match self.link.acks.push(self.storage.acks(), id) {
            Some(token) => Admission::Granted(token),
            None if self.storage.acks().is_empty() => Admission::Discard,
            None => Admission::Blocked,
        })
    }

    fn handle_puback<'b>(&mut self, ack: Ack) -> Result<Input<'b, S::Handle>, Error> {
        let id = ack.id;
        let oldest = self.publishes.oldest_in_flight();
        let half_sent = self.link.packet.is_publish();
        if let Some(handle) = self
            .publishes
            .acknowledge(self.storage.publishes(), id, half_sent)
        {
            if self.publishes.oldest_in_flight() != oldest {
                self.link.timers.handle_acknowledged();
            }
            self.change = Some(Change::Removed(id));
            return Ok(Input::Acknowledged { id, handle });
        }
        if self.controls.is_in_flight(self.storage.controls(), id) {
            return Err(Violation::AckOfWrongKind.into());
        }
        Ok(Input::Unexpected(PacketType::PubAck))
    }

    fn handle_suback<'b>(
        &mut self,
        suback: SubAck<SubAckCodes<'b>>,
    ) -> Result<Input<'b, S::Handle>, Error> {
        let (id, codes) = (suback.id(), suback.codes());
        let Some((is_subscribe, filters)) = self.control(id)? else {
            return Ok(Input::Unexpected(PacketType::SubAck));
        };
        if !is_subscribe {
            return Err(Violation::AckOfWrongKind.into());
        }
        if codes.len() != filters {
            return Err(Violation::SubAckCount.into());
        }
        Ok(match self.acknowledge_control(id) {
            Some(handle) => Input::Subscribed { handle, codes },
            None => Input::Unexpected(PacketType::SubAck),
        })
    }

    fn handle_unsuback<'b>(&mut self, ack: Ack) -> Result<Input<'b, S::Handle>, Error> {
        debug_assert_eq!(ack.ack_type, AckType::UnsubAck);
        if let Some((true, _)) = self.control(ack.id)? {
            return Err(Violation::AckOfWrongKind.into());
        }
        Ok(match self.acknowledge_control(ack.id) {
            Some(handle) => Input::Unsubscribed { handle },
            None => Input::Unexpected(PacketType::UnsubAck),
        })
    }

    /// Of the control packet in flight under this id: whether it is a SUBSCRIBE, and the number of its filters.
    fn control(&mut self, id: PacketId) -> Result<Option<(bool, usize)>, Error> {
        if self.publishes.is_in_flight(self.storage.publishes(), id) {
            return Err(Violation::AckOfWrongKind.into());
        }
        if !self.controls.is_in_flight(self.storage.controls(), id) {
            return Ok(None);
        }
        let slot = self.controls.find(self.storage.controls(), id);
        Ok(slot.and_then(|slot| slot.handle()).map(|handle| {
            let is_subscribe = matches!(handle.content(), Content::Subscribe);
            (
                is_subscribe,
                (0..)
                    .take_while(|&index| handle.filter(index).is_some())
                    .count(),
            )
        }))
    }

    fn acknowledge_control(&mut self, id: PacketId) -> Option<S::Handle> {
        let half_sent = self.link.packet.is_control();
        self.controls
            .acknowledge(self.storage.controls(), id, half_sent)
    }
}
