//! What the time brings.

use embassy_time::{Duration, Instant};
use mqtt_codec::session::{self, Error, Event, Timeout};

use super::{Asked, State, Stop};

/// What was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// What the application need not know.
    Nothing,
    Stalled,
    /// DISCONNECT does not get out: the connection is to be closed without.
    Stopped,
}

/// Time for the rest of a packet under way, and DISCONNECT, to be written.
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

    /// Begins with the last words if it is time; when the client has to go on with its end after that.
    #[inline(never)]
    pub(crate) fn leave_if_due(&mut self, clock: Instant) -> Instant {
        if matches!(self.stop, Stop::Draining(_)) && self.stop_due() <= clock {
            self.session.disconnect();
            // without a connection there is nobody to hear them
            let limit = match self.session.wants_close() {
                true => clock,
                false => clock.saturating_add(LAST_WORDS),
            };
            self.stop = Stop::Leaving(limit);
        }
        self.stop_due()
    }

    pub(crate) fn handle_due(&mut self, clock: Instant) -> Result<Due, Error> {
        if self.leave_if_due(clock) <= clock {
            return Ok(Due::Stopped);
        }
        let now = at(clock);
        if self.session.poll_timeout(now).is_none_or(|due| due > now) {
            return Ok(Due::Nothing);
        }
        match self.session.handle_timeout(now) {
            Err(Error::Timeout(Timeout::Write)) if self.ask_publishers(Asked::Late) => {}
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
