//! Reading: received bytes to the session, and what they bring to the streams.

use std::{
    io, mem,
    sync::Arc,
    task::{Context, Poll},
};

use mqtt_codec::session::{self, Input};
use mqtt_codec::wire::QoS;
use tokio::time::Instant;

use super::{Connection, End};
use crate::{
    driver::dispatch::{Action, Parked},
    events::Event,
    state::{Shared, State},
};

#[derive(Debug)]
pub(super) enum Reading {
    On,
    /// A message waits for room in a queue.
    Parked(Parked),
    /// A QoS 0 message waits for its consumer's turn.
    Yielded(Parked),
    /// A message waits for room to acknowledge.
    Blocked,
    /// Consumers stall, and reading went on all the same.
    Discarding,
}

/// Packets taken in under one lock.
const BATCH: usize = 64;

impl Connection<'_> {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        match &self.reading {
            Reading::On | Reading::Discarding => {
                match self.input.poll_fill(cx, &mut self.transport) {
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(Ok(0)) => return Err(End::Io(io::ErrorKind::UnexpectedEof.into())),
                    Poll::Ready(Ok(n)) => self.take_input(n)?,
                    Poll::Ready(Err(error)) => return Err(End::Io(error)),
                }
                Ok(Poll::Ready(()))
            }
            Reading::Parked(_) | Reading::Yielded(_) | Reading::Blocked => {
                let resumed = self.resume();
                self.emit();
                if !resumed {
                    return Ok(Poll::Pending);
                }
                self.take_input(0)?;
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Hands received bytes, `n` of them new, to the session, and what they bring to the streams.
    pub(super) fn take_input(&mut self, mut n: usize) -> Result<(), End> {
        let now = self.now();
        let shared = Arc::clone(&self.driver.shared);
        loop {
            let mut state = shared.lock();
            state.stats.bytes_received += mem::take(&mut n) as u64;
            let more = self.take_batch(&shared, &mut state, now);
            self.events.extend(state.take_unmatched());
            mem::swap(&mut state.deferred, &mut self.deferred);
            drop(state);
            self.deferred.run();
            self.emit();
            if !more? {
                return Ok(());
            }
        }
    }

    /// A part of [`take_input`](Self::take_input) under one lock; true if more may follow.
    fn take_batch(
        &mut self,
        shared: &Shared,
        state: &mut State,
        now: session::Instant,
    ) -> Result<bool, End> {
        for _ in 0..BATCH {
            let received = self.input.received();
            let (consumed, brought) = state
                .session
                .handle_input(now, received)
                .map_err(End::Session)?;
            if consumed == 0 && brought.is_none() {
                return Ok(false);
            }
            let action = match brought {
                None => Action::None,
                Some(Input::Payload { bytes, left }) => match self.assembly.take() {
                    Some(assembly) => assembly.push(state, shared, bytes, left),
                    None => Action::None,
                },
                Some(brought) => state.handle_input(shared, brought),
            };
            self.input.consume(consumed);
            match action {
                Action::None => {}
                Action::Assemble(assembly) => self.assembly = Some(assembly),
                Action::Emit(events) => self.events.extend(events),
                Action::Connected(session) => {
                    self.established = true;
                    self.driver.connected_at = Instant::now();
                    self.driver.backoff.handle_connected(now);
                    self.events.push(Event::Connected {
                        address: self.address.clone(),
                        session,
                    });
                }
                Action::Park(parked) if matches!(self.reading, Reading::Discarding) => {
                    state.drop_parked(shared, parked);
                }
                Action::Park(parked) if parked.qos() == QoS::AtMostOnce => {
                    self.reading = Reading::Yielded(parked);
                    return Ok(false);
                }
                Action::Park(parked) => {
                    state.session.handle_paused();
                    self.reading = Reading::Parked(parked);
                    return Ok(false);
                }
                Action::Block => {
                    state.session.handle_paused();
                    self.reading = Reading::Blocked;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Tries whether reading can go on.
    fn resume(&mut self) -> bool {
        let now = self.now();
        let shared = Arc::clone(&self.driver.shared);
        let mut state = shared.lock();
        match mem::replace(&mut self.reading, Reading::On) {
            Reading::Parked(parked) => {
                let parked = state.retry(&shared, parked);
                self.events.extend(state.take_unmatched());
                if let Some(parked) = parked {
                    self.reading = Reading::Parked(parked);
                    return false;
                }
            }
            Reading::Yielded(parked) => {
                // no room after the consumer's turn: the message is dropped, as are others till the next turn
                if let Some(parked) = state.retry(&shared, parked) {
                    state.drop_parked(&shared, parked);
                }
            }
            Reading::Blocked if state.session.is_ack_full() => {
                self.reading = Reading::Blocked;
                return false;
            }
            _ => {}
        }
        state.session.handle_resumed(now);
        mem::swap(&mut state.deferred, &mut self.deferred);
        drop(state);
        self.deferred.run();
        true
    }
}
