//! What the handles and the runner share, under one short lock. Everything in here is synchronous.

mod clock;
mod input;
mod item;
mod outbox;
mod output;
mod queue;
mod routes;
mod supply;
mod suspect;
mod unsubscribe;
mod wakers;

use core::{
    cell::Cell,
    task::{Context, Waker},
};

use embassy_sync::blocking_mutex::{Mutex, raw::RawMutex};
use embassy_time::Instant;
use mqtt_codec::session::{self, AckToken, Session};
use mqtt_codec::wire::{Retain, TopicName};

pub(crate) use self::{
    clock::{Due, LAST_WORDS, span},
    input::Brought,
    item::{Board, Packet},
    outbox::{Outbox, Place, Ticket},
    output::{Transmit, Turn},
    queue::{Queue, Received, Seat},
    routes::{Holder, Route, Routes, Stage, UNMATCHED},
    supply::{Awaited, Supplying},
    suspect::{SUSPECTING, Suspecting, Told},
    unsubscribe::{UNSUBSCRIBING, Unsubscribing},
    wakers::Wakers,
};
use crate::{CloseReason, ConnectionState, Limit, Options, PublishError, ReadError, Stats};

pub(crate) struct Shared<'a, M> {
    /// Taken out while somebody is at it.
    state: Mutex<M, Cell<Option<&'a mut State<'a>>>>,
}

#[derive(Debug)]
// In this order: what is near to the beginning is reached by the short instructions of a small processor.
#[repr(C)]
pub(crate) struct State<'a> {
    pub(crate) queue: Queue<'a>,
    /// `None` while the runner writes it.
    pub(crate) transmit: Option<&'a mut Transmit<'a>>,
    pub(crate) connection: ConnectionState,
    /// Something has changed since the runner looked.
    changed: bool,
    pub(crate) stop: Stop,
    /// Consumers stall, and reading has gone on all the same.
    pub(crate) discards: bool,
    /// A message was given back since.
    has_released: bool,
    pub(crate) reading: Reading,
    /// Why the last stream was given up.
    pub(crate) cut: ReadError,
    pub(crate) wakers: Wakers<'a>,
    /// Of the runner, since it looked.
    runner: Option<Waker>,
    /// Bytes handed out and written, from the start, modulo 2³².
    pub(crate) staged: u32,
    pub(crate) written: u32,
    /// `written` when the last connection ended.
    closed_at: u32,
    /// Connections that have ended, and failed attempts, modulo 2³².
    pub(crate) links: u32,
    /// QoS 1 messages accepted, from the start, modulo 2³².
    pub(crate) accepted: u32,
    pub(crate) outbox: Outbox<'a>,
    pub(crate) routes: Routes<'a>,
    /// Bytes at the front of the receive buffer that are payload of the message that is arriving.
    pub(crate) payload_ahead: usize,
    pub(crate) stats: Stats,
    /// How long what may leave has for it.
    leaves_until: Instant,
    /// [`State::leave`], once the client is to end.
    leave: Option<Leave<'a>>,
    /// Once there was a publisher who hands out a payload.
    supplying: Option<&'static Supplying>,
    awaited: Option<Awaited>,
    /// [`UNSUBSCRIBING`], if subscriptions may end.
    pub(crate) unsubscribing: Option<&'static Unsubscribing>,
    pub(crate) session: Session<Board<'a>>,
}

type Leave<'a> = fn(&mut State<'a>, Instant, Instant) -> Option<Instant>;

/// How the application ends the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not yet.
    No,
    /// No more is accepted, and what waits may leave.
    Draining,
    /// DISCONNECT may leave.
    Leaving,
}

/// Whether bytes are read from the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    On,
    /// No place for what has come.
    Held,
    /// No place for a QoS 0 message, whose consumer is to have its turn.
    Yields,
    /// The same, and it had its turn.
    Yielded,
    /// No place to acknowledge the message that is next.
    Blocked,
}

/// What becomes of the acknowledgement of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    Acknowledged,
    GivenUp,
}

impl<'a, M: RawMutex> Shared<'a, M> {
    pub(crate) const fn new(state: &'a mut State<'a>) -> Self {
        Self {
            state: Mutex::new(Cell::new(Some(state))),
        }
    }

