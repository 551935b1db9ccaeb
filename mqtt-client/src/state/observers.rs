use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{broadcast, watch};

use crate::events::{ConnectionState, Event};

/// Those who watch the client: its events, and the state of its connection. Their receivers end with the client, whoever
/// still holds a handle.
///
/// Sending runs wakers, and so does the end of a sender: code of others, which may call the client. Not under these locks.
#[derive(Debug)]
pub(crate) struct Observers {
    events: Mutex<Events>,
    /// `None` once the client has ended.
    changes: Mutex<Option<watch::Sender<ConnectionState>>>,
    connection: watch::Receiver<ConnectionState>,
}

#[derive(Debug)]
enum Events {
    /// The last ones, without the buffer of a channel: that would be most of an idle client.
    Unasked {
        early: VecDeque<Event>,
        has_ended: bool,
    },
    /// `None` once the client has ended.
    Asked(Option<broadcast::Sender<Event>>),
}

/// Events kept for a receiver that does not read them.
const EVENTS: usize = 256;
/// Events kept for who asks first.
const EARLY: usize = 16;

impl Observers {
    pub(crate) fn new() -> Self {
        let (changes, connection) = watch::channel(ConnectionState::Connecting);
        Self {
            events: Mutex::new(Events::Unasked {
                early: VecDeque::new(),
                has_ended: false,
            }),
            changes: Mutex::new(Some(changes)),
            connection,
        }
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        let mut events = lock(&self.events);
        let (early, has_ended) = match &mut *events {
            Events::Asked(Some(sender)) => return sender.subscribe(),
            Events::Asked(None) => return broadcast::channel(1).1,
            Events::Unasked { early, has_ended } => (mem::take(early), *has_ended),
        };
        let (sender, first) = broadcast::channel(EVENTS);
        for event in early {
            sender.send(event).ok();
        }
        *events = Events::Asked((!has_ended).then_some(sender));
        first
    }

    pub(crate) fn emit(&self, event: Event) {
        let mut events = lock(&self.events);
        match &mut *events {
            Events::Unasked { early, .. } => {
                let forgotten = if early.len() == EARLY {
                    early.pop_front()
                } else {
                    None
                };
                // most clients have one or two
                early.reserve_exact(1);
                early.push_back(event);
                drop(events);
                drop(forgotten);
            }
            Events::Asked(sender) => {
                let sender = sender.clone();
                drop(events);
                if let Some(sender) = sender {
                    // nobody listens at the moment: fine
                    sender.send(event).ok();
                }
            }
        }
    }

    pub(crate) fn connection(&self) -> watch::Receiver<ConnectionState> {
        if let Some(changes) = &*lock(&self.changes) {
            return changes.subscribe();
        }
        let mut last = self.connection.clone();
        last.borrow_and_update();
        last
    }

    pub(crate) fn set_connection(&self, state: ConnectionState) {
        let changes = lock(&self.changes).clone();
        if let Some(changes) = changes {
            changes.send_replace(state);
        }
    }

    /// Nothing more is told.
    pub(crate) fn end(&self) {
        let changes = lock(&self.changes).take();
        let sender = match &mut *lock(&self.events) {
            Events::Unasked { has_ended, .. } => {
                *has_ended = true;
                None
            }
            Events::Asked(sender) => sender.take(),
        };
        drop((changes, sender));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
