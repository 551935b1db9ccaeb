//! One connection: its parts, its turns.
mod clock;
mod close;
mod read;
mod write;

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use mqtt_codec::session::{self, Error, Identity, Next, OpenError};
use mqtt_codec::wire::EncodeError;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{info, warn};

use self::{clock::Clock, read::Reading};
use super::{Driver, dispatch::Assembly, input::Input, upload::Upload};
use crate::{
    error::{ConnectError, ConnectFailure},
    events::{ConnectionState, DisconnectReason, Event},
    options::{Address, Credentials, Will},
    state::{Deferred, Output},
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

/// Why the connection is to be ended.
enum End {
    Session(Error),
    Io(io::Error),
    /// The session has said all it wanted to.
    Finished,
    /// The client ends and does not wait for DISCONNECT to be written.
    Stopped,
}

/// Rounds of one poll, before others get their turn: not every transport is ever not ready.
const ROUNDS: usize = 32;
/// Writes of one poll.
const WRITES: usize = 64;
/// Time for DISCONNECT to be written.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

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
        let mut writes = WRITES;
        for _ in 0..ROUNDS {
            let read = self.poll_read(cx)?;
            let written = self.poll_write(cx, &mut writes)?;
            if writes == 0 || matches!(self.reading, Reading::Yielded(_)) {
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
        give_turn(cx);
        Ok(())
    }

    fn emit(&mut self) {
        for event in self.events.drain(..) {
            match &event {
                Event::Connected { address, session } => {
                    info!(%address, ?session, "connected");
                    let connected = ConnectionState::Connected { session: *session };
                    self.driver.shared.observers.set_connection(connected);
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
                Event::Unmatched { topic } => warn!(
                    topic,
                    "a QoS 1 message matches no stream and is held; when the broker's window is full of such, nothing else is \
                     received: take a stream for it, unsubscribe the filter that an earlier version of the program has left \
                     at the broker, or choose `Unmatched::Discard`"
                ),
                Event::Stalled => {
                    warn!("consumers stall: discarding QoS 1 messages until they have caught up");
                }
                _ => {}
            }
            self.driver.shared.observers.emit(event);
        }
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

/// Has the driver polled again once others had their turn.
fn give_turn(cx: &mut Context<'_>) {
    // a plain wake-up would let a runtime of one thread come back here before it looks at its main future
    let turn = pin!(tokio::task::yield_now());
    let _ = turn.poll(cx);
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
