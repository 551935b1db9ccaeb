use std::{
    future::Future,
    io::{self, IoSlice},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use mqtt_codec::session::{self, Error, Identity, Input as SessionInput, Next, OpenError, Timeout};
use mqtt_codec::wire::{EncodeError, PacketId, QoS};
use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep_until},
};
use tracing::{debug, info, warn};

use super::{
    Driver,
    dispatch::{Action, Assembly, Parked},
    input::Input,
    upload::Upload,
};
use crate::{
    error::{ConnectError, ConnectFailure, ConnectPhase, PublishError},
    events::{ConnectionState, DisconnectReason, Event},
    options::{Address, Credentials, Will},
    source::SharedSource,
    state::{Deferred, Foreign, FullQueues, Output, SLICES, Shared, State},
    transport::Transport,
};

/// A transport that is open, and what CONNECT is to say.
pub(super) struct ConnectionSeed {
    pub(super) transport: Transport,
    pub(super) credentials: Option<Credentials>,
    pub(super) address: Address,
    pub(super) deadline: Instant,
}

/// How a connection ended, and what comes next.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) next: Next,
}

pub(super) enum Outcome {
    /// Before CONNACK.
    Failed(ConnectError),
    /// The session was started clean; the connection that counts comes next.
    Wiped,
    Disconnected(DisconnectReason),
}

/// One connection, from CONNECT to its end. Each poll takes input, transmits and looks at the timers, until nothing
/// moves any more.
pub(super) struct Connection<'d> {
    driver: &'d mut Driver,
    transport: Transport,
    address: Address,
    deadline: Instant,
    established: bool,
    input: Input,
    reading: Reading,
    assembly: Option<Assembly>,
    /// What is being written; what is published meanwhile gathers in the state.
    writing: Output,
    /// Written since the session was last told.
    written: usize,
    needs_flush: bool,
    upload: Option<Upload>,
    sleep: Pin<Box<Sleep>>,
    /// DISCONNECT was asked for and may take until then.
    stop_by: Option<Instant>,
    /// Everything is written; the stream is being closed.
    finishing: bool,
    needs_shutdown: bool,
    /// What the state has put aside under the last lock.
    deferred: Deferred,
    events: Vec<Event>,
}

#[derive(Debug)]
enum Reading {
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

/// What the clock says.
enum Clock {
    /// Something was due, and done.
    Acted,
    /// When something will be, unless something moves before.
    Next(Option<Instant>),
}

/// Why the connection is to be ended.
enum End {
    Session(Error),
    Io(io::Error),
    /// The session has said all it wanted to.
    Finished,
    /// The client ends and does not wait for DISCONNECT to be written.
    Stopped,
}

/// Rounds of one poll, before others get their turn.
const ROUNDS: usize = 32;
/// Time for DISCONNECT to be written.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);
/// Packets taken in under one lock.
const BATCH: usize = 64;

impl<'d> Connection<'d> {
    /// Writes CONNECT to the outgoing buffer.
    pub(super) fn new(driver: &'d mut Driver, seed: ConnectionSeed) -> Result<Self, ConnectError> {
        let ConnectionSeed {
            transport,
            credentials,
            address,
            deadline,
        } = seed;
        let opened = open(driver, credentials.as_ref());
        let writing =
            opened.map_err(|failure| ConnectError::new(&driver.settings, &address, failure))?;
        Ok(Self {
            driver,
            transport,
            address,
            deadline,
            established: false,
            input: Input::new(super::RECEIVE_BUFFER as usize),
            reading: Reading::On,
            assembly: None,
            writing,
            written: 0,
            needs_flush: false,
            upload: None,
            sleep: Box::pin(sleep_until(deadline)),
            stop_by: None,
            finishing: false,
            needs_shutdown: true,
            deferred: Deferred::default(),
            events: Vec::new(),
        })
    }

    fn now(&self) -> session::Instant {
        self.driver.at(Instant::now())
    }

