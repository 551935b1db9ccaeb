use mqtt_codec::session::{Error, Input, Message, Oversized};
use mqtt_codec::wire::{
    ConnAck, Delivery, FixedHeader, Packet, PacketId, PacketType, PublishHeader, QoS,
    SessionPresent, SubAck, SubAckCodes,
};

use super::connection::{Arriving, Link, Phase, Reading, Received, Verdict};
use super::item::{Item, Kind};
use super::world::{ACKS, Sent, Stage, World};

impl World {
    /// At most `budget` bytes from the broker arrive; the session takes what it can.
    pub(super) fn deliver(&mut self, mut budget: usize) {
        let capacity = self.session.config().receive_buffer as usize;
        loop {
            let Some(link) = &mut self.link else { return };
            if link.reading == Reading::Paused {
                return;
            }
            let room = capacity - link.buffer.len();
            let read = room.min(budget).min(link.inbound.len());
            link.buffer.extend(link.inbound.drain(..read));
            budget -= read;
            let took = self.take();
            if read == 0 && took == Took::Nothing {
                return;
            }
        }
    }

    fn take(&mut self) -> Took {
        let mut took = Took::Nothing;
        while let Some(link) = &mut self.link {
            let buffer = std::mem::take(&mut link.buffer);
            if buffer.is_empty() {
                break;
            }
            let consumed = match self.session.handle_input(self.now, &buffer) {
                Ok((consumed, input)) => {
                    self.judge_input(&buffer, consumed, input);
                    consumed
                }
                Err(error) => {
                    self.judge_error(&buffer, error);
                    self.close();
                    return Took::Something;
                }
            };
            self.note_change();
            let link = self.link.as_mut().expect("is open");
            link.buffer = buffer[consumed..].to_vec();
            if consumed == 0 {
                break;
            }
            took = Took::Something;
        }
        took
    }

    fn judge_input(&mut self, buffer: &[u8], consumed: usize, input: Option<Input<'_, Item>>) {
        let capacity = self.session.config().receive_buffer as usize;
        let link = self.link.as_mut().expect("is open");
        if link.phase == Phase::Finished {
            assert!(consumed == buffer.len() && input.is_none());
            return;
        }
        if let Some(Input::Blocked) = input {
            assert_eq!(consumed, 0);
            assert!(
                link.received.len() >= ACKS,
                "blocked although there is room"
            );
            return;
        }
        match (link.arriving.clone(), input) {
            (Arriving::Packet, None) if consumed == 0 => {
                assert_eq!(Packet::decode(buffer), Ok(None), "leaves a packet");
                assert!(buffer.len() < capacity, "needs more than its buffer");
            }
            (Arriving::Packet, input) => {
                assert!(consumed > 0, "brings {input:?} again and again");
                self.judge_packet_input(buffer, consumed, input);
            }
            (
                Arriving::Payload { left },
                Some(Input::Payload {
                    bytes,
                    left: behind,
                }),
            ) => {
                assert_eq!(bytes, &buffer[..buffer.len().min(left as usize)]);
                assert_eq!(consumed, bytes.len());
                assert_eq!(behind, left - consumed as u32);
                link.arriving = match behind {
                    0 => Arriving::Packet,
                    left => Arriving::Payload { left },
                };
            }
            (Arriving::Skip { left }, None) => {
                assert_eq!(consumed, buffer.len().min(left as usize));
                link.arriving = skip(left - consumed as u32);
            }
            (Arriving::SkipToId { before, .. }, None) => {
                assert!(
                    consumed > 0 || before == 0 && buffer.len() < 2,
                    "needs more than a byte to skip, or two of an id"
                );
                for &byte in &buffer[..consumed] {
                    self.skip_to_id(byte);
                }
            }
            (arriving, input) => panic!("{input:?} while {arriving:?}"),
        }
    }

