use mqtt_codec::session::Duration;
use mqtt_codec::wire::{Delivery, Dup, Packet, PacketId, Publish, Retain, TopicName};

use super::connection::{Arriving, Phase, Verdict};
use super::item::Kind;
use super::world::{Sent, World};

const AT_MOST_ONCE_TOPIC: &str = "once/at/most";

impl World {
    pub(super) fn publish_at_most_once(&mut self, payload_len: u8) {
        let topic = TopicName::new(AT_MOST_ONCE_TOPIC).expect("is valid");
        let mut out = [0; 64];
        let accepts = self.session.accepts_at_most_once();
        let begun = self
            .session
            .publish_at_most_once(topic, Retain::No, payload_len.into(), &mut out)
            .expect("fits");
        assert_eq!(begun.is_some(), accepts);
        let Some(len) = begun else { return };
        let link = self.link.as_mut().expect("accepts");
        assert!(link.phase == Phase::Connected && !link.renews && !link.has_begun);
        link.at_most_once = out[..len].to_vec();
        link.at_most_once
            .resize(len + usize::from(payload_len), payload_len);
        link.has_begun = true;
    }

    /// Hands out at most `budget` bytes, to the caller's buffer.
    pub(super) fn transmit(&mut self, mut budget: usize) {
        while budget > 0 && self.link.is_some() {
            let next = self.next_output();
            if next.is_empty() {
                return;
            }
            let taken = &next[..next.len().min(budget)];
            budget -= taken.len();
            let link = self.link.as_mut().expect("has output");
            link.output.extend(taken);
            link.at_most_once
                .drain(..taken.len().min(link.at_most_once.len()));
            self.session.advance(taken.len());
            self.judge_output();
        }
    }

    /// The transport takes at most `len` bytes from the caller's buffer.
    pub(super) fn write(&mut self, len: usize) {
        let Some(link) = &mut self.link else { return };
        let len = len.min(link.output.len() - link.written);
        self.session.handle_written(self.now, len);
        link.written += len;
        for sent in &mut self.publishes {
            sent.is_touched |= sent.start.is_some_and(|start| start < link.written);
        }
    }

    /// The bytes that may be handed out now.
    fn next_output(&mut self) -> Vec<u8> {
        let link = self.link.as_mut().expect("is open");
        if !link.at_most_once.is_empty() {
            assert!(
                self.session.poll_transmit().is_none(),
                "breaks into a PUBLISH"
            );
            return link.at_most_once.clone();
        }
        let Some(transmit) = self.session.poll_transmit() else {
            return Vec::new();
        };
        let mut bytes = transmit.bytes.concat();
        if let Some(range) = transmit.payload {
            bytes.extend(range.handle.payload(range.offset, range.len));
        }
        assert!(!bytes.is_empty(), "something to send without bytes");
        let begins = transmit.begins;
        if !link.has_begun {
            link.has_begun = true;
            let begun = begin(
                &mut self.publishes,
                &mut self.controls,
                bytes[0],
                link.judged,
            );
            assert_eq!(begins, begun);
            assert!(
                begins.is_none() || !link.renews,
                "publishes before the renewal"
            );
            if bytes[0] == 0xE0 {
                assert!(link.phase == Phase::Disconnecting || link.leaves);
                link.phase = Phase::Finished;
                link.leaves = false;
            } else {
                assert!(matches!(
                    link.phase,
                    Phase::Connected | Phase::Disconnecting
                ));
            }
        }
        let again = self.session.poll_transmit().expect("gives the same again");
        assert!(bytes.starts_with(&again.bytes.concat()));
        bytes
    }

    fn judge_output(&mut self) {
        loop {
            let link = self.link.as_mut().expect("is open");
            let unjudged = link.output[link.judged..].to_vec();
            let Some((packet, len)) = Packet::decode(&unjudged).expect("sends valid packets")
            else {
                return;
            };
            let start = link.judged;
            link.judged += len;
            link.has_begun = false;
            self.judge_packet(packet, start);
        }
    }

