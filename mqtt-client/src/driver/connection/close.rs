//! The end of a connection, and what it leaves behind.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mqtt_codec::session::{Error, Next, Timeout};
use tokio::io::AsyncWrite;
use tracing::debug;

use super::{Connection, End, Ended, Outcome, ROUNDS, give_turn, read::Reading};
use crate::{
    error::{ConnectError, ConnectFailure, ConnectPhase},
    events::DisconnectReason,
    state::{Foreign, State},
};

impl Connection<'_> {
    /// Lets the peer have the last bytes: a stream closed with unread input, or unflushed, may lose them.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.needs_shutdown {
            if ready!(Pin::new(&mut self.transport).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            self.needs_shutdown = false;
        }
        for _ in 0..ROUNDS {
            self.input.clear();
            match ready!(self.input.poll_fill(cx, &mut self.transport)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        give_turn(cx);
        Poll::Pending
    }

    /// Settles what the connection leaves behind.
    pub(super) fn close(&mut self, end: End) -> Ended {
        let now = self.now();
        let shared = Arc::clone(&self.driver.shared);
        let mut state = shared.lock();
        self.tell_written(&mut state, now);
        self.lose_output(&mut state);
        if let Reading::Parked(parked) | Reading::Yielded(parked) =
            mem::replace(&mut self.reading, Reading::On)
        {
            state.lose_parked(&shared, parked);
        }
        let is_terminal = matches!(&end, End::Session(error) if error.is_terminal());
        state.session.count_attempt();
        let next = state.session.handle_closed();
        state.untold = 0;
        state.restart_flushes();
        while let Some(event) = state.session.poll_event() {
            self.events.extend(state.describe(event));
        }
        if self.established {
            state.stats.disconnections += 1;
        }
        mem::swap(&mut state.deferred, &mut self.deferred);
        drop(state);
        self.deferred.run();
        self.emit();
        debug!(?next, is_terminal, "connection ended");
        let outcome = match (self.established, end) {
            (false, End::Finished) => Outcome::Wiped,
            (false, end) => Outcome::Failed(self.connect_error(end)),
            (true, End::Session(error)) => Outcome::Disconnected(DisconnectReason::Session(error)),
            (true, End::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Outcome::Disconnected(DisconnectReason::ClosedByBroker)
            }
            (true, End::Io(error)) => Outcome::Disconnected(DisconnectReason::Io(Arc::new(error))),
            (true, End::Finished) if next == Next::Now => {
                Outcome::Disconnected(DisconnectReason::Cycled)
            }
            (true, End::Finished | End::Stopped) => {
                Outcome::Disconnected(DisconnectReason::Requested)
            }
        };
        Ended { outcome, next }
    }

    fn lose_output(&mut self, state: &mut State) {
        for output in [mem::take(&mut self.writing), mem::take(&mut state.output)] {
            let lost = output.unwritten_qos0();
            state.lost_qos0 += lost;
            state.stats.lost_with_connection += lost;
            state.deferred.end(Foreign::Output(output));
        }
    }

    fn connect_error(&self, end: End) -> ConnectError {
        let settings = &self.driver.settings;
        let failure = match end {
            End::Io(error) => return ConnectError::before_connack(settings, &self.address, error),
            End::Session(Error::Refused(refusal)) => ConnectFailure::Refused(refusal),
            End::Session(Error::Protocol(violation)) => ConnectFailure::Protocol(violation),
            End::Session(Error::Timeout(Timeout::Write))
            | End::Session(_)
            | End::Finished
            | End::Stopped => ConnectFailure::TimedOut {
                during: ConnectPhase::ConnAck,
            },
        };
        ConnectError::new(settings, &self.address, failure)
    }
}

impl Drop for Connection<'_> {
    /// The runtime may drop the client's task at any time.
    fn drop(&mut self) {
        let shared = Arc::clone(&self.driver.shared);
        self.lose_output(&mut shared.lock());
    }
}
