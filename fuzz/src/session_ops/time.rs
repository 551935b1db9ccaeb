use mqtt_codec::session::{Duration, Event};

use super::connection::{Phase, Reading, Verdict};
use super::world::{Delivered, Stage, World};

impl World {
    /// Time passes, and the caller acts on every deadline: it must come to rest without input or a transport.
    pub(super) fn pass(&mut self, duration: Duration, delivered: Delivered) {
        self.now = self.now + duration;
        for _ in 0..64 {
            if delivered == Delivered::Output {
                self.transmit(usize::MAX);
            }
            if self
                .session
                .poll_timeout(self.now)
                .is_none_or(|due| due > self.now)
            {
                return;
            }
            if self.session.handle_timeout(self.now).is_err() {
                return self.close();
            }
            self.note_event_of_time();
            self.note_cycle_of_time();
        }
        panic!("deadlines in the past again and again");
    }

    /// What was given up is asked for again, once nothing else is unacknowledged.
    fn note_cycle_of_time(&mut self) {
        let link = self.link.as_ref().expect("has deadlines");
        if link.phase != Phase::Connected || self.session.is_connected() {
            return;
        }
        assert!(self.stage == Stage::Persist && link.gave_up);
        let mut verdicts = link.received.iter().map(|received| received.verdict);
        assert!(verdicts.all(|verdict| verdict == Some(Verdict::GiveUp)));
        self.cycle();
    }

    fn note_event_of_time(&mut self) {
        match self.session.poll_event() {
            None => {}
            Some(Event::ReadOn) => {
                let link = self.link.as_mut().expect("reads");
                assert_eq!(link.reading, Reading::Paused);
                link.reading = Reading::Overrun;
            }
            other => panic!("{other:?} at a deadline"),
        }
    }
}
