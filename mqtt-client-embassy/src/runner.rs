use core::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use mqtt_codec::session::{self, Backoff, Next};
use mqtt_codec::wire::{ConnectRefusal, TopicName};

use crate::{
    CloseReason, ConnectError, ConnectionState, Connector, DisconnectReason, Event, FirstConnect,
    Flushing, Options,
    log::{LOGS, note},
    state::{Brought, Due, LAST_WORDS, SUSPECTING, Shared, Told, Turn, span},
};

/// The part of a client that owns the connection; one task awaits [`run`](Self::run).
pub struct Runner<'a, M: RawMutex, C, R> {
    shared: &'a Shared<'a, M>,
    options: &'a Options<'a>,
    connector: C,
    random: R,
    receive: &'a mut [u8],
}

/// Turns that the runner gives to the tasks it has woken: embassy's executor runs first what was woken last, so that one
/// would be its own.
const ROUNDS: u8 = 2;
/// Reads before the other tasks of the executor have their turn.
const READS: u8 = 32;
/// A connection that has stayed up for this long ends a row of failures.
const STABLE_AFTER: session::Duration = session::Duration::from_secs(30);
/// Microseconds, as bits that are set in each pause: others have their turn, whatever the random number is.
const SHORTEST_PAUSE: u64 = 8_191;
/// A message that was the oldest one at the end of so many connections is suspect.
const SUSPECT_AFTER: u8 = 3;

impl<'a, M: RawMutex, C: Connector, R: FnMut() -> u32> Runner<'a, M, C, R> {
    pub(crate) const fn new(
        shared: &'a Shared<'a, M>,
        options: &'a Options<'a>,
        connector: C,
        random: R,
        receive: &'a mut [u8],
    ) -> Self {
        Self {
            shared,
            options,
            connector,
            random,
            receive,
        }
    }

    /// Connects, and connects again, until the client ends; why it does. Once it has ended this returns at once.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection and ends the client: whatever waits fails with
    /// [`CloseReason::RunnerDropped`]. It may be dropped only for good.
    pub fn run(&mut self) -> impl Future<Output = CloseReason> {
        self.run_told::<LOGS>(|_| {})
    }

