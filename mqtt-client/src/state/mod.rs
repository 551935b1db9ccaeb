//! What the handles and the driver share, under one short lock.
mod completion;
mod deferred;
mod item;
mod observers;
mod output;
mod pool;
mod queue;
mod router;
mod unread;
mod waiters;

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use mqtt_codec::session::{AckToken, Session};
use mqtt_codec::wire::QoS;
use tokio::time::Instant;

pub(crate) use self::{
    completion::{Completion, CompletionKey, Completions},
    deferred::{Deferred, Foreign, Locked},
    item::{HeapStorage, Item, Payload, Publication, TopicText},
    observers::Observers,
    output::{ENOUGH, Output, SHARED_FROM, SLICES},
    pool::Pool,
    queue::{Arrival, Body, Queue},
    router::{Router, Unattached},
    waiters::{Room, Ticket},
};
use crate::{
    client::{Undelivered, UndeliveredMessage},
    error::{CloseReason, ClosedError, PublishError, StreamError},
    events::{ConnectionState, Event},
    message::Settlement,
    options::{Filter, SessionStart, Tuning},
    stats::Stats,
};

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) tuning: Tuning,
    pub(crate) start: SessionStart,
    pub(crate) observers: Observers,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session<HeapStorage>,
    pub(crate) output: Output,
    pub(crate) completions: Completions,
    pub(crate) pool: Pool,
    pub(crate) router: Router,
    /// Queue of what matches no stream.
    pub(crate) default_queue: usize,
    pub(crate) default_stream: DefaultStream,
    /// Queues of declared subscriptions that nobody has taken.
    pub(crate) untaken: Vec<(Filter, usize)>,
    /// Whether it was told that a message waits for a stream, on this connection.
    pub(crate) holding: Holding,
    pub(crate) full_queues: FullQueues,
    pub(crate) outbox_messages: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) room: Room,
    /// QoS 0 messages lost with the last connection.
    pub(crate) lost_qos0: u64,
    /// The broker's session, counted from the start: messages of an earlier one come from no broker again.
    pub(crate) session_number: u32,
    /// Received QoS 1 messages that found no room before their connection ended, since the last CONNACK.
    pub(crate) parked_at_end: u64,
    /// Futures of `connect` that wait for the answers to declared subscriptions.
    pub(crate) settling: Vec<CompletionKey>,
    /// Futures of `flush`, with what they wait for.
    pub(crate) flushes: Vec<Flush>,
    pub(crate) accepted: u64,
    pub(crate) staged_bytes: u64,
    /// Bytes of a large QoS 0 payload in the output that the session was not told of: it lets nothing queue up behind
    /// them, a PINGREQ least of all.
    pub(crate) untold: usize,
    pub(crate) written_bytes: u64,
    pub(crate) lifecycle: Lifecycle,
    /// Set while the driver sleeps.
    pub(crate) driver: Option<Waker>,
    pub(crate) stats: Stats,
    /// What is to run once the lock is released.
    pub(crate) deferred: Deferred,
    /// What [`Client::disconnect`](crate::Client::disconnect) reports, to whoever asks.
    pub(crate) undelivered: Arc<Undelivered>,
}

#[derive(Debug)]
pub(crate) struct Flush {
    /// Messages of the outbox to be handed out, counted from the start.
    pub(crate) messages: u64,
    /// Bytes to be written, counted from the start; `None` until the messages are handed out.
    pub(crate) bytes: Option<u64>,
    pub(crate) completion: CompletionKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultStream {
    Free,
    Taken,
}

/// Whether QoS 1 messages are held for want of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holding {
    None,
    /// This is the topic of the first one, to be told.
    Untold(String),
    Told,
}

/// What happens with a QoS 0 message for a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FullQueues {
    /// The consumer, who may run on the same thread, gets a turn first.
    Yield,
    /// It had one.
    Drop,
}

