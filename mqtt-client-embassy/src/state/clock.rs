//! What the time brings.

use embassy_time::{Duration, Instant};
use mqtt_codec::session::{self, Error, Event, TimeLimit, Timeout};

use super::{State, Stop};

/// What was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// What the application need not know.
    Nothing,
    Stalled,
}

/// Time for the rest of a packet under way, and DISCONNECT, to be written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

impl State<'_> {
    /// When [`handle_due`](Self::handle_due) is to be called, unless something happens before.
    pub(crate) fn next_due(&mut self, clock: Instant) -> Instant {
        let due = self.session.poll_timeout(at(clock));
        due.map_or(Instant::MAX, not_before)
    }

    /// Has the client drain until then and end. A program that never calls this does not contain what that needs.
    pub(crate) fn drain(&mut self, until: Instant) {
        self.stop = Stop::Draining;
        self.leaves_until = until;
        self.leave = Some(Self::leave);
    }

    /// Begins with the last words if it is time. When the runner is to look again, which is `due` at the latest; `None`
    /// if the client has to end now.
    pub(crate) fn leave_if_due(&mut self, now: Instant, due: Instant) -> Option<Instant> {
        match self.leave {
            Some(leave) => leave(self, now, due),
            None => Some(due),
        }
    }

    fn leave(&mut self, now: Instant, due: Instant) -> Option<Instant> {
        let is_due = self.leaves_until <= now || self.is_drained();
        if self.stop == Stop::Draining && is_due {
            self.session.disconnect();
            // without a connection there is nobody to hear them
            self.leaves_until = match self.session.wants_close() {
                true => now,
                false => now.saturating_add(LAST_WORDS),
            };
            self.stop = Stop::Leaving;
            // the runner is to look, which may only be on its way to wait
            self.changed = true;
        }
        (self.leaves_until > now).then(|| self.leaves_until.min(due))
    }

    fn gives_up_late(&mut self) -> bool {
        self.supplying
            .is_some_and(|supplying| (supplying.give_up_late)(self))
    }

    pub(crate) fn handle_due(&mut self, clock: Instant) -> Result<Due, Error> {
        match self.session.handle_timeout(at(clock)) {
            Err(Error::Timeout(Timeout::Write)) if self.gives_up_late() => {}
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

/// The first tick that is not before: one before would be in vain, and the next, until it has passed.
fn not_before(at: session::Instant) -> Instant {
    let since_zero = Duration::from_micros(at.as_micros());
    Instant::from_ticks(since_zero.as_ticks())
}

pub(crate) fn span(limit: TimeLimit) -> Duration {
    Duration::from_micros(limit.duration().as_micros())
}

pub(super) fn at(clock: Instant) -> session::Instant {
    session::Instant::from_micros(clock.as_micros())
}
