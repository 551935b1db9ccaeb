//! The task that owns the connection. It moves bytes, time and wake-ups; the rules are the session's.
mod connection;
mod dispatch;
mod input;
mod stage;
mod upload;

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use mqtt_codec::session::{self, Backoff, Config, Next, Session};
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use tracing::{Instrument, debug, info, info_span, warn};

use self::connection::{Connection, ConnectionSeed, Ended, Outcome};
use crate::{
    error::{CloseReason, ConnectError, ConnectFailure, ConnectPhase},
    events::{ConnectionState, DisconnectReason, Event},
    options::{self, Address, FirstConnect, SessionStart, Settings},
    panic::catch_async,
    state::{HeapStorage, Item, Lifecycle, Queue, Shared, State},
    transport,
};

/// Starts the driver and returns what its handles share with it.
pub(crate) fn spawn(runtime: &Handle, settings: Settings) -> Arc<Shared> {
    let storage = HeapStorage::new(settings.tuning.outbox.messages);
    let session = Session::new(config(&settings), storage);
    let shared = Shared::new(session, settings.tuning.clone(), settings.session.start);
    {
        let mut state = shared.lock();
        for (filter, qos) in &settings.subscriptions {
            let queue = Queue::new(settings.tuning.queue);
            let key = state.router.add_queue(queue);
            state.router.subscribe(filter, *qos, key);
            state.router.confirm(key);
            state.untaken.push((filter.clone(), key));
        }
    }
    let span = info_span!("mqtt", client_id = settings.session.client_id().as_str());
    let backoff = &settings.tuning.backoff;
    let driver = Driver {
        shared: Arc::clone(&shared),
        backoff: Backoff::new(
            millis(backoff.min),
            millis(backoff.max),
            backoff.stable_after.into(),
        ),
        attempts: 0,
        closed_early: 0,
        connected_at: Instant::now(),
        epoch: Instant::now(),
        settings,
    };
    let guard = CloseOnDrop(Arc::clone(&shared));
    let running = catch_async(Box::pin(driver.run()));
    runtime.spawn(
        async move {
            let reason = running.await.unwrap_or_else(CloseReason::Panicked);
            info!(%reason, "closed");
            guard.0.close(reason);
        }
        .instrument(span),
    );
    shared
}

/// The runtime may drop the task at any await: nobody is to wait for it then.
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(CloseReason::Runtime);
    }
}

/// The receive buffer at its largest: a packet with the longest topic always fits.
const RECEIVE_BUFFER: u32 = 66 * 1_024;

fn config(settings: &Settings) -> Config {
    let tuning = &settings.tuning;
    let mut config = Config::new();
    config.start = match settings.session.start {
        SessionStart::Resume => session::Start::Resume,
        SessionStart::CleanSlate => session::Start::CleanSlate,
        SessionStart::Transient => session::Start::Transient,
    };
    config.keep_alive = settings.keep_alive;
    config.connect_timeout = tuning.connect_timeout.into();
    config.write_timeout = tuning.write_timeout.into();
    config.stall_timeout = tuning.stall_timeout.into();
    config.ack_timeout = tuning.ack_timeout.map(Into::into);
    config.max_attempts = tuning
        .max_attempts
        .and_then(|attempts| u8::try_from(attempts).unwrap_or(u8::MAX).try_into().ok());
    config.window = tuning.in_flight;
    config.receive_buffer = RECEIVE_BUFFER;
    config.max_incoming = u32::try_from(tuning.packet_limit).unwrap_or(u32::MAX);
    config.oversized = match tuning.oversized {
        options::Oversized::Acknowledge => session::Oversized::Acknowledge,
        options::Oversized::Close => session::Oversized::Close,
    };
    config
}

/// Connections that the broker may close early before that is told: one or two may be its restart.
const CLOSED_EARLY: u32 = 3;

struct Driver {
    shared: Arc<Shared>,
    settings: Settings,
    backoff: Backoff,
    /// Attempts to connect so far: chooses the address.
    attempts: usize,
    /// Connections in a row that the broker closed before they were stable.
    closed_early: u32,
    /// When the last CONNACK came.
    connected_at: Instant,
    epoch: Instant,
}