    /// Never nested: what runs in here knows only the state.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State<'a>) -> T) -> T {
        self.state.lock(|cell| {
            let Some(state) = cell.take() else { nested() };
            let result = act(state);
            cell.set(Some(state));
            result
        })
    }

    /// Ends the client: whatever waits finds that out.
    // called from several places
    #[inline(never)]
    pub(crate) fn close(&self, reason: CloseReason) {
        self.with(|state| {
            if !state.is_closed() {
                state.connection = ConnectionState::Closed(reason);
                state.wakers.wake();
                // it is not to be kept beyond
                state.wake_runner();
            }
        });
    }
}

#[cold]
#[inline(never)]
fn nested() -> ! {
    panic!("a lock within a lock")
}

impl<'a> State<'a> {
    pub(crate) fn new(
        options: &'a Options<'a>,
        board: Board<'a>,
        outbox: Outbox<'a>,
        queue: Queue<'a>,
        routes: Routes<'a>,
        transmit: &'a mut Transmit<'a>,
        wakers: Wakers<'a>,
    ) -> Self {
        Self {
            session: Session::new(&options.config, board),
            outbox,
            queue,
            routes,
            transmit: Some(transmit),
            wakers,
            runner: None,
            changed: false,
            connection: ConnectionState::Connecting,
            stop: Stop::No,
            leave: None,
            leaves_until: Instant::MIN,
            reading: Reading::On,
            discards: false,
            has_released: false,
            payload_ahead: 0,
            accepted: 0,
            staged: 0,
            written: 0,
            closed_at: 0,
            links: 0,
            awaited: None,
            supplying: None,
            cut: ReadError::ConnectionLost,
            unsubscribing: options.unsubscribing,
            stats: Stats::NONE,
        }
    }

    /// Whether the client takes nothing more.
    pub(crate) const fn is_closing(&self) -> bool {
        !matches!(self.stop, Stop::No) || self.is_closed()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.connection, ConnectionState::Closed(_))
    }

    /// Has the runner look again.
    #[inline(never)]
    pub(crate) fn wake_runner(&mut self) {
        self.changed = true;
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// Whether there is something to look at; if not, the runner is woken when there is.
    pub(crate) fn poll_changed(&mut self, cx: &Context<'_>) -> bool {
        self.runner = Some(cx.waker().clone());
        if let Some(supplying) = self.supplying {
            (supplying.watch)(self, cx.waker());
        }
        core::mem::take(&mut self.changed)
    }

    /// The application is done with a received message.
    pub(crate) fn release(&mut self, received: &'a mut Received<'a>, settlement: Settlement) {
        let token = self.queue.give_back(received);
        self.has_released = true;
        self.settle(token, settlement);
        self.wake_runner();
    }

    pub(crate) fn settle(&mut self, token: Option<AckToken>, settlement: Settlement) {
        match (token, settlement) {
            (None, _) => {}
            (Some(token), Settlement::Acknowledged) => {
                self.session.acknowledge(token);
            }
            (Some(token), Settlement::GivenUp) => {
                self.session.give_up(token);
            }
        }
    }

    /// The topic of a QoS 1 message that can be accepted now or later, with so many bytes kept beside it.
    pub(crate) fn check<'t>(
        &self,
        topic: &'t str,
        kept: usize,
    ) -> Result<TopicName<'t>, PublishError> {
        if self.is_closing() {
            return Err(PublishError::Closed);
        }
        let topic = TopicName::new(topic)?;
        if !self.outbox.fits(topic.as_bytes().len() + kept) {
            return Err(PublishError::Limit(Limit::Message));
        }
        Ok(topic)
    }

    /// Accepts a QoS 1 message. `Err` of a payload is the length of one that its publisher supplies.
    pub(crate) fn accept(
        &mut self,
        topic: &str,
        retain: Retain,
        payload: Result<&[u8], u32>,
    ) -> Result<Ticket, PublishError> {
        let topic = self.check(topic, payload.map_or(0, <[u8]>::len))?;
        let serial = self.accepted;
        let packet = self.outbox.put(serial, topic, retain, payload);
        let packet = packet.ok_or(PublishError::Limit(Limit::Outbox))?;
        let place = packet.index;
        match self.session.enqueue(packet) {
            Ok(id) => {
                self.accepted = serial.wrapping_add(1);
                self.wake_runner();
                Ok(Ticket::new(id, place, serial))
            }
            Err(error) => {
                self.outbox.finish(error.handle, None);
                Err(PublishError::Limit(match error.reason {
                    session::EnqueueReason::Full => Limit::Outbox,
                    _ => Limit::Packet,
                }))
            }
        }
    }
}

/// Copies what there is room for; how much.
// once for all that is copied
#[inline(never)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let n = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..n), from.get(..n)) {
        to.copy_from_slice(from);
    }
    n
}
