//! What the application asks of the session.

use mqtt_codec::session::{EnqueueReason, Next};
use mqtt_codec::wire::{Dup, PacketId, Retain};

use super::connection::{Phase, Reading, Verdict};
use super::item::{Item, Kind};
use super::world::{Ending, Sent, Stage, World};

impl World {
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

    pub(super) fn start_clean_once(&mut self) {
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
}
