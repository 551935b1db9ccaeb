//! What is asked of the broker, and what its answers change.
use mqtt_codec::wire::{QoS, SubAckCode};

use super::{Attachment, Phase, Refused, Router, Subscription, Unattached};
use crate::{
    events::Event,
    options::Filter,
    state::{
        Deferred,
        item::{Item, Request},
    },
};

/// Some brokers refuse more in one SUBSCRIBE.
const FILTERS_PER_PACKET: usize = 8;

/// Unsubscribed filters that are remembered.
const ENDED: usize = 64;

impl Router {
    /// The broker has forgotten the session.
    pub(crate) fn handle_session_absent(&mut self) {
        self.ended.clear();
        self.renew();
    }

    /// The broker may know nothing of the subscriptions that it has acknowledged.
    pub(crate) fn renew(&mut self) {
        for index in 0..self.subscriptions.len() {
            if let Some(Subscription {
                phase: Phase::Active(_),
                ..
            }) = self.subscriptions[index]
            {
                self.set_phase(index, Phase::Wanted);
            }
        }
    }

    /// The next SUBSCRIBE that is wanted.
    pub(crate) fn next_subscribe(&mut self) -> Option<Item> {
        if self.wanted == 0 {
            return None;
        }
        Some(Item::Subscribe(
            self.collect(Phase::Wanted, Phase::Requested),
        ))
    }

    /// The next UNSUBSCRIBE that is wanted.
    pub(crate) fn next_unsubscribe(&mut self) -> Option<Item> {
        if self.leaving == 0 {
            return None;
        }
        Some(Item::Unsubscribe(
            self.collect(Phase::Leaving, Phase::LeaveRequested),
        ))
    }

    /// Returns what an operator should know.
    pub(crate) fn handle_suback(
        &mut self,
        requests: &[Request],
        codes: impl Iterator<Item = SubAckCode>,
        unattached: Unattached,
        deferred: &mut Deferred,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for (request, code) in requests.iter().zip(codes) {
            let index = request.subscription;
            let (filter, requested) = (request.filter.clone(), request.qos);
            match code {
                SubAckCode::Granted(granted) => {
                    if granted < requested {
                        events.push(Event::SubscriptionDowngraded {
                            filter,
                            requested,
                            granted,
                        });
                    }
                    self.handle_granted(index, granted, unattached, deferred);
                }
                SubAckCode::Failure => {
                    events.push(Event::SubscriptionRefused { filter });
                    self.handle_refused(index, deferred);
                }
            }
        }
        events
    }

    pub(crate) fn handle_unsuback(&mut self, requests: &[Request], deferred: &mut Deferred) {
        for request in requests {
            let index = request.subscription;
            let Some(sub) = self.subscriptions[index].as_mut() else {
                continue;
            };
            // nobody is left who asked again, if that call was cancelled
            let is_new = |attachment: &Attachment| attachment.outcome.is_none();
            if !std::mem::take(&mut sub.again) || !sub.attachments.iter().any(is_new) {
                self.remove(index, deferred);
                self.note_ended(&request.filter);
                continue;
            }
            self.finished.append(&mut sub.unsubscribers);
            let (new, old): (Vec<_>, Vec<_>) = std::mem::take(&mut sub.attachments)
                .into_iter()
                .partition(is_new);
            sub.attachments = new;
            self.set_phase(index, Phase::Wanted);
            self.end_streams(old.iter().map(|attachment| attachment.queue), deferred);
        }
    }

    fn handle_granted(
        &mut self,
        index: usize,
        qos: QoS,
        unattached: Unattached,
        deferred: &mut Deferred,
    ) {
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        for attachment in &mut sub.attachments {
            // asked for while SUBSCRIBE was under way: the next one is theirs
            let is_next = sub.again && attachment.outcome.is_none();
            if is_next || attachment.is_over() {
                continue;
            }
            attachment.outcome = Some(Ok(qos));
            if let Some(queue) = self.queues[attachment.queue].as_mut() {
                queue.wake(deferred);
            }
        }
        let again = std::mem::take(&mut sub.again);
        let left = std::mem::take(&mut sub.abandoned);
        let orphaned = sub.attachments.is_empty();
        self.set_phase(index, Phase::Active(qos));
        if left || (orphaned && unattached == Unattached::Unsubscribe) {
            self.leave(index);
        }
        if again {
            self.want(index);
        }
    }

    fn handle_refused(&mut self, index: usize, deferred: &mut Deferred) {
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        let mut ended = Vec::new();
        for attachment in &mut sub.attachments {
            // as for those that are granted; one that was refused before has been told
            let is_next = sub.again && attachment.outcome.is_none();
            if is_next || attachment.is_over() {
                continue;
            }
            attachment.outcome = Some(Err(Refused));
            ended.push(attachment.queue);
            if let Some(queue) = self.queues[attachment.queue].as_mut() {
                queue.refusals.push_back(sub.filter.clone());
                queue.wake(deferred);
            }
        }
        self.finished.append(&mut sub.unsubscribers);
        sub.abandoned = false;
        let orphaned = sub.attachments.is_empty();
        let again = std::mem::take(&mut sub.again);
        self.set_phase(index, if again { Phase::Wanted } else { Phase::Refused });
        if orphaned && !again {
            self.remove(index, deferred);
        }
        self.end_streams(ended, deferred);
    }

    fn collect(&mut self, from: Phase, to: Phase) -> Vec<Request> {
        let mut requests = Vec::new();
        for index in 0..self.subscriptions.len() {
            let Some(sub) = self.subscriptions[index]
                .as_ref()
                .filter(|sub| sub.phase == from)
            else {
                continue;
            };
            requests.push(Request {
                subscription: index,
                filter: sub.filter.clone(),
                qos: sub.qos,
            });
            self.set_phase(index, to);
            if requests.len() == FILTERS_PER_PACKET {
                break;
            }
        }
        requests
    }

    fn note_ended(&mut self, filter: &Filter) {
        self.ended.retain(|ended| ended != filter);
        if self.ended.len() == ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(filter.clone());
    }
}
