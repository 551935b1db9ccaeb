use mqtt_codec::wire::{QoS, SessionPresent};

use crate::{Brought, Item};

use super::{Acknowledging, Pair};

/// A subscription that the application declared.
#[derive(Debug)]
pub(super) struct Declared {
    filter: String,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The broker does not know it.
    Wanted,
    /// The engine holds its SUBSCRIBE.
    Asked,
    Granted,
}

impl Declared {
    pub(super) fn new(filter: &str) -> Self {
        Self {
            filter: filter.into(),
            standing: Standing::Wanted,
        }
    }
}

impl Pair {
    /// The application takes up to `n` messages from its queue.
    pub fn consume(&mut self, n: usize) {
        for _ in 0..n.min(self.queue.len()) {
            let token = self.queue.pop_front().and_then(|message| message.token());
            if let (Some(token), Acknowledging::Consumed) = (token, self.acknowledging) {
                self.session.acknowledge(token);
            }
        }
        if self.queue.len() < self.queue_limit {
            self.resume_reading();
        }
        if self.queue.is_empty() {
            self.session.handle_drained();
        }
    }

    pub(super) fn take_in(&mut self, brought: Brought) {
        match &brought {
            Brought::Connected(SessionPresent::Absent) => {
                for declared in &mut self.declared {
                    if declared.standing == Standing::Granted {
                        declared.standing = Standing::Wanted;
                    }
                }
            }
            Brought::Subscribed(Item::Subscribe(filters), _) => {
                for declared in &mut self.declared {
                    if filters.iter().any(|(filter, _)| *filter == declared.filter) {
                        declared.standing = Standing::Granted;
                    }
                }
            }
            Brought::Message { token, .. } => {
                if let Some(token) = *token {
                    match self.acknowledging {
                        Acknowledging::AtOnce => drop(self.session.acknowledge(token)),
                        Acknowledging::Held => self.held.push(token),
                        Acknowledging::Consumed => {}
                    }
                }
                if self.acknowledging == Acknowledging::Consumed {
                    self.queue.push_back(brought.clone());
                }
                if self.queue.len() >= self.queue_limit {
                    self.pause_reading();
                }
            }
            Brought::Blocked => self.pause_reading(),
            _ => {}
        }
        self.log.push(brought);
    }

    pub(super) fn renew(&mut self) -> bool {
        let mut any = false;
        while self.session.wants_renewal() {
            any = true;
            let next = self
                .declared
                .iter_mut()
                .find(|declared| declared.standing == Standing::Wanted);
            let item = next.map(|declared| {
                declared.standing = Standing::Asked;
                Item::Subscribe(vec![(declared.filter.clone(), QoS::AtLeastOnce)])
            });
            self.session.renew(item).expect("there is room");
        }
        any
    }

    fn pause_reading(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.is_paused = true;
            self.session.handle_paused();
        }
    }

    fn resume_reading(&mut self) {
        if let Some(connection) = &mut self.connection
            && connection.is_paused
        {
            connection.is_paused = false;
            self.session.handle_resumed(self.now);
        }
    }
}
