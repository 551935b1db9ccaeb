//! What the clock brings: time limits, events, the end of the client.

use std::{io, mem, sync::Arc};

use mqtt_codec::session::{self, Error, Timeout};
use tokio::time::Instant;
use tracing::warn;

use super::{Connection, End, LAST_WORDS, read::Reading};
use crate::{
    driver::upload::Upload,
    error::PublishError,
    events::Event,
    state::{FullQueues, State},
};

/// What the clock says.
pub(super) enum Clock {
    /// Something was due, and done.
    Acted,
    /// When something will be, unless something moves before.
    Next(Option<Instant>),
}

impl Connection<'_> {
    /// Does what is due, or tells when something will be.
    pub(super) fn check_clock(&mut self) -> Result<Clock, End> {
        let clock = Instant::now();
        let now = self.driver.at(clock);
        let shared = Arc::clone(&self.driver.shared);
        // not under the lock, as every code of others
        let stalled;
        let mut state = shared.lock();
        if !self.established && clock >= self.deadline {
            return Err(End::Session(Error::Timeout(Timeout::ConnAck)));
        }
        if let Some(until) = state.stop_at() {
            let is_drained =
                state.outbox_messages == 0 && state.output.is_empty() && self.writing.is_empty();
            match self.stop_by {
                Some(limit) if limit <= clock => return Err(End::Stopped),
                None if is_drained || until <= clock => {
                    self.stop_by = Some(clock + LAST_WORDS);
                    state.session.disconnect();
                    return Ok(Clock::Acted);
                }
                _ => {}
            }
        }
        if matches!(self.reading, Reading::Discarding) && state.are_queues_drained() {
            self.reading = Reading::On;
            state.session.handle_drained();
            return Ok(Clock::Acted);
        }
        let due = state.session.poll_timeout(now);
        if due.is_some_and(|due| due <= now) {
            stalled = match state.session.handle_timeout(now) {
                Ok(()) => None,
                Err(error) => Some(self.handle_timeout(&mut state, error)?),
            };
            let reads_on = self.handle_events(&mut state, now);
            self.shrink(&mut state);
            mem::swap(&mut state.deferred, &mut self.deferred);
            drop(state);
            self.deferred.run();
            if stalled.is_some() {
                warn!("a payload's source has stalled");
            }
            self.emit();
            if reads_on {
                self.take_input(0)?;
            }
            return Ok(Clock::Acted);
        }
        state.full_queues = FullQueues::Yield;
        let due = due.map(|due| clock + (due - now).into());
        let connack = Some(self.deadline).filter(|_| !self.established);
        let stop = self.stop_by.or(state.stop_at());
        Ok(Clock::Next(
            [due, connack, stop].into_iter().flatten().min(),
        ))
    }

    /// The connection is over, unless it is a payload's source that has nothing to write: then only its message is.
    fn handle_timeout(&mut self, state: &mut State, error: Error) -> Result<Upload, End> {
        let starves = self.writing.is_empty() && state.output.is_empty();
        let may_stall = starves && error == Error::Timeout(Timeout::Write);
        let Some(upload) = self.upload.take_if(|_| may_stall) else {
            return Err(End::Session(error));
        };
        let stalled = io::Error::new(io::ErrorKind::TimedOut, "no byte within the write time-out");
        state.fail_upload(upload.id, PublishError::Source(Arc::new(stalled)));
        // nothing is to be written any more: the time of what comes next begins with it
        state.session.poll_timeout(self.now());
        Ok(upload)
    }

    /// Frees what an idle connection does not need. Timers are due when nothing has moved for a while.
    fn shrink(&mut self, state: &mut State) {
        self.input.shrink();
        self.writing.shrink();
        state.shrink();
    }

    /// True if reading goes on.
    fn handle_events(&mut self, state: &mut State, now: session::Instant) -> bool {
        let mut reads_on = false;
        while let Some(event) = state.session.poll_event() {
            if !matches!(event, session::Event::ReadOn) {
                self.events.extend(state.describe(event));
                continue;
            }
            if let Reading::Parked(parked) = mem::replace(&mut self.reading, Reading::Discarding) {
                state.drop_parked(&self.driver.shared, parked);
            }
            state.session.handle_resumed(now);
            self.events.push(Event::Stalled);
            reads_on = true;
        }
        reads_on
    }
}