    fn judge_packet_input(
        &mut self,
        buffer: &[u8],
        consumed: usize,
        input: Option<Input<'_, Item>>,
    ) {
        let (header, header_len) = FixedHeader::decode(buffer)
            .expect("was taken")
            .expect("was taken");
        if header.packet_type == PacketType::Publish {
            let body = &buffer[header_len..];
            return self.judge_publish_input(header, header_len, body, consumed, input);
        }
        let (packet, len) = Packet::decode(buffer)
            .expect("was taken")
            .expect("was taken");
        assert_eq!(consumed, len);
        match (packet, input) {
            (Packet::ConnAck(ConnAck::Accepted { session }), input) => {
                let brought = input.map(|input| match input {
                    Input::Connected { session } => session,
                    other => panic!("{other:?} for CONNACK"),
                });
                self.note_connected(session);
                let goes_on = self.link.as_ref().is_some_and(|link| link.renews);
                assert_eq!(brought, goes_on.then_some(session));
            }
            (Packet::PubAck(_), Some(Input::Acknowledged { id, handle })) => {
                assert_eq!(packet, Packet::PubAck(id));
                settle(&mut self.publishes, id, handle);
            }
            (Packet::SubAck(suback), Some(Input::Subscribed { handle, codes })) => {
                assert_eq!(suback.codes(), codes);
                assert!(answers(&suback, &handle));
                settle(&mut self.controls, suback.id(), handle);
            }
            (Packet::UnsubAck(id), Some(Input::Unsubscribed { handle })) => {
                assert!(matches!(handle.kind, Kind::Unsubscribe { .. }));
                settle(&mut self.controls, id, handle);
            }
            (Packet::PingResp, None) => {}
            (packet, Some(Input::Unexpected(packet_type))) => {
                assert_eq!(packet.packet_type(), packet_type);
                assert!(!self.expects(packet), "{packet:?} was asked for");
            }
            (packet, input) => panic!("{input:?} for {packet:?}"),
        }
    }

    fn note_connected(&mut self, session: SessionPresent) {
        let link = self.link.as_mut().expect("is open");
        assert_eq!(link.phase, Phase::Connecting);
        let asked = link.asked;
        assert!(asked == Stage::Persist || session == SessionPresent::Absent);
        link.phase = Phase::Connected;
        if session == SessionPresent::Absent {
            if self.stage == Stage::Wipe {
                self.stage = Stage::Persist;
            }
            for sent in &mut self.publishes {
                sent.is_touched = false;
                sent.is_complete = false;
            }
        }
        if asked == Stage::Wipe || self.stage == Stage::Wipe {
            self.cycle();
        } else {
            link.renews = true;
        }
    }

    fn judge_publish_input(
        &mut self,
        header: FixedHeader,
        header_len: usize,
        body: &[u8],
        consumed: usize,
        input: Option<Input<'_, Item>>,
    ) {
        let config = self.session.config();
        let (max_incoming, receive_buffer) = (config.max_incoming, config.receive_buffer);
        let length = header.remaining_length.get();
        let left = header_len as u32 + length - consumed as u32;
        let head = PublishHeader::decode(header, body).expect("was taken");
        let id = head.and_then(|(head, _)| head.delivery.packet_id());
        let link = self.link.as_mut().expect("is open");
        link.arrives_for_ack = false;
        match input {
            Some(Input::Message(message)) => {
                let (head, head_len) = head.expect("was taken");
                assert!(length <= max_incoming);
                judge_message(&message, head);
                assert_eq!(message.payload, &body[head_len..consumed - header_len]);
                if let Some(id) = id {
                    link.arrives_for_ack = true;
                    link.received.push_back(Received {
                        id,
                        token: Some(message.token.expect("is to be acknowledged")),
                        verdict: None,
                    });
                }
                link.arriving = match left {
                    0 => Arriving::Packet,
                    left => Arriving::Payload { left },
                };
            }
            Some(Input::Oversized {
                topic: Some(topic),
                remaining_length,
            }) => {
                assert_eq!(remaining_length, length);
                assert!(length > max_incoming);
                assert_eq!(topic, head.expect("was taken").0.topic);
                if let Some(id) = id {
                    link.arrives_for_ack = true;
                    link.received.push_back(settled(id, Verdict::Acknowledge));
                }
                link.arriving = skip(left);
            }
            Some(Input::Oversized {
                topic: None,
                remaining_length,
            }) => {
                assert_eq!(remaining_length, length);
                assert!(head.is_none() && (header_len + body.len()) as u32 >= receive_buffer);
                let before = u32::from(u16::from_be_bytes([body[0], body[1]]));
                link.arriving = match header.flags >> 1 & 0b11 {
                    0 => skip(left),
                    _ => Arriving::SkipToId {
                        before,
                        id: Vec::new(),
                        left,
                    },
                };
            }
            Some(Input::Discarded { remaining_length }) => {
                assert_eq!(remaining_length, length);
                assert!(matches!(
                    link.reading,
                    Reading::Overrun | Reading::Discarding
                ));
                link.reading = Reading::Discarding;
                let id = id.expect("QoS 0 is not discarded");
                if self.stage == Stage::Transient {
                    link.note_discarded(id);
                }
                link.arriving = skip(left);
            }
            other => panic!("{other:?} for PUBLISH"),
        }
    }

