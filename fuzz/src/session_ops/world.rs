use std::collections::VecDeque;

use mqtt_codec::session::{
    AckToken, Change, Config, Duration, EnqueueReason, Event, FixedStorage, Identity, Instant,
    Next, Session, Start,
};
use mqtt_codec::wire::{
    Binary, CleanSession, ClientId, Dup, Packet, PacketId, QoS, Retain, TopicName, Will,
};

use super::item::{Item, Kind};

const PUBLISHES: usize = 6;
const CONTROLS: usize = 3;
pub(super) const ACKS: usize = 3;

/// A session, its broker, and what is known about both.
pub(super) struct World {
    pub(super) session: Session<FixedStorage<Item, PUBLISHES, CONTROLS, ACKS>>,
    pub(super) now: Instant,
    /// Not settled, in the order of the calls.
    pub(super) publishes: Vec<Sent>,
    pub(super) controls: Vec<Sent>,
    /// What a store holds that heard of every change.
    stored: Vec<PacketId>,
    pub(super) link: Option<Link>,
    pub(super) stage: Stage,
    pub(super) ending: Ending,
    broker_has_session: bool,
    stale_token: Option<AckToken>,
    numbers: u32,
}

/// What is known about a packet that waits for its acknowledgement.
pub(super) struct Sent {
    pub(super) id: PacketId,
    pub(super) item: Item,
    /// Where it begins in the output of this connection.
    pub(super) start: Option<usize>,
    /// The DUP flag that it has on this connection.
    pub(super) dup: Dup,
    /// Handed out to its end on this connection.
    pub(super) is_complete_here: bool,
    /// A transport took a byte of it within the broker's present session.
    pub(super) is_touched: bool,
    /// Handed out to its end within the broker's present session, and not in vain.
    pub(super) is_complete: bool,
    attempts: u8,
}

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
    broker_id: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Connected,
    Disconnecting,
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Wipe,
    Persist,
    Transient,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Unplanned,
    Cycle,
    Stop,
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

/// What the transport does while time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Nothing,
    /// The caller's buffer takes everything, the transport nothing.
    Output,
}

