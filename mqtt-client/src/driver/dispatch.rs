use std::mem;

use bytes::Bytes;
use mqtt_codec::session::{AckToken, Input, Message};
use mqtt_codec::wire::{QoS, SessionPresent, TopicName};

use super::Item;
use crate::{
    events::{Event, SessionState},
    message::{Queued, Receipt, Settlement},
    options::Unmatched,
    state::{Arrival, Body, DefaultStream, FullQueues, Holding, Shared, State, Unattached},
};

/// What arrives in chunks is put together here; it grows with what has come, not with what was announced.
#[derive(Debug)]
pub(super) struct Assembly {
    arrival: Arrival<'static>,
    bytes: Vec<u8>,
    token: Option<AckToken>,
}

/// A message for a full queue. At QoS 1 nothing more is read until it has found room; at QoS 0 the consumer gets one
/// turn to make some.
#[derive(Debug)]
pub(super) struct Parked {
    arrival: Arrival<'static>,
    token: Option<AckToken>,
}

impl Parked {
    pub(super) fn qos(&self) -> QoS {
        self.arrival.qos
    }
}

/// What the connection has to do after an input.
#[derive(Debug)]
pub(super) enum Action {
    None,
    Connected(SessionState),
    Assemble(Assembly),
    Park(Parked),
    Emit(Vec<Event>),
    /// No place for an acknowledgement.
    Block,
}

impl State {
    pub(super) fn handle_input(&mut self, shared: &Shared, input: Input<'_, Item>) -> Action {
        match input {
            Input::Connected { session } => Action::Connected(self.handle_connected(session)),
            Input::Message(message) => self.handle_message(shared, &message),
            Input::Acknowledged { handle, .. } => {
                if let Item::Publish(publication) = handle {
                    self.stats.acknowledged += 1;
                    self.settle_publication(publication, Ok(()));
                }
                Action::None
            }
            Input::Subscribed { handle, codes } => {
                let mut events = Vec::new();
                if let Item::Subscribe(requests) = handle {
                    let unattached = shared.unattached();
                    let deferred = &mut self.deferred;
                    events = self
                        .router
                        .handle_suback(&requests, codes, unattached, deferred);
                    self.finish_settling();
                }
                Action::Emit(events)
            }
            Input::Unsubscribed { handle } => {
                if let Item::Unsubscribe(requests) = handle {
                    self.router.handle_unsuback(&requests, &mut self.deferred);
                    self.free_untaken(shared);
                    self.free_held();
                    self.finish_settling();
                }
                Action::None
            }
            Input::Oversized {
                topic,
                remaining_length,
            } => {
                self.stats.oversized += 1;
                let topic = topic.map(|topic| topic.as_str().to_owned());
                Action::Emit(vec![Event::Oversized {
                    topic,
                    remaining_length,
                }])
            }
            Input::Discarded { .. } => {
                self.stats.received_qos1 += 1;
                self.stats.discarded_while_stalled += 1;
                Action::None
            }
            Input::Blocked => Action::Block,
            // `Payload` belongs to an assembly, which the connection holds
            Input::Unexpected(_) | Input::Payload { .. } | _ => {
                self.stats.unexpected += 1;
                Action::None
            }
        }
    }

    /// Tells those who wait for an answer of the broker's to subscriptions.
    fn finish_settling(&mut self) {
        let mut finished = self.router.take_finished();
        if self.router.is_settled() {
            finished.append(&mut self.settling);
        }
        for key in finished {
            self.complete(key, Ok(()));
        }
    }

    fn handle_connected(&mut self, session: SessionPresent) -> SessionState {
        self.stats.connections += 1;
        self.lost_qos0 = 0;
        self.holding = Holding::None;
        let parked = mem::take(&mut self.parked_at_end);
        for queue in self.router.queues() {
            queue.blocks = false;
        }
        match session {
            SessionPresent::Absent => {
                self.session_number += 1;
                self.stats.discarded_while_stalled += parked;
                self.router.handle_session_absent();
                SessionState::New
            }
            SessionPresent::Present if self.session.may_be_new() => {
                self.session_number += 1;
                self.router.renew();
                SessionState::Resumed
            }
            SessionPresent::Present => {
                // the broker sends again what nobody has acknowledged: what still lies in a queue would come twice
                let session = self.session_number;
                let comes_again = |queued: &Queued| {
                    let receipt = queued.receipt.as_ref();
                    receipt.is_some_and(|receipt| receipt.session == session)
                };
                for queue in self.router.queues() {
                    queue.extract(comes_again);
                }
                SessionState::Resumed
            }
        }
    }

    fn handle_message(&mut self, shared: &Shared, message: &Message<'_>) -> Action {
        let topic = message.topic.as_bytes();
        let arrival = Arrival {
            topic_len: topic.len() as u16,
            body: Body::Borrowed(topic, message.payload),
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
        };
        if (message.payload.len() as u32) < message.payload_len {
            let bytes = [topic, message.payload].concat();
            let arrival = Arrival {
                body: Body::Owned(Bytes::new()),
                ..arrival
            };
            return Action::Assemble(Assembly {
                arrival,
                bytes,
                token: message.token,
            });
        }
        self.handle_arrival(shared, message.topic, arrival, message.token)
    }

    fn handle_arrival(
        &mut self,
        shared: &Shared,
        topic: TopicName<'_>,
        arrival: Arrival<'_>,
        token: Option<AckToken>,
    ) -> Action {
        match self.route(shared, topic, &arrival, token) {
            true => Action::None,
            false => Action::Park(Parked {
                arrival: arrival.into_owned(),
                token,
            }),
        }
    }