    /// As [`run`](Self::run), and tells what happens. `observe` may use the client.
    pub fn run_with(
        &mut self,
        observe: impl FnMut(Event<'_>),
    ) -> impl Future<Output = CloseReason> {
        self.run_told::<true>(observe)
    }

    /// `TOPICS`: messages are told of with their topics.
    async fn run_told<const TOPICS: bool>(
        &mut self,
        mut observe: impl FnMut(Event<'_>),
    ) -> CloseReason {
        let shared = self.shared;
        if let ConnectionState::Closed(reason) = shared.with(|state| state.connection) {
            return reason;
        }
        let mut guard = Guard {
            shared,
            reason: CloseReason::RunnerDropped,
        };
        let (min_ms, max_ms) = self.options.backoff_ms;
        let mut backoff = Backoff::new(min_ms, max_ms, STABLE_AFTER);
        let mut first = self.options.first_connect;
        let mut pause = Duration::MIN;
        let close = loop {
            let reason = 'connection: {
                let flushing = self.connector.flushing();
                let mut transport = {
                    let open_at = later(Instant::now(), pause);
                    let deadline = later(open_at, span(self.options.config.connect_timeout));
                    let mut connector = Some(&mut self.connector);
                    let mut connecting = pin!(None);
                    let opening = poll_fn(move |cx| {
                        let is_due = |_: &mut _| poll_due(open_at, Instant::now(), cx).is_ready();
                        if let Some(connector) = connector.take_if(is_due) {
                            connecting.set(Some(connector.connect()));
                        }
                        match connecting.as_mut().as_pin_mut() {
                            Some(connecting) => connecting.poll(cx),
                            None => Poll::Pending,
                        }
                    });
                    match unless_stopped(shared, deadline, pin!(opening)).await {
                        Ok(Ok(transport)) => transport,
                        Ok(Err(error)) => break 'connection DisconnectReason::Connect(error),
                        Err(Woken::Due | Woken::Changed) => {
                            break 'connection DisconnectReason::Connect(ConnectError::TimedOut);
                        }
                        Err(Woken::Stopped) => break 'connection DisconnectReason::Requested,
                    }
                };
                shared.with(|state| state.open(now(), self.options));
                let mut end = 0;
                let mut reads_in_a_row = 0;
                loop {
                    // input
                    let mut start = 0;
                    loop {
                        let bytes = self.receive.get(start..end).unwrap_or_default();
                        let taken = shared.with(|state| state.take_input(now(), bytes));
                        let (taken, brought) = match taken {
                            Ok(taken) => taken,
                            Err(error) => break 'connection DisconnectReason::Session(error),
                        };
                        start += taken;
                        match brought {
                            Brought::Nothing => break,
                            Brought::Something => {}
                            Brought::Connected(session) => {
                                backoff.handle_connected(now());
                                note!(info, "connected");
                                observe(Event::Connected { session });
                            }
                            Brought::Oversized {
                                topic,
                                remaining_length,
                            } => {
                                let topic = text::<TOPICS>(topic.map_or(&[], TopicName::as_bytes));
                                note!(warn, "a message is over the limit, and passed over", topic);
                                observe(Event::Oversized {
                                    topic,
                                    remaining_length,
                                });
                            }
                        }
                    }
                    end -= start;
                    move_to_front(self.receive, start, end);

                    // output
                    let turn = shared.with(|state| state.turn(Instant::now()));
                    let (transmit, is_last) = match turn {
                        Turn::Write(transmit) => (transmit, false),
                        Turn::Close(transmit) => (transmit, true),
                        Turn::Wait { reads, due, yields } => {
                            // nothing to write: input, or whatever comes first
                            let Some(room) = self.receive.get_mut(end..) else {
                                // the last read has claimed more than it had room for
                                break 'connection DisconnectReason::Transport(ErrorKind::Other);
                            };
                            // however fast a peer sends, others have their turn
                            let yields = yields || reads_in_a_row >= READS;
                            let reads = reads && !yields && !room.is_empty();
                            let mut rounds = if yields { ROUNDS } else { 0 };
                            let due = if yields { Instant::MIN } else { due };
                            let mut read = pin!(transport.read(room));
                            let moved = poll_fn(move |cx| {
                                if rounds > 0 {
                                    rounds -= 1;
                                    cx.waker().wake_by_ref();
                                    return Poll::Pending;
                                }
                                if reads {
                                    if let Poll::Ready(read) = read.as_mut().poll(cx) {
                                        return Poll::Ready(Ok(read));
                                    }
                                }
                                poll_woken(shared, due, true, cx).map(Err)
                            });
                            match moved.await {
                                Ok(Ok(0)) => {
                                    break 'connection DisconnectReason::ClosedByBroker;
                                }
                                Ok(Ok(n)) => {
                                    end = end.saturating_add(n);
                                    reads_in_a_row += 1;
                                    continue;
                                }
                                Ok(Err(error)) => {
                                    break 'connection DisconnectReason::Transport(error.kind());
                                }
                                Err(Woken::Changed) => continue,
                                Err(Woken::Stopped) => {
                                    break 'connection DisconnectReason::Requested;
                                }
                                Err(Woken::Due) => {}
                            }
                            let due = shared.with(|state| state.handle_due(Instant::now()));
                            reads_in_a_row = 0;
                            match due {
                                Ok(Due::Nothing) => continue,
                                Ok(Due::Stalled) => {
                                    note!(warn, "consumers stall: QoS 1 messages are discarded");
                                    observe(Event::Stalled);
                                    continue;
                                }
                                Err(error) => {
                                    break 'connection DisconnectReason::Session(error);
                                }
                            }
                        }
                    };
                    let mut rest = transmit.bytes();
                    let failure = loop {
                        if rest.is_empty() && flushing == Flushing::AtEnd && !is_last {
                            break None;
                        }
                        let step = async {
                            match rest.is_empty() {
                                true => transport.flush().await.map(|()| 0),
                                false => transport.write(rest).await,
                            }
                        };
                        let timeout = match is_last {
                            true => LAST_WORDS,
                            false => span(self.options.config.write_timeout),
                        };
                        let deadline = later(Instant::now(), timeout);
                        match unless_stopped(shared, deadline, pin!(step)).await {
                            Ok(Ok(0)) if rest.is_empty() => break None,
                            Ok(Ok(0)) => {
                                break Some(DisconnectReason::Transport(ErrorKind::WriteZero));
                            }
                            Ok(Ok(n)) => match rest.get(n..) {
                                Some(behind) => rest = behind,
                                None => break Some(DisconnectReason::Transport(ErrorKind::Other)),
                            },
                            Ok(Err(error)) => {
                                break Some(DisconnectReason::Transport(error.kind()));
                            }
                            Err(Woken::Due | Woken::Changed) => break Some(STUCK),
                            Err(Woken::Stopped) => break Some(DisconnectReason::Requested),
                        }
                    };
                    let left = rest.len();
                    shared.with(|state| state.give_back(now(), transmit, left));
                    if is_last {
                        // what did not get out by now is lost
                        break DisconnectReason::Cycled;
                    }
                    if let Some(reason) = failure {
                        break reason;
                    }
                }
            };

            let mut out = TOPICS.then_some(&mut *self.receive);
            let suspecting = match TOPICS {
                true => Some(&SUSPECTING),
                false => self.options.suspecting,
            };
            let ended = shared.with(|state| state.handle_closed(suspecting, out.as_deref_mut()));
            if let Some(told) = ended.told {
                told.tell::<TOPICS>(out.as_deref().unwrap_or_default(), &mut observe);
            }
            let reason = match ended.next {
                Next::Never => DisconnectReason::Requested,
                _ => reason,
            };
            let is_first = !ended.was_connected && first == FirstConnect::ReturnError;
            let retry = match (close_reason(reason, is_first), ended.next) {
                (Some(close), _) => Err(close),
                (None, Next::Now) => Ok(Duration::MIN),
                (None, _) => {
                    let delay = backoff.next_delay(now(), (self.random)());
                    Ok(Duration::from_micros(delay.as_micros() | SHORTEST_PAUSE))
                }
            };
            let retry_in = retry.ok();
            if ended.was_connected {
                first = FirstConnect::KeepTrying;
                note!(info, "disconnected", reason);
                observe(Event::Disconnected { reason, retry_in });
            } else if !matches!(
                reason,
                DisconnectReason::Cycled | DisconnectReason::Requested
            ) {
                note!(warn, "cannot connect", reason);
                observe(Event::ConnectFailed { reason, retry_in });
            }
            match retry {
                Ok(delay) => pause = delay,
                Err(close) => break close,
            }
        };
        guard.reason = close;
        drop(guard);
        note!(info, "closed", close);
        observe(Event::Closed(close));
        close
    }
}

impl<M: RawMutex, C, R> fmt::Debug for Runner<'_, M, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Told {
    /// Of a message whose topic is in `out`.
    fn tell<const TOPICS: bool>(self, out: &[u8], observe: &mut impl FnMut(Event<'_>)) {
        let topic = |len| text::<TOPICS>(out.get(..len).unwrap_or_default());
        match self {
            Self::Suspect {
                topic_len,
                attempts,
            } => {
                let topic = topic(topic_len);
                if attempts >= SUSPECT_AFTER {
                    note!(
                        warn,
                        "connections end while this message is delivered",
                        topic
                    );
                }
                observe(Event::Suspect { topic, attempts });
            }
            Self::Undeliverable {
                topic_len,
                attempts,
            } => {
                let topic = topic(topic_len);
                note!(warn, "undeliverable", topic);
                observe(Event::Undeliverable { topic, attempts });
            }
        }
    }
}

/// A topic, which may be cut within a character. Checking it takes code, for which nobody has a use without `TOPICS`.
fn text<const TOPICS: bool>(topic: &[u8]) -> &str {
    if !TOPICS {
        return "";
    }
    let whole = topic.utf8_chunks().next();
    whole.map_or("", |chunk| chunk.valid())
}

/// Whoever waits is to learn of it, whether it ran or not.
impl<M: RawMutex, C, R> Drop for Runner<'_, M, C, R> {
    fn drop(&mut self) {
        self.shared.close(CloseReason::RunnerDropped);
    }
}