#[derive(Debug, Clone)]
pub(crate) enum Lifecycle {
    Running,
    /// No more is accepted; what waits may leave until then.
    Draining {
        until: Instant,
        reason: CloseReason,
    },
    Closed(ClosedError),
}

impl Shared {
    /// No code of others may run under it: see [`Deferred`].
    pub(crate) fn lock(&self) -> Locked<'_> {
        // the state is consistent between the statements that change it: a panic elsewhere does not spoil it
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn new(
        session: Session<HeapStorage>,
        tuning: Tuning,
        start: SessionStart,
    ) -> Arc<Self> {
        let mut router = Router::default();
        let default_queue = router.add_queue(Queue::new(tuning.queue));
        Arc::new(Self {
            state: Mutex::new(State {
                session,
                output: Output::default(),
                completions: Completions::default(),
                pool: Pool::default(),
                router,
                default_queue,
                default_stream: DefaultStream::Free,
                untaken: Vec::new(),
                holding: Holding::None,
                full_queues: FullQueues::Yield,
                outbox_messages: 0,
                outbox_bytes: 0,
                room: Room::default(),
                lost_qos0: 0,
                session_number: 0,
                parked_at_end: 0,
                settling: Vec::new(),
                flushes: Vec::new(),
                accepted: 0,
                staged_bytes: 0,
                untold: 0,
                written_bytes: 0,
                lifecycle: Lifecycle::Running,
                driver: None,
                stats: Stats::default(),
                deferred: Deferred::default(),
                undelivered: Arc::default(),
            }),
            tuning,
            start,
            observers: Observers::new(),
        })
    }

    /// What becomes of a subscription whose last stream is dropped.
    pub(crate) fn unattached(&self) -> Unattached {
        match self.start {
            SessionStart::Transient => Unattached::Unsubscribe,
            SessionStart::Resume | SessionStart::CleanSlate => Unattached::Keep,
        }
    }

    pub(crate) fn settle_message(&self, token: AckToken, settlement: Settlement) {
        let mut state = self.lock();
        state.settle(token, settlement);
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }

    /// Ends the client: everything that waits fails with the reason.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut locked = self.lock();
        let state = &mut *locked;
        if matches!(state.lifecycle, Lifecycle::Closed(_)) {
            return;
        }
        let closed = ClosedError::new(reason.clone());
        state.lifecycle = Lifecycle::Closed(closed.clone());
        let mut undelivered = Undelivered {
            qos0: state.lost_qos0,
            ..Undelivered::default()
        };
        while let Some((_, item)) = state.session.take_oldest() {
            undelivered.messages.extend(UndeliveredMessage::new(&item));
            if let Item::Publish(publication) = item {
                state.settle_publication(publication, Err(PublishError::Closed(closed.clone())));
            }
        }
        state.undelivered = Arc::new(undelivered);
        for queue in state.router.queues() {
            queue.wake(&mut state.deferred);
        }
        let completions = state.router.abandon_unsubscribers();
        let flushes: Vec<_> = state
            .flushes
            .drain(..)
            .map(|flush| flush.completion)
            .collect();
        let settling = mem::take(&mut state.settling);
        for key in completions.into_iter().chain(flushes).chain(settling) {
            state.complete(key, Err(PublishError::Closed(closed.clone())));
        }
        state.room.wake_all(&mut state.deferred);
        let deferred = mem::take(&mut state.deferred);
        drop(locked);
        // who watches is told before any other waker runs, which might panic
        self.observers.set_connection(ConnectionState::Closed {
            reason: reason.clone(),
        });
        self.observers.emit(Event::Closed { reason });
        self.observers.end();
        drop(deferred);
    }
}

impl State {
    /// The error of a call on a client that takes nothing more.
    pub(crate) fn closed(&self) -> Option<ClosedError> {
        match &self.lifecycle {
            Lifecycle::Running => None,
            Lifecycle::Draining { reason, .. } => Some(ClosedError::new(reason.clone())),
            Lifecycle::Closed(error) => Some(error.clone()),
        }
    }

