use std::{
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

#[derive(Debug, Default)]
struct Events {
    /// Those before there is a channel, whose buffer would be most of an idle client: it is made when somebody asks.
    early: Vec<Event>,
    channel: Option<Channel>,
    has_ended: bool,
}

#[derive(Debug)]
struct Channel {
    /// `None` once the client has ended.
    sender: Option<broadcast::Sender<Event>>,
    /// What has happened since the start, for who asks first.
    first: Option<broadcast::Receiver<Event>>,
}

/// Events kept for a receiver that does not read them.
const EVENTS: usize = 256;

impl Observers {
    pub(crate) fn new() -> Self {
        let (changes, connection) = watch::channel(ConnectionState::Connecting);
        Self {
            events: Mutex::default(),
            changes: Mutex::new(Some(changes)),
            connection,
        }
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        let mut events = lock(&self.events);
        let Channel { sender, first } = events.channel();
        match (first.take(), sender) {
            (Some(first), _) => first,
            (None, Some(sender)) => sender.subscribe(),
            (None, None) => broadcast::channel(1).1,
        }
    }

    pub(crate) fn emit(&self, event: Event) {
        let mut events = lock(&self.events);
        if events.channel.is_none() && events.early.len() < EVENTS {
            events.early.push(event);
            return;
        }
        let sender = events.channel().sender.clone();
        drop(events);
        if let Some(sender) = sender {
            // nobody listens at the moment: fine
            sender.send(event).ok();
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
        let mut events = lock(&self.events);
        events.has_ended = true;
        let sender = events.channel.as_mut().and_then(|it| it.sender.take());
        drop(events);
        drop((changes, sender));
    }
}

impl Events {
    fn channel(&mut self) -> &mut Channel {
        let (early, has_ended) = (mem::take(&mut self.early), self.has_ended);
        self.channel.get_or_insert_with(|| {
            let (sender, first) = broadcast::channel(EVENTS);
            for event in early {
                sender.send(event).ok();
            }
            Channel {
                sender: (!has_ended).then_some(sender),
                first: Some(first),
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