    /// Puts the message into every queue that wants it; false if one of them has no room for a QoS 1 message.
    fn route(
        &mut self,
        shared: &Shared,
        topic: TopicName<'_>,
        arrival: &Arrival<'_>,
        token: Option<AckToken>,
    ) -> bool {
        let matching = self.router.matching(topic);
        if matching == 0 {
            return self.route_unmatched(shared, topic, arrival, token);
        }
        if self.waits_for_room(arrival) {
            let mut full = false;
            for index in 0..matching {
                let key = self.router.matched(index);
                full |= self.router.queue(key).blocks(arrival);
            }
            if full {
                return false;
            }
        }
        let receipt = token.map(|token| Receipt::new(token, self.session_number, matching));
        for index in 0..matching {
            let key = self.router.matched(index);
            self.push(key, arrival, receipt.clone());
        }
        self.count_received(arrival.qos);
        true
    }

    fn route_unmatched(
        &mut self,
        shared: &Shared,
        topic: TopicName<'_>,
        arrival: &Arrival<'_>,
        token: Option<AckToken>,
    ) -> bool {
        let key = self.default_queue;
        let held = self.default_stream == DefaultStream::Taken
            || (token.is_some()
                && shared.tuning.unmatched == Unmatched::Hold
                && shared.unattached() == Unattached::Keep
                && !self.router.is_ended(topic));
        if !held {
            self.stats.dropped_unmatched += 1;
            if let Some(token) = token {
                self.settle(token, Settlement::Acknowledged);
            }
        } else {
            if self.default_stream == DefaultStream::Free && self.holding == Holding::None {
                self.holding = Holding::Untold(topic.as_str().to_owned());
            }
            if self.waits_for_room(arrival) && self.router.queue(key).blocks(arrival) {
                return false;
            }
            let receipt = token.map(|token| Receipt::new(token, self.session_number, 1));
            self.push(key, arrival, receipt);
        }
        self.count_received(arrival.qos);
        true
    }

    /// Tells of the first message of a connection that is held for want of a stream.
    pub(super) fn take_unmatched(&mut self) -> Option<Event> {
        if !matches!(self.holding, Holding::Untold(_)) {
            return None;
        }
        match mem::replace(&mut self.holding, Holding::Told) {
            Holding::Untold(topic) => Some(Event::Unmatched { topic }),
            Holding::None | Holding::Told => None,
        }
    }

    fn waits_for_room(&self, arrival: &Arrival<'_>) -> bool {
        arrival.qos != QoS::AtMostOnce || self.full_queues == FullQueues::Yield
    }

    fn push(&mut self, key: usize, arrival: &Arrival<'_>, receipt: Option<Receipt>) {
        let queue = self.router.queue(key);
        if !queue.has_room_for(arrival) {
            self.stats.dropped_by_full_queue += 1;
            return;
        }
        queue.push(arrival, receipt);
        queue.wake(&mut self.deferred);
    }

    fn count_received(&mut self, qos: QoS) {
        match qos {
            QoS::AtMostOnce => self.stats.received_qos0 += 1,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.stats.received_qos1 += 1,
        }
    }

    /// Tries again for a message that found no room.
    pub(super) fn retry(&mut self, shared: &Shared, parked: Parked) -> Option<Parked> {
        let topic = TopicName::assume_checked(parked.arrival.topic());
        let found_room = self.route(shared, topic, &parked.arrival, parked.token);
        (!found_room).then_some(parked)
    }

    /// Gives up a message that found no room: at QoS 0 for good, at QoS 1 till the broker sends it on the next connection.
    pub(super) fn drop_parked(&mut self, shared: &Shared, parked: Parked) {
        match parked.token {
            None => {
                self.full_queues = FullQueues::Drop;
                self.retry(shared, parked);
            }
            Some(token) => {
                self.stats.received_qos1 += 1;
                self.stats.discarded_while_stalled += 1;
                self.session.give_up(token);
            }
        }
    }

    /// The connection has ended under a message that found no room: only a session that persists brings it again, if
    /// the broker keeps it.
    pub(super) fn lose_parked(&mut self, shared: &Shared, parked: Parked) {
        if parked.token.is_none() || shared.unattached() == Unattached::Unsubscribe {
            self.drop_parked(shared, parked);
        } else {
            self.parked_at_end += 1;
        }
    }

    /// Whether every queue that held up the connection was worked off.
    pub(super) fn are_queues_drained(&mut self) -> bool {
        for queue in self.router.queues() {
            queue.blocks &= !queue.is_drained();
        }
        self.router.queues().all(|queue| !queue.blocks)
    }
}

impl Assembly {
    /// Takes the next chunk; with the last one, the message is routed.
    pub(super) fn push(
        mut self,
        state: &mut State,
        shared: &Shared,
        bytes: &[u8],
        left: u32,
    ) -> Action {
        self.make_room(bytes.len(), left as usize);
        self.bytes.extend_from_slice(bytes);
        if left > 0 {
            return Action::Assemble(self);
        }
        let arrival = Arrival {
            body: Body::Owned(self.bytes.into()),
            ..self.arrival
        };
        let parked = Parked {
            arrival,
            token: self.token,
        };
        match state.retry(shared, parked) {
            None => Action::None,
            Some(parked) => Action::Park(parked),
        }
    }

    /// For `n` bytes, with `left` behind them: twice as much as there is, but no more than the message takes, since the queues
    /// count no more.
    fn make_room(&mut self, n: usize, left: usize) {
        let len = self.bytes.len() + n;
        if len > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).clamp(len, len + left);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }
}