/// Ends the client when the runner's future ends or is dropped.
struct Guard<'a, M: RawMutex> {
    shared: &'a Shared<'a, M>,
    reason: CloseReason,
}

impl<M: RawMutex> Drop for Guard<'_, M> {
    fn drop(&mut self) {
        self.shared.close(self.reason);
    }
}

/// What ended a wait.
enum Woken {
    /// Something that the runner is to look at.
    Changed,
    Due,
    /// The client has to end.
    Stopped,
}

/// Awaits the future until the deadline, or until the client has to end.
fn unless_stopped<'a, M: RawMutex, F: Future>(
    shared: &Shared<'a, M>,
    deadline: Instant,
    mut future: Pin<&mut F>,
) -> impl Future<Output = Result<F::Output, Woken>> {
    poll_fn(move |cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => poll_woken(shared, deadline, false, cx).map(Err),
    })
}

/// Once for all that is awaited. A change that does not end the wait is looked at when it is over.
#[inline(never)]
fn poll_woken<'a, M: RawMutex>(
    shared: &Shared<'a, M>,
    due: Instant,
    by_change: bool,
    cx: &mut Context<'_>,
) -> Poll<Woken> {
    let now = Instant::now();
    let (due, has_changed) =
        shared.with(|state| (state.leave_if_due(now, due), state.poll_changed(cx)));
    let Some(due) = due else {
        return Poll::Ready(Woken::Stopped);
    };
    match poll_due(due, now, cx) {
        Poll::Ready(()) => Poll::Ready(Woken::Due),
        Poll::Pending if has_changed && by_change => Poll::Ready(Woken::Changed),
        Poll::Pending => Poll::Pending,
    }
}