    pub(crate) fn settle(&mut self, token: AckToken, settlement: Settlement) {
        match settlement {
            Settlement::Acknowledged => {
                self.session.acknowledge(token);
            }
            Settlement::GivenUp => {
                if self.session.give_up(token) {
                    self.stats.given_up += 1;
                }
            }
        }
    }

    /// A publish is over: its future learns the outcome, its room is free.
    pub(crate) fn settle_publication(
        &mut self,
        publication: Publication,
        outcome: Result<(), PublishError>,
    ) {
        self.outbox_messages -= 1;
        self.outbox_bytes -= publication.held_bytes();
        self.complete(publication.completion, outcome);
        self.pool.recycle(publication, &mut self.deferred);
        self.wake_next(QoS::AtLeastOnce);
    }

    pub(crate) fn complete(&mut self, key: CompletionKey, outcome: Result<(), PublishError>) {
        self.completions.complete(key, outcome, &mut self.deferred);
    }

    pub(crate) fn poll_completion(
        &mut self,
        key: CompletionKey,
        cx: &Context<'_>,
    ) -> Poll<Result<(), PublishError>> {
        self.completions.poll(key, cx, &mut self.deferred)
    }

    /// The future of a completion was dropped. What would tell it must not gather: there may be no connection for long.
    pub(crate) fn detach(&mut self, key: CompletionKey) {
        self.completions.detach(key, &mut self.deferred);
        if !self.completions.wants_release() {
            return;
        }
        let completions = &mut self.completions;
        self.flushes
            .retain(|flush| !completions.release(flush.completion));
        self.settling.retain(|&key| !completions.release(key));
        self.router
            .retain_unsubscribers(|key| !completions.release(key));
        completions.handle_released();
    }

    /// There may be room for the next one who waits for it.
    pub(crate) fn wake_next(&mut self, qos: QoS) {
        self.room.line(qos).wake_next(&mut self.deferred);
    }

    /// Leaves the line for room, served or not.
    pub(crate) fn leave_line(&mut self, qos: QoS, ticket: Ticket) {
        self.room.line(qos).leave(ticket, &mut self.deferred);
    }

    pub(crate) fn wake_driver(&mut self) {
        self.deferred.wake(self.driver.take());
    }

    /// What a stream without messages has to tell, `None` while it waits: an error, or `Ok` at its end.
    pub(crate) fn end_of_stream(&mut self, key: usize) -> Option<Result<(), StreamError>> {
        let queue = self.router.queue(key);
        if let Some(filter) = queue.refusals.pop_front() {
            return Some(Err(StreamError::Refused { filter }));
        }
        if queue.is_over {
            return Some(Ok(()));
        }
        let Lifecycle::Closed(closed) = &self.lifecycle else {
            return None;
        };
        Some(match closed.reason() {
            CloseReason::Disconnected | CloseReason::Dropped => Ok(()),
            CloseReason::Connect(_)
            | CloseReason::Session(_)
            | CloseReason::Runtime
            | CloseReason::Panicked(_) => Err(StreamError::Closed(closed.clone())),
        })
    }

    /// Frees what an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        self.output.shrink();
        self.pool.shrink();
        self.completions.shrink();
        self.room.shrink();
        self.router.queues().for_each(Queue::shrink);
    }

    /// Bytes handed out that the transport had not taken when that was last told, in whichever buffer.
    pub(crate) const fn unwritten(&self) -> u64 {
        self.staged_bytes - self.written_bytes
    }

    pub(crate) fn snapshot(&mut self) -> Stats {
        let mut stats = self.stats;
        stats.outbox_messages = self.outbox_messages as u64;
        stats.outbox_bytes = self.outbox_bytes as u64;
        stats.transmit_bytes = self.unwritten();
        stats.queued_messages = self.router.queues().map(|queue| queue.len() as u64).sum();
        stats
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