impl Driver {
    async fn run(mut self) -> CloseReason {
        let mut connected_once = false;
        loop {
            let address = self.settings.address(self.attempts).clone();
            self.attempts += 1;
            let Some(opened) = self.until_stopped(Box::pin(self.connect(&address))).await else {
                return self.stopped();
            };
            let ended = match opened.and_then(|seed| Connection::new(&mut self, seed)) {
                Ok(connection) => connection.await,
                Err(error) => Ended {
                    outcome: Outcome::Failed(error),
                    next: Next::AfterBackoff,
                },
            };
            if ended.next == Next::Never {
                if let Outcome::Disconnected(reason) = ended.outcome {
                    self.tell_disconnected(reason, None);
                }
                return self.stopped();
            }
            match ended.outcome {
                Outcome::Failed(error) => {
                    let error = Arc::new(error);
                    let more_addresses = self.attempts % self.settings.addresses.len() != 0;
                    let give_up = error.is_terminal()
                        || !connected_once
                            && !more_addresses
                            && self.settings.tuning.first_connect == FirstConnect::ReturnError;
                    let retry_in = if give_up {
                        None
                    } else if more_addresses {
                        Some(Duration::ZERO)
                    } else {
                        Some(self.next_delay())
                    };
                    self.shared.lock().stats.failed_attempts += 1;
                    warn!(%error, ?retry_in, "cannot connect");
                    self.shared.observers.emit(Event::ConnectFailed {
                        error: Arc::clone(&error),
                        retry_in,
                    });
                    let Some(delay) = retry_in else {
                        return CloseReason::Connect(error);
                    };
                    if self.pause(delay).await.is_none() {
                        return self.stopped();
                    }
                }
                // the session that was started clean is with this address
                Outcome::Wiped => self.attempts -= 1,
                Outcome::Disconnected(reason) => {
                    connected_once = true;
                    let terminal = match &reason {
                        DisconnectReason::Session(error) if error.is_terminal() => Some(*error),
                        _ => None,
                    };
                    let retry_in = match (terminal, ended.next) {
                        (Some(_), _) => None,
                        (None, Next::Now) => Some(Duration::ZERO),
                        (None, _) => Some(self.next_delay()),
                    };
                    if retry_in.is_some() {
                        let observers = &self.shared.observers;
                        observers.set_connection(ConnectionState::Connecting);
                    }
                    self.watch_closing(&reason);
                    self.tell_disconnected(reason, retry_in);
                    if let Some(error) = terminal {
                        return CloseReason::Session(error);
                    }
                    // the addresses are tried from the first one on
                    self.attempts = 0;
                    if self.pause(retry_in.unwrap_or_default()).await.is_none() {
                        return self.stopped();
                    }
                }
            }
        }
    }

    /// Opens the transport and puts CONNECT into the outgoing buffer.
    async fn connect(&self, address: &Address) -> Result<ConnectionSeed, ConnectError> {
        let deadline = Instant::now() + self.settings.tuning.connect_timeout;
        let fail = |failure| ConnectError::new(&self.settings, address, failure);
        let obtaining = timeout_at(deadline, self.settings.credentials.obtain());
        let credentials = match obtaining.await {
            Ok(credentials) => {
                credentials.map_err(|error| fail(ConnectFailure::Credentials(error)))?
            }
            Err(_) => {
                return Err(fail(ConnectFailure::TimedOut {
                    during: ConnectPhase::Credentials,
                }));
            }
        };
        debug!(%address, "connecting");
        let transport = transport::open(&self.settings, address, deadline).await?;
        Ok(ConnectionSeed {
            transport,
            credentials,
            deadline,
            address: address.clone(),
        })
    }

    /// The session's clock.
    fn at(&self, now: Instant) -> session::Instant {
        let elapsed: session::Duration = now.saturating_duration_since(self.epoch).into();
        session::Instant::ZERO + elapsed
    }

    fn next_delay(&mut self) -> Duration {
        let now = self.at(Instant::now());
        self.backoff.next_delay(now, fastrand::u32(..)).into()
    }

    fn tell_disconnected(&self, reason: DisconnectReason, retry_in: Option<Duration>) {
        info!(%reason, ?retry_in, "disconnected");
        self.shared
            .observers
            .emit(Event::Disconnected { reason, retry_in });
    }

    /// Two clients of one id take the connection from each other for ever, and neither gets an error.
    fn watch_closing(&mut self, reason: &DisconnectReason) {
        let closed = match reason {
            DisconnectReason::ClosedByBroker => true,
            DisconnectReason::Io(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        };
        if !closed || self.connected_at.elapsed() >= self.settings.tuning.backoff.stable_after {
            self.closed_early = 0;
            return;
        }
        self.closed_early += 1;
        if self.closed_early >= CLOSED_EARLY {
            let times = self.closed_early;
            warn!(
                times,
                "the broker closes each connection soon: does another client use the same client id?"
            );
            self.shared
                .observers
                .emit(Event::RepeatedlyClosed { times });
        }
    }

    async fn pause(&self, delay: Duration) -> Option<()> {
        if delay.is_zero() {
            return Some(());
        }
        self.until_stopped(sleep_until(Instant::now() + delay))
            .await
    }

    /// Waits for the future, or `None`: the client is to end. What waits in the outbox may still get its chance.
    async fn until_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut deadline = None::<Pin<Box<Sleep>>>;
        std::future::poll_fn(|cx| {
            {
                let mut state = self.shared.lock();
                if let Some(until) = state.stop_at() {
                    if state.outbox_messages == 0 || until <= Instant::now() {
                        return Poll::Ready(None);
                    }
                    let deadline = deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
                    // a later call may have brought it forward
                    if deadline.deadline() != until {
                        deadline.as_mut().reset(until);
                    }
                    if deadline.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                }
                state.driver = Some(cx.waker().clone());
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn stopped(&self) -> CloseReason {
        match &self.shared.lock().lifecycle {
            Lifecycle::Draining { reason, .. } => reason.clone(),
            Lifecycle::Running | Lifecycle::Closed(_) => CloseReason::Runtime,
        }
    }
}

impl State {
    /// Until when what waits may leave, if the client is to end.
    fn stop_at(&self) -> Option<Instant> {
        match self.lifecycle {
            Lifecycle::Draining { until, .. } => Some(until),
            Lifecycle::Running | Lifecycle::Closed(_) => None,
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