    /// Moves everything that can move; the reason if the connection is over.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        // before anything is looked at, so that no wake-up is lost that comes meanwhile
        self.driver.shared.lock().set_driver(cx);
        for _ in 0..ROUNDS {
            let read = self.poll_read(cx)?;
            let written = self.poll_write(cx)?;
            if matches!(self.reading, Reading::Yielded(_)) {
                break;
            }
            if read.is_ready() || written.is_ready() {
                continue;
            }
            let deadline = match self.check_clock()? {
                Clock::Acted => continue,
                Clock::Next(None) => return Ok(()),
                Clock::Next(Some(deadline)) => deadline,
            };
            // a sleep that ends too early is cheaper than one that is set anew for each packet
            if deadline < self.sleep.deadline() || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(deadline);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
        }
        // what is due is due, however busy the connection
        self.check_clock()?;
        // a plain wake-up would let a runtime of one thread come back here before it looks at its main future
        let turn = pin!(tokio::task::yield_now());
        let _ = turn.poll(cx);
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
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
                if !self.resume() {
                    return Ok(Poll::Pending);
                }
                self.take_input(0)?;
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Hands received bytes, `n` of them new, to the session, and what they bring to the streams.
    fn take_input(&mut self, mut n: usize) -> Result<(), End> {
        let now = self.now();
        let shared = Arc::clone(&self.driver.shared);
        loop {
            let mut state = shared.lock();
            state.stats.bytes_received += mem::take(&mut n) as u64;
            let more = self.take_batch(&shared, &mut state, now);
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
                Some(SessionInput::Payload { bytes, left }) => match self.assembly.take() {
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
                if let Some(parked) = state.retry(&shared, parked) {
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

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let mut moved = Poll::Pending;
        loop {
            if self.writing.is_empty() {
                self.stage(cx)?;
                if self.writing.is_empty() {
                    return self.poll_flush(cx, moved);
                }
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.writing.slices(&mut slices);
            match Pin::new(&mut self.transport).poll_write_vectored(cx, &slices[..count]) {
                Poll::Pending => return self.poll_flush(cx, moved),
                Poll::Ready(Ok(0)) => return Err(End::Io(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.writing.advance(n);
                    self.written += n;
                    self.needs_flush = true;
                    moved = Poll::Ready(());
                }
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
            }
        }
    }

    /// TLS keeps bytes back until it is flushed.
    fn poll_flush(&mut self, cx: &mut Context<'_>, moved: Poll<()>) -> Result<Poll<()>, End> {
        if self.needs_flush {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
            }
        }
        Ok(moved)
    }

    /// Gets the next bytes to write from the session and from publishers.
    fn stage(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let now = self.now();
        loop {
            let shared = Arc::clone(&self.driver.shared);
            let mut state = shared.lock();
            self.tell_written(&mut state, now);
            state.request_subscriptions();
            let open = self.upload.as_ref().filter(|upload| upload.is_open());
            let wanted = state.stage(open.map(|upload| upload.id));
            mem::swap(&mut self.writing, &mut state.output);
            state.finish_flushes();
            if state.session.accepts_at_most_once() {
                state.wake_next(QoS::AtMostOnce);
            }
            mem::swap(&mut state.deferred, &mut self.deferred);
            let finished = state.session.wants_close();
            drop(state);
            self.deferred.run();
            if finished {
                return Err(End::Finished);
            }
            let Some((id, source)) = wanted.filter(|_| self.writing.is_empty()) else {
                return Ok(());
            };
            if !self.poll_upload(cx, id, &source) {
                return Ok(());
            }
        }
    }

    fn tell_written(&mut self, state: &mut State, now: session::Instant) {
        let written = mem::take(&mut self.written);
        state.session.handle_written(now, written);
        state.written_bytes += written as u64;
        let begun = self.writing.take_begun();
        state.stats.sent_qos1 += begun.first;
        state.stats.resent += begun.repeated;
        state.stats.bytes_sent += written as u64;
    }

    /// Opens a payload's source, or moves its next bytes to the outgoing buffer; false while it has none.
    fn poll_upload(&mut self, cx: &mut Context<'_>, id: PacketId, source: &SharedSource) -> bool {
        let upload = match &mut self.upload {
            Some(upload) if upload.id == id => upload,
            upload => upload.insert(Upload::new(id, source)),
        };
        let was_open = upload.is_open();
        let polled = match was_open {
            true => upload.poll_chunk(cx),
            false => upload.poll_open(cx),
        };
        match polled {
            Poll::Pending => return false,
            // the message may begin
            Poll::Ready(Ok(())) if !was_open => {}
            Poll::Ready(Ok(())) => {
                let mut state = self.driver.shared.lock();
                let bytes = upload.bytes();
                state.output.put(bytes);
                state.staged_bytes += bytes.len() as u64;
                state.session.advance(bytes.len());
                drop(state);
                upload.consume();
                if upload.is_done() {
                    self.upload = None;
                }
            }
            Poll::Ready(Err(error)) => {
                warn!(%error, "a payload's source failed");
                self.upload = None;
                self.driver.shared.lock().fail_upload(id, error);
            }
        }
        true
    }

    /// Does what is due, or tells when something will be.
    fn check_clock(&mut self) -> Result<Clock, End> {
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

    fn emit(&mut self) {
        for event in self.events.drain(..) {
            match &event {
                Event::Connected { address, session } => {
                    info!(%address, ?session, "connected");
                    let connected = ConnectionState::Connected { session: *session };
                    self.driver.shared.connection.send_replace(connected);
                }
                Event::Suspect { topic, attempts } if *attempts >= 3 => {
                    warn!(
                        topic,
                        attempts, "connections end while this message is delivered"
                    );
                }
                Event::Undeliverable { topic, attempts } => warn!(topic, attempts, "undeliverable"),
                Event::SubscriptionRefused { filter } => {
                    warn!(%filter, "the broker refused a subscription");
                }
                Event::SubscriptionDowngraded {
                    filter,
                    requested,
                    granted,
                } => warn!(%filter, ?requested, ?granted, "the broker granted less than asked for"),
                Event::Stalled => {
                    warn!("consumers stall: discarding QoS 1 messages until they have caught up");
                }
                _ => {}
            }
            self.driver.shared.emit(event);
        }
    }

    /// Lets the peer have the last bytes: a stream closed with unread input, or unflushed, may lose them.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.needs_shutdown {
            if ready!(Pin::new(&mut self.transport).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            self.needs_shutdown = false;
        }
        loop {
            self.input.clear();
            match ready!(self.input.poll_fill(cx, &mut self.transport)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Settles what the connection leaves behind.
    fn close(&mut self, end: End) -> Ended {
        let now = self.now();
        let shared = Arc::clone(&self.driver.shared);
        let mut state = shared.lock();
        self.tell_written(&mut state, now);
        if self.established {
            state.lost_qos0 = self.writing.unwritten_qos0() + state.output.unwritten_qos0();
            state.stats.lost_with_connection += state.lost_qos0;
        }
        let output = mem::take(&mut state.output);
        state.deferred.end(Foreign::Output(output));
        if let Reading::Parked(parked) | Reading::Yielded(parked) =
            mem::replace(&mut self.reading, Reading::On)
        {
            state.lose_parked(&shared, parked);
        }
        state.written_bytes = state.staged_bytes;
        state.finish_flushes();
        let is_terminal = matches!(&end, End::Session(error) if error.is_terminal());
        let next = state.session.handle_closed();
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

impl Future for Connection<'_> {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        if !self.finishing {
            match self.poll_round(cx) {
                Ok(()) => return Poll::Pending,
                Err(End::Finished) => {
                    self.finishing = true;
                    self.sleep.as_mut().reset(Instant::now() + LAST_WORDS);
                }
                Err(end) => return Poll::Ready(self.close(end)),
            }
        }
        ready!(self.poll_finish(cx));
        Poll::Ready(self.close(End::Finished))
    }
}

/// CONNECT, as the first bytes to write.
fn open(driver: &Driver, credentials: Option<&Credentials>) -> Result<Output, ConnectFailure> {
    let login = credentials
        .map(|credentials| credentials.login())
        .transpose()
        .map_err(|error| ConnectFailure::Credentials(error.into()))?;
    let identity = Identity {
        client_id: driver.settings.session.client_id(),
        login,
        will: driver.settings.will.as_ref().map(Will::wire),
    };
    let now = driver.at(Instant::now());
    let mut state = driver.shared.lock();
    let mut output = Output::default();
    let mut room = 256;
    let len = loop {
        match state
            .session
            .open(now, &identity, &mut output.reserve(room)[..room])
        {
            Ok(len) => break len,
            Err(OpenError::Encode(EncodeError::BufferTooSmall { needed })) => room = needed,
            Err(error) => unreachable!("client id, will and credentials were checked: {error}"),
        }
    };
    output.commit(len);
    state.staged_bytes += len as u64;
    Ok(output)
}