impl Sent {
    /// Whether the broker may have the whole packet.
    fn may_have_arrived(&self) -> bool {
        self.is_complete && (self.is_touched || self.start.is_some())
    }
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        Self {
            stage: match config.start {
                Start::Resume => Stage::Persist,
                Start::CleanSlate => Stage::Wipe,
                Start::Transient => Stage::Transient,
                other => unreachable!("{other:?} is not picked"),
            },
            session: Session::new(config, FixedStorage::new()),
            now: Instant::from_micros(1),
            publishes: Vec::new(),
            controls: Vec::new(),
            stored: Vec::new(),
            link: None,
            ending: Ending::Unplanned,
            broker_has_session: false,
            stale_token: None,
            numbers: 0,
        }
    }

    pub(super) fn publish(&mut self, flags: u8, payload_len: u8) {
        let retain = if flags & 1 == 1 {
            Retain::Yes
        } else {
            Retain::No
        };
        self.enqueue(Kind::Publish {
            retain,
            payload_len: payload_len.into(),
        });
    }

    pub(super) fn subscribe(&mut self, filters: u8) {
        self.enqueue(Kind::Subscribe {
            filters: usize::from(filters % 4),
        });
    }

    pub(super) fn unsubscribe(&mut self, filters: u8) {
        self.enqueue(Kind::Unsubscribe {
            filters: usize::from(filters % 4),
        });
    }

    fn enqueue(&mut self, kind: Kind) {
        let item = self.item(kind);
        let was_full = self.session.is_full();
        match self.session.enqueue(item) {
            Ok(id) => self.note_accepted(id, item),
            Err(error) => {
                assert_eq!(error.handle, item);
                match error.reason {
                    EnqueueReason::NoFilter => assert!(item.filters().is_empty()),
                    EnqueueReason::Full => match kind {
                        Kind::Publish { .. } => assert!(was_full && !self.publishes.is_empty()),
                        _ => assert!(!self.controls.is_empty()),
                    },
                    other => panic!("{other:?} for a small packet"),
                }
            }
        }
        self.note_change();
    }

    fn item(&mut self, kind: Kind) -> Item {
        self.numbers += 1;
        Item {
            number: self.numbers,
            kind,
        }
    }

    fn note_accepted(&mut self, id: PacketId, item: Item) {
        let mut live = self.publishes.iter().chain(&self.controls);
        assert!(live.all(|sent| sent.id != id), "{id:?} is in use");
        let sent = Sent {
            id,
            item,
            start: None,
            dup: Dup::First,
            is_complete_here: false,
            is_touched: false,
            is_complete: false,
            attempts: 0,
        };
        match item.kind {
            Kind::Publish { .. } => self.publishes.push(sent),
            _ => self.controls.push(sent),
        }
    }

    pub(super) fn renew(&mut self, filters: Option<u8>) {
        if !self.session.wants_renewal() {
            return;
        }
        let Some(filters) = filters else {
            self.session.renew(None).expect("nothing to refuse");
            self.link.as_mut().expect("wants renewal").renews = false;
            return;
        };
        let item = self.item(Kind::Subscribe {
            filters: 1 + usize::from(filters % 3),
        });
        self.session.renew(Some(item)).expect("there is room");
        // Its id is known when it is seen on the wire. Until then it has one of its own, far from the first ids.
        let placeholder = 60_000 - (self.numbers % 30_000) as u16;
        self.note_accepted(PacketId::new(placeholder).expect("not 0"), item);
    }

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

    pub(super) fn broker_accepts(&mut self) {
        let present = u8::from(self.broker_has_session);
        if let Some(link) = &mut self.link {
            self.broker_has_session = link.clean_session == CleanSession::Persistent;
            link.inbound.extend([0x20, 2, present, 0]);
        }
    }

    pub(super) fn broker_refuses(&mut self, code: u8) {
        self.broker_sends(&[0x20, 2, 0, code]);
    }

    pub(super) fn broker_forgets(&mut self) {
        self.broker_has_session = false;
    }

    pub(super) fn broker_publishes(&mut self, flags: u8, payload_len: u8) {
        let Some(link) = &mut self.link else { return };
        let item = Item {
            number: flags.into(),
            kind: Kind::Publish {
                retain: Retain::No,
                payload_len: payload_len.into(),
            },
        };
        let qos = flags >> 1 & 1;
        let dup = if qos == 1 { flags & 0b1000 } else { 0 };
        let topic = item.topic();
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        if qos == 1 {
            link.broker_id = link.broker_id % 65_535 + 1;
            body.extend(link.broker_id.to_be_bytes());
        }
        body.extend(item.payload(0, payload_len.into()));
        link.inbound.push_back(0x30 | dup | qos << 1 | flags & 1);
        let mut rest = body.len();
        while rest > 0x7F {
            link.inbound.push_back((rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        link.inbound.push_back(rest as u8);
        link.inbound.extend(body);
    }

    /// Answers one of the packets that have reached the broker whole.
    pub(super) fn broker_acknowledges(&mut self, which: u8) {
        let Some(link) = &mut self.link else { return };
        let arrived: Vec<&Sent> = self
            .publishes
            .iter()
            .chain(&self.controls)
            .filter(|sent| sent.is_complete_here)
            .collect();
        let Some(sent) = arrived.get(usize::from(which) % arrived.len().max(1)) else {
            return;
        };
        let [high, low] = sent.id.get().to_be_bytes();
        match sent.item.kind {
            Kind::Publish { .. } => link.inbound.extend([0x40, 2, high, low]),
            Kind::Subscribe { filters } => {
                link.inbound.extend([0x90, 2 + filters as u8, high, low]);
                link.inbound.extend(vec![1; filters]);
            }
            Kind::Unsubscribe { .. } => link.inbound.extend([0xB0, 2, high, low]),
        }
    }

    pub(super) fn broker_sends(&mut self, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.inbound.extend(bytes);
        }
    }

    /// The transport is gone.
    pub(super) fn close(&mut self) {
        let Some(mut link) = self.link.take() else {
            assert_eq!(self.session.poll_timeout(self.now), None);
            return;
        };
        self.stale_token = link.received.pop_back().and_then(|received| received.token);
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

    pub(super) fn settle_message(&mut self, which: u8, verdict: Verdict) {
        if let Some(token) = self.stale_token {
            assert!(
                !self.session.acknowledge(token),
                "a token outlives its connection"
            );
        }
        let Some(link) = &mut self.link else { return };
        let count = link.received.len();
        let Some(received) = link.received.get_mut(usize::from(which) % count.max(1)) else {
            return;
        };
        let Some(token) = received.token else { return };
        let taken = match verdict {
            Verdict::Acknowledge | Verdict::AcknowledgeOrNot => self.session.acknowledge(token),
            Verdict::GiveUp => self.session.give_up(token),
        };
        assert_eq!(taken, received.verdict.is_none(), "a token is good once");
        // nobody would bring it again
        let verdict = match self.stage {
            Stage::Transient => Verdict::Acknowledge,
            Stage::Wipe | Stage::Persist => verdict,
        };
        let gave_up = taken && verdict == Verdict::GiveUp;
        link.gave_up |= gave_up;
        if gave_up && link.reading == Reading::Overrun {
            link.reading = Reading::Discarding;
        }
        received.verdict.get_or_insert(verdict);
    }

    pub(super) fn pause(&mut self) {
        if let Some(link) = &mut self.link {
            self.session.handle_paused();
            if link.reading == Reading::On {
                link.reading = Reading::Paused;
            }
        }
    }

    pub(super) fn resume(&mut self) {
        if let Some(link) = &mut self.link {
            self.session.handle_resumed(self.now);
            if link.reading == Reading::Paused {
                link.reading = Reading::On;
            }
        }
    }

    pub(super) fn drained(&mut self) {
        self.session.handle_drained();
        let Some(link) = &mut self.link else { return };
        match link.reading {
            Reading::Discarding if self.stage != Stage::Transient => self.cycle(),
            Reading::Overrun | Reading::Discarding => link.reading = Reading::On,
            Reading::On | Reading::Paused => {}
        }
    }

    pub(super) fn disconnect(&mut self) {
        self.session.disconnect();
        let Some(link) = &mut self.link else {
            assert!(self.session.wants_close());
            assert_eq!(self.session.handle_closed(), Next::Never);
            return;
        };
        self.ending = Ending::Stop;
        match link.phase {
            Phase::Connecting => {
                link.phase = Phase::Finished;
                link.leaves = true;
            }
            Phase::Connected => link.phase = Phase::Disconnecting,
            Phase::Disconnecting | Phase::Finished => {}
        }
    }

    pub(super) fn abandon(&mut self, which: u8) {
        let count = self.publishes.len();
        if count == 0 {
            return;
        }
        let sent = self.publishes.remove(usize::from(which) % count);
        assert_eq!(self.session.abandon(sent.id), Some(sent.item));
        if sent.start.is_some() && !sent.is_complete_here {
            self.note_current_abandoned();
        }
        if sent.may_have_arrived() {
            self.start_clean_once();
            self.cycle();
        }
        self.note_change();
        assert_eq!(self.session.abandon(sent.id), None);
        self.note_change();
    }

    /// The packet that is being handed out is given up.
    fn note_current_abandoned(&mut self) {
        let link = self.link.as_mut().expect("is being sent");
        link.has_begun = false;
        if link.output.len() > link.judged {
            link.phase = Phase::Finished;
            if self.ending != Ending::Stop {
                self.ending = Ending::Cycle;
            }
            assert!(self.session.wants_close());
        }
    }

    fn start_clean_once(&mut self) {
        if self.stage == Stage::Persist {
            self.stage = Stage::Wipe;
        }
    }

    pub(super) fn take_oldest(&mut self) {
        if self.link.is_some() {
            return;
        }
        let expected = (!self.publishes.is_empty()).then(|| self.publishes.remove(0));
        let taken = self.session.take_oldest();
        assert_eq!(taken, expected.map(|sent| (sent.id, sent.item)));
        self.note_change();
    }

    /// The process ends, another one restores what its store holds.
    pub(super) fn restart(&mut self) {
        let config = self.session.config().clone();
        let entries = self.publishes.iter().map(|sent| (sent.id, sent.item));
        let next = entries
            .clone()
            .next_back()
            .map_or(PacketId::MIN, |(id, _)| id);
        let mut restarted = Self::new(config);
        restarted
            .session
            .restore(entries, next)
            .expect("it fitted before");
        restarted.publishes = std::mem::take(&mut self.publishes);
        for sent in &mut restarted.publishes {
            sent.start = None;
            sent.is_complete_here = false;
            sent.is_touched = true;
            sent.is_complete = true;
            sent.attempts = 0;
        }
        restarted.stored = std::mem::take(&mut self.stored);
        restarted.numbers = self.numbers;
        restarted.now = self.now;
        restarted.broker_has_session = self.broker_has_session;
        *self = restarted;
    }

    pub(super) fn cycle(&mut self) {
        if let Some(link) = self
            .link
            .as_mut()
            .filter(|link| link.phase == Phase::Connected)
        {
            link.phase = Phase::Disconnecting;
            if self.ending != Ending::Stop {
                self.ending = Ending::Cycle;
            }
        }
    }

    /// What a store hears after a call.
    pub(super) fn note_change(&mut self) {
        match self.session.take_change() {
            None | Some(Change::Reset) => {}
            Some(Change::Accepted(id)) => self.stored.push(id),
            Some(Change::Removed(id)) => {
                let at = self.stored.iter().position(|&stored| stored == id);
                self.stored.remove(at.expect("removes what was accepted"));
            }
        }
        assert!(
            self.publishes
                .iter()
                .map(|sent| sent.id)
                .eq(self.stored.iter().copied())
        );
    }

    /// What holds between any two calls.
    pub(super) fn judge(&mut self) {
        for sent in &self.publishes {
            assert_eq!(self.session.handle(sent.id), Some(&sent.item));
        }
        let sent_here = |sents: &[Sent]| sents.iter().filter(|sent| sent.start.is_some()).count();
        let in_flight = sent_here(&self.publishes);
        assert_eq!(usize::from(self.session.in_flight()), in_flight);
        assert!(usize::from(self.session.waiting()) >= self.publishes.len() - in_flight);
        assert_eq!(
            self.session.is_idle(),
            self.publishes.is_empty() && self.controls.is_empty()
        );
        let phase = self.link.as_ref().map(|link| link.phase);
        assert_eq!(self.session.is_connected(), phase == Some(Phase::Connected));
        if self.session.wants_close() {
            assert_eq!(phase, Some(Phase::Finished));
            self.close();
        }
    }

    /// Everything that is under way arrives, and the broker answers what it has.
    pub(super) fn exchange(&mut self) {
        if self
            .link
            .as_ref()
            .is_some_and(|link| link.phase == Phase::Connecting)
        {
            self.broker_accepts();
        }
        for which in 0..ACKS as u8 {
            self.settle_message(which, Verdict::Acknowledge);
        }
        self.renew(None);
        self.transmit(usize::MAX);
        self.write(usize::MAX);
        for which in 0..(PUBLISHES + CONTROLS) as u8 {
            self.broker_acknowledges(which);
        }
        self.deliver(usize::MAX);
    }

    /// With a broker and a network that work, everything accepted is acknowledged.
    pub(super) fn settle(&mut self) {
        self.close();
        for _ in 0..64 {
            if self.session.is_idle() {
                return;
            }
            self.open();
            self.exchange();
            self.judge();
        }
        panic!("never done: {} messages wait", self.publishes.len());
    }
}
