//! One connection: what is known about it, its beginning and its end.

use std::collections::VecDeque;

use mqtt_codec::session::{AckToken, Duration, Event, Identity, Instant, Next};
use mqtt_codec::wire::{
    Binary, CleanSession, ClientId, Packet, PacketId, QoS, Retain, TopicName, Will,
};

use super::world::{Ending, Sent, Stage, World};

/// An open connection.
pub(super) struct Link {
    pub(super) clean_session: CleanSession,
    /// What its CONNECT asked for.
    pub(super) asked: Stage,
    pub(super) phase: Phase,
    /// DISCONNECT is due, and nothing but what has begun goes before it.
    pub(super) leaves: bool,
    pub(super) renews: bool,
    /// Everything handed out, of which `judged` bytes are whole packets seen and `written` bytes are taken by the
    /// transport.
    pub(super) output: Vec<u8>,
    pub(super) judged: usize,
    pub(super) written: usize,
    /// Whether what follows `judged` is noted as begun.
    pub(super) has_begun: bool,
    /// The rest of a QoS 0 PUBLISH.
    pub(super) at_most_once: Vec<u8>,
    pub(super) opened: Instant,
    /// The shortest time in which this many PINGREQs may leave.
    pub(super) pings: Duration,
    /// Sent by the broker and not arrived.
    pub(super) inbound: VecDeque<u8>,
    pub(super) buffer: Vec<u8>,
    pub(super) arriving: Arriving,
    /// Whether what is arriving is the last of `received`.
    pub(super) arrives_for_ack: bool,
    pub(super) reading: Reading,
    /// QoS 1 messages in order of receipt.
    pub(super) received: VecDeque<Received>,
    /// One of them was given up.
    pub(super) gave_up: bool,
    pub(super) broker_id: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Connected,
    Disconnecting,
    Finished,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arriving {
    Packet,
    Payload {
        left: u32,
    },
    Skip {
        left: u32,
    },
    /// The packet id stands after `before` more bytes.
    SkipToId {
        before: u32,
        id: Vec<u8>,
        left: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    On,
    Paused,
    /// It reads on although consumers stall.
    Overrun,
    /// It has discarded messages because of that.
    Discarding,
}

pub(super) struct Received {
    pub(super) id: PacketId,
    pub(super) token: Option<AckToken>,
    pub(super) verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Acknowledge,
    /// As the engine may have had a place for it, or none.
    AcknowledgeOrNot,
    GiveUp,
}

impl World {
    pub(super) fn open(&mut self) {
        if self.link.is_some() {
            return;
        }
        let will = Will {
            topic: TopicName::new("will").expect("is valid"),
            payload: Binary::new(b"gone").expect("is short"),
            qos: QoS::AtLeastOnce,
            retain: Retain::No,
        };
        let identity = Identity {
            client_id: ClientId::new("fuzz").expect("is valid"),
            login: None,
            will: Some(will),
        };
        let mut out = [0; 128];
        let len = self
            .session
            .open(self.now, &identity, &mut out)
            .expect("fits");
        let Ok(Some((Packet::Connect(connect), decoded))) = Packet::decode(&out[..len]) else {
            panic!("CONNECT is {:02x?}", &out[..len]);
        };
        assert_eq!(decoded, len);
        let clean_session = match self.stage {
            Stage::Persist => CleanSession::Persistent,
            Stage::Wipe | Stage::Transient => CleanSession::Clean,
        };
        assert_eq!(connect.clean_session(), clean_session);
        assert_eq!(connect.will.is_some(), self.stage != Stage::Wipe);
        if clean_session == CleanSession::Clean {
            self.broker_has_session = false;
        }
        self.link = Some(Link {
            clean_session,
            asked: self.stage,
            phase: Phase::Connecting,
            leaves: false,
            renews: false,
            output: out[..len].to_vec(),
            judged: len,
            written: 0,
            has_begun: false,
            at_most_once: Vec::new(),
            opened: self.now,
            pings: Duration::ZERO,
            inbound: VecDeque::new(),
            buffer: Vec::new(),
            arriving: Arriving::Packet,
            arrives_for_ack: false,
            reading: Reading::On,
            received: VecDeque::new(),
            gave_up: false,
            broker_id: 0,
        });
    }

    /// The transport is gone.
    pub(super) fn close(&mut self) {
        let Some(mut link) = self.link.take() else {
            assert_eq!(self.session.poll_timeout(self.now), None);
            return;
        };
        self.stale_token = link.received.pop_back().and_then(|received| received.token);
        self.session.count_attempt();
        let next = self.session.handle_closed();
        assert_eq!(
            next,
            match self.ending {
                Ending::Unplanned => Next::AfterBackoff,
                Ending::Cycle => Next::Now,
                Ending::Stop => Next::Never,
            }
        );
        let was_established = matches!(link.phase, Phase::Connected | Phase::Disconnecting);
        let is_unplanned = self.ending == Ending::Unplanned;
        self.ending = Ending::Unplanned;
        self.note_event_of_closing(was_established && is_unplanned, link.written);
        self.note_change();
        for sent in self.publishes.iter_mut().chain(&mut self.controls) {
            sent.start = None;
            sent.is_complete_here = false;
        }
        assert!(!self.session.is_connected());
    }

    fn note_event_of_closing(&mut self, counts: bool, written: usize) {
        let event = self.session.poll_event();
        let oldest = self.publishes.first_mut();
        let reached = |sent: &&mut Sent| sent.start.is_some_and(|start| start < written);
        let Some(oldest) = oldest.filter(reached).filter(|_| counts) else {
            assert!(event.is_none(), "{event:?}");
            return;
        };
        oldest.attempts = oldest.attempts.saturating_add(1);
        let limit = self.session.config().max_attempts;
        match event {
            Some(Event::Undeliverable {
                id,
                attempts,
                handle,
            }) => {
                assert_eq!(
                    (id, attempts, handle),
                    (oldest.id, oldest.attempts, oldest.item)
                );
                assert!(limit.is_some_and(|limit| attempts >= limit.get()));
                if self.publishes.remove(0).may_have_arrived() {
                    self.start_clean_once();
                }
            }
            Some(Event::Suspect { id, attempts }) => {
                assert_eq!((id, attempts), (oldest.id, oldest.attempts));
                assert!(limit.is_none_or(|limit| attempts < limit.get()));
            }
            other => panic!("{other:?} instead of a suspect"),
        }
    }
}
