use mqtt_codec::session::{AckToken, Change, Config, FixedStorage, Instant, Session, Start};
use mqtt_codec::wire::{Dup, PacketId};

use super::connection::{Link, Phase, Verdict};
use super::item::Item;

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
    pub(super) stored: Vec<PacketId>,
    pub(super) link: Option<Link>,
    pub(super) stage: Stage,
    pub(super) ending: Ending,
    pub(super) broker_has_session: bool,
    pub(super) stale_token: Option<AckToken>,
    pub(super) numbers: u32,
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
    pub(super) attempts: u8,
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

/// What the transport does while time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Nothing,
    /// The caller's buffer takes everything, the transport nothing.
    Output,
}

impl Sent {
    /// Whether the broker may have the whole packet.
    pub(super) fn may_have_arrived(&self) -> bool {
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