    fn skip_to_id(&mut self, byte: u8) {
        let link = self.link.as_mut().expect("is open");
        match &mut link.arriving {
            Arriving::SkipToId { before, id, left } => {
                *left -= 1;
                if *before > 0 {
                    *before -= 1;
                } else {
                    id.push(byte);
                }
                if let [high, low] = id[..] {
                    let id = PacketId::new(u16::from_be_bytes([high, low])).expect("was taken");
                    link.arriving = skip(*left);
                    if matches!(link.reading, Reading::Overrun | Reading::Discarding) {
                        link.reading = Reading::Discarding;
                        if self.stage == Stage::Transient {
                            link.note_discarded(id);
                        }
                    } else {
                        link.arrives_for_ack = true;
                        link.received.push_back(settled(id, Verdict::Acknowledge));
                    }
                }
            }
            Arriving::Skip { left } => link.arriving = skip(*left - 1),
            other => panic!("skips beyond the packet: {other:?}"),
        }
    }

    fn judge_error(&self, buffer: &[u8], error: Error) {
        let link = self.link.as_ref().expect("is open");
        if link.arriving != Arriving::Packet || link.phase == Phase::Connecting {
            return;
        }
        let Ok(Some((packet, _))) = Packet::decode(buffer) else {
            return;
        };
        let is_legal = match packet {
            Packet::PubAck(id) => self.controls.iter().all(|sent| sent.id != id),
            Packet::SubAck(_) | Packet::UnsubAck(_) => self.expects(packet),
            Packet::Publish(publish) => {
                publish.delivery.qos() != QoS::ExactlyOnce
                    && self.session.config().oversized != Oversized::Close
            }
            Packet::PingResp => true,
            _ => false,
        };
        assert!(!is_legal, "{error:?} for {packet:?}");
    }

    /// Whether the packet answers one that this connection has sent whole.
    fn expects(&self, packet: Packet<'_>) -> bool {
        let find = |sents: &[Sent], id: PacketId| {
            let sent = sents
                .iter()
                .find(|sent| sent.id == id && sent.is_complete_here);
            sent.map(|sent| sent.item)
        };
        match packet {
            Packet::PubAck(id) => find(&self.publishes, id).is_some(),
            Packet::SubAck(suback) => {
                find(&self.controls, suback.id()).is_some_and(|item| answers(&suback, &item))
            }
            Packet::UnsubAck(id) => find(&self.controls, id)
                .is_some_and(|item| matches!(item.kind, Kind::Unsubscribe { .. })),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Took {
    Nothing,
    Something,
}

fn answers(suback: &SubAck<SubAckCodes<'_>>, item: &Item) -> bool {
    matches!(item.kind, Kind::Subscribe { filters } if filters == suback.codes().len())
}

fn settle(sents: &mut Vec<Sent>, id: PacketId, handle: Item) {
    let at = sents
        .iter()
        .position(|sent| sent.id == id && sent.is_complete_here);
    let sent = sents.remove(at.expect("settles what was sent here"));
    assert_eq!(sent.item, handle);
}

impl Link {
    /// A transient session acknowledges what it discards, as long as it has a place.
    fn note_discarded(&mut self, id: PacketId) {
        let verdict = match self.received.len() < ACKS {
            true => Verdict::Acknowledge,
            // those handed out and not yet seen have none any more
            false => Verdict::AcknowledgeOrNot,
        };
        self.arrives_for_ack |= verdict == Verdict::Acknowledge;
        self.received.push_back(settled(id, verdict));
    }
}

fn judge_message(message: &Message<'_>, head: PublishHeader<'_>) {
    assert_eq!(message.topic, head.topic);
    assert_eq!(message.qos, head.delivery.qos());
    assert_eq!(message.dup, head.delivery.dup());
    assert_eq!(message.retain, head.retain);
    assert_eq!(message.payload_len, head.payload_len);
    assert_eq!(
        message.token.is_some(),
        matches!(head.delivery, Delivery::AtLeastOnce { .. })
    );
}

fn settled(id: PacketId, verdict: Verdict) -> Received {
    Received {
        id,
        token: None,
        verdict: Some(verdict),
    }
}

fn skip(left: u32) -> Arriving {
    match left {
        0 => Arriving::Packet,
        left => Arriving::Skip { left },
    }
}