    fn judge_packet(&mut self, packet: Packet<'_>, start: usize) {
        match packet {
            Packet::Publish(publish) => self.judge_publish(publish, start),
            Packet::Subscribe(subscribe) => {
                let sent = begun(&mut self.controls, start);
                assert!(matches!(sent.item.kind, Kind::Subscribe { .. }));
                let filters = subscribe
                    .filters()
                    .map(|(filter, qos)| (filter.as_str(), qos));
                assert!(filters.eq(sent.item.filters()));
                complete(sent, subscribe.id());
            }
            Packet::Unsubscribe(unsubscribe) => {
                let sent = begun(&mut self.controls, start);
                assert!(matches!(sent.item.kind, Kind::Unsubscribe { .. }));
                let filters = sent.item.filters().into_iter().map(|(filter, _)| filter);
                assert!(
                    unsubscribe
                        .filters()
                        .map(|filter| filter.as_str())
                        .eq(filters)
                );
                complete(sent, unsubscribe.id());
            }
            Packet::PubAck(id) => self.judge_puback(id),
            Packet::PingReq => self.judge_ping(),
            Packet::Disconnect => {
                let link = self.link.as_ref().expect("is open");
                assert_eq!(link.phase, Phase::Finished);
                assert_eq!(link.output.len(), link.judged, "sends after DISCONNECT");
            }
            other => panic!("a client sends {other:?}"),
        }
        let ids = || {
            self.publishes
                .iter()
                .chain(&self.controls)
                .filter(|sent| sent.is_complete_here)
        };
        for (at, sent) in ids().enumerate() {
            assert!(
                ids().skip(at + 1).all(|other| other.id != sent.id),
                "an id in flight twice"
            );
        }
    }

    fn judge_publish(&mut self, publish: Publish<'_>, start: usize) {
        let Delivery::AtLeastOnce { id, dup } = publish.delivery else {
            assert_eq!(publish.delivery, Delivery::AtMostOnce);
            assert_eq!(publish.topic.as_str(), AT_MOST_ONCE_TOPIC);
            let len = publish.payload.len();
            assert!(publish.payload.iter().all(|&byte| usize::from(byte) == len));
            return;
        };
        let sent = begun(&mut self.publishes, start);
        let Kind::Publish {
            retain,
            payload_len,
        } = sent.item.kind
        else {
            panic!("no PUBLISH");
        };
        assert_eq!((id, publish.retain), (sent.id, retain));
        assert_eq!(publish.topic.as_str(), sent.item.topic());
        assert_eq!(publish.payload, sent.item.payload(0, payload_len));
        assert_eq!(dup, sent.dup);
        complete(sent, id);
    }

    /// PUBACKs leave in order of receipt, for messages that were processed.
    fn judge_puback(&mut self, id: PacketId) {
        let link = self.link.as_mut().expect("is open");
        loop {
            let received = link
                .received
                .pop_front()
                .expect("acknowledges what was received");
            match received.verdict {
                Some(Verdict::GiveUp) => {}
                Some(Verdict::AcknowledgeOrNot) if received.id != id => {}
                Some(_) => {
                    assert_eq!(received.id, id);
                    break;
                }
                None => panic!("acknowledges what was not processed"),
            }
        }
        if link.received.is_empty() && link.arrives_for_ack {
            assert_eq!(
                link.arriving,
                Arriving::Packet,
                "acknowledges half a message"
            );
        }
    }

    fn judge_ping(&mut self) {
        let keep_alive = self
            .session
            .config()
            .keep_alive
            .expect("pings without keep alive");
        let link = self.link.as_mut().expect("is open");
        let interval = Duration::from_millis(u32::from(keep_alive.get()) * 750);
        link.pings = Duration::from_micros(link.pings.as_micros() + interval.as_micros());
        assert!(link.pings <= self.now - link.opened, "pings too often");
    }
}

/// Notes what begins at `start` of the output, and tells the DUP that a PUBLISH must have.
fn begin(publishes: &mut [Sent], controls: &mut [Sent], first: u8, start: usize) -> Option<Dup> {
    let sent = match first >> 4 {
        3 => publishes,
        8 | 10 => controls,
        _ => return None,
    };
    let is_publish = first >> 4 == 3;
    let next = sent.iter_mut().find(|sent| sent.start.is_none());
    let sent = next.expect("sends what was accepted");
    sent.start = Some(start);
    sent.is_complete &= sent.is_touched;
    sent.dup = if sent.is_touched {
        Dup::Repeat
    } else {
        Dup::First
    };
    is_publish.then_some(sent.dup)
}

fn begun(sents: &mut [Sent], start: usize) -> &mut Sent {
    let sent = sents.iter_mut().find(|sent| sent.start == Some(start));
    sent.expect("began here")
}

fn complete(sent: &mut Sent, id: PacketId) {
    sent.id = id;
    sent.is_complete_here = true;
    sent.is_complete = true;
}
