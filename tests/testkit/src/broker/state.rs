use std::collections::VecDeque;

use mqtt_codec::wire::{CleanSession, PacketId, QoS, TopicFilter};

use super::LinkId;
use super::matches;

/// What the broker keeps for a client, beyond a connection if the session is persistent.
#[derive(Debug)]
pub(super) struct State {
    pub(super) clean_session: CleanSession,
    pub(super) link: Option<LinkId>,
    pub(super) subscriptions: Vec<(String, QoS)>,
    pub(super) max_in_flight: usize,
    /// Sent at QoS 1 and not acknowledged, in order; `resend` of them are due again.
    in_flight: VecDeque<Outgoing>,
    resend: usize,
    waiting: VecDeque<Outgoing>,
    next_id: u16,
}

/// A message on its way to the client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// `None` at QoS 0.
    pub(super) id: Option<PacketId>,
    pub(super) sends: u32,
    /// A later one was acknowledged on this connection: this one may not be any more.
    passed_over: bool,
    qos: QoS,
}

impl Default for State {
    fn default() -> Self {
        Self {
            clean_session: CleanSession::Persistent,
            link: None,
            subscriptions: Vec::new(),
            max_in_flight: 0,
            in_flight: VecDeque::new(),
            resend: 0,
            waiting: VecDeque::new(),
            next_id: 0,
        }
    }
}

impl State {
    pub(super) fn subscribe<'f>(&mut self, filters: impl Iterator<Item = (TopicFilter<'f>, QoS)>) {
        for (filter, qos) in filters {
            match self
                .subscriptions
                .iter_mut()
                .find(|(held, _)| held == filter.as_str())
            {
                Some((_, held)) => *held = qos,
                None => self.subscriptions.push((filter.as_str().into(), qos)),
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, filter: TopicFilter<'_>) {
        self.subscriptions
            .retain(|(held, _)| held != filter.as_str());
    }

    /// The highest QoS of the subscriptions that match.
    pub(super) fn granted(&self, topic: &str) -> Option<QoS> {
        let matching = self
            .subscriptions
            .iter()
            .filter(|(filter, _)| matches(filter, topic));
        matching.map(|(_, qos)| *qos).max()
    }

    /// A client that is away is kept messages at QoS 1 alone.
    pub(super) fn queue(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        if qos == QoS::AtMostOnce && self.link.is_none() {
            return;
        }
        self.waiting.push_back(Outgoing {
            topic: topic.into(),
            payload: payload.into(),
            id: None,
            sends: 0,
            passed_over: false,
            qos,
        });
    }

    /// A new connection: everything unacknowledged goes out again, in its order [MQTT-4.4.0-1] [MQTT-4.6.0-6].
    pub(super) fn rewind(&mut self) {
        self.resend = self.in_flight.len();
        for message in &mut self.in_flight {
            message.passed_over = false;
        }
    }

    /// What is to be sent now.
    pub(super) fn due(&mut self) -> Vec<Outgoing> {
        let mut due = Vec::new();
        let first = self.in_flight.len() - self.resend;
        for message in self.in_flight.iter_mut().skip(first) {
            message.sends += 1;
            due.push(message.clone());
        }
        self.resend = 0;
        while let Some(next) = self.waiting.front() {
            let at_least_once = next.qos == QoS::AtLeastOnce;
            if at_least_once && self.in_flight.len() >= self.max_in_flight {
                break;
            }
            let Some(mut message) = self.waiting.pop_front() else {
                break;
            };
            message.sends = 1;
            if at_least_once {
                message.id = Some(self.unused_id());
                self.in_flight.push_back(message.clone());
            }
            due.push(message);
        }
        due
    }

    pub(super) fn acknowledge(&mut self, id: PacketId) -> Result<(), &'static str> {
        let position = self
            .in_flight
            .iter()
            .position(|message| message.id == Some(id))
            .ok_or("PUBACK for a message that is not in flight [MQTT-2.3.1-6]")?;
        for message in self.in_flight.iter_mut().take(position) {
            message.passed_over = true;
        }
        match self.in_flight.remove(position) {
            Some(message) if message.passed_over => Err("PUBACK out of order [MQTT-4.6.0-2]"),
            _ => Ok(()),
        }
    }

    pub(super) fn undelivered(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    fn unused_id(&mut self) -> PacketId {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.next_id)
                && !self.in_flight.iter().any(|message| message.id == Some(id))
            {
                return id;
            }
        }
    }
}
