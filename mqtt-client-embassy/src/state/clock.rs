//! What the time brings.

use embassy_time::{Duration, Instant};
use mqtt_codec::session::{self, Error, Event, Timeout};

use super::{State, Stop};

/// What was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// What the application need not know.
    Nothing,
    Stalled,
    /// DISCONNECT does not get out: the connection is to be closed without.
    Stopped,
}

/// Time for DISCONNECT to be written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

impl State<'_> {
    /// When [`handle_due`](Self::handle_due) is to be called, unless something happens before.
    pub(crate) fn next_due(&mut self, clock: Instant) -> Instant {
        let due = self.session.poll_timeout(at(clock));
        let due = due.map_or(Instant::MAX, |due| Instant::from_micros(due.as_micros()));
        due.min(self.stop_due())
    }

    /// When the client has to go on with its end.
    pub(crate) fn stop_due(&self) -> Instant {
        match self.stop {
            Stop::No => Instant::MAX,
            Stop::Draining(_) if self.is_drained() => Instant::MIN,
            Stop::Draining(until) | Stop::Leaving(until) => until,
        }
    }

    pub(crate) fn handle_due(&mut self, clock: Instant) -> Result<Due, Error> {
        if self.stop_due() <= clock {
            if let Stop::Leaving(_) = self.stop {
                return Ok(Due::Stopped);
            }
            self.stop = Stop::Leaving(clock.saturating_add(LAST_WORDS));
            self.session.disconnect();
        }
        let now = at(clock);
        if self.session.poll_timeout(now).is_none_or(|due| due > now) {
            return Ok(Due::Nothing);
        }
        match self.session.handle_timeout(now) {
            Err(Error::Timeout(Timeout::Write)) if self.fail_supply() => {}
            result => result?,
        }
        Ok(match self.session.poll_event() {
            Some(Event::ReadOn) => {
                self.read_on();
                Due::Stalled
            }
            _ => Due::Nothing,
        })
    }
}

pub(super) fn at(clock: Instant) -> session::Instant {
    session::Instant::from_micros(clock.as_micros())
}