/// Whether it is time; if not, the task is woken when it is.
#[inline(never)]
fn poll_due(at: Instant, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if at <= now {
        return Poll::Ready(());
    }
    // a timer is no more than the wake-up that its first poll asks for
    pin!(Timer::at(at)).poll(cx)
}

/// Moves `bytes[from..from + len]` to the front, without a `memmove`, of which nothing else has need.
fn move_to_front(bytes: &mut [u8], from: usize, len: usize) {
    let mut to = 0;
    while from > 0 && to < len {
        let n = from.min(len - to);
        let Some((front, rest)) = bytes.split_at_mut_checked(from + to) else {
            return;
        };
        if let (Some(place), Some(moved)) = (front.get_mut(to..to + n), rest.get(..n)) {
            place.copy_from_slice(moved);
        }
        to += n;
    }
}

// once: 64 bits take a small processor some instructions, and no clock comes near to their end
#[inline(never)]
fn later(at: Instant, by: Duration) -> Instant {
    Instant::from_ticks(at.as_ticks().wrapping_add(by.as_ticks()))
}

fn now() -> session::Instant {
    session::Instant::from_micros(Instant::now().as_micros())
}

/// The transport takes nothing.
const STUCK: DisconnectReason =
    DisconnectReason::Session(session::Error::Timeout(session::Timeout::Write));

/// Why the client ends, if it does: trying again cannot help, or the first attempt was to succeed.
fn close_reason(reason: DisconnectReason, is_first: bool) -> Option<CloseReason> {
    let (close, is_terminal) = match reason {
        DisconnectReason::Session(session::Error::Refused(refusal)) => {
            let stays = refusal != ConnectRefusal::ServerUnavailable;
            (CloseReason::Refused(refusal), stays)
        }
        DisconnectReason::Session(error) => (CloseReason::Session(error), error.is_terminal()),
        DisconnectReason::Connect(error) => (CloseReason::Connect(error), false),
        DisconnectReason::Transport(kind) => {
            (CloseReason::Connect(ConnectError::Transport(kind)), false)
        }
        DisconnectReason::ClosedByBroker => (CloseReason::Connect(ConnectError::Closed), false),
        DisconnectReason::Requested => (CloseReason::Requested, true),
        // to start clean first
        DisconnectReason::Cycled => return None,
    };
    (is_terminal || is_first).then_some(close)
}
