mod exchange;

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
};

use mqtt_codec::wire::{QoS, TopicName};

use super::{Deferred, completion::CompletionKey, queue::Queue};
use crate::options::Filter;

/// Subscriptions, and which queue gets what.
#[derive(Debug, Default)]
pub(crate) struct Router {
    subscriptions: Vec<Option<Subscription>>,
    by_filter: HashMap<Filter, usize>,
    /// Subscriptions whose filter has a wildcard or a share, so that looking it up is not enough.
    patterns: Vec<usize>,
    queues: Vec<Option<Queue>>,
    /// Subscriptions to be asked for or given up, by count.
    wanted: usize,
    leaving: usize,
    cache: Cache,
    /// Of those who waited for an end that has come.
    finished: Vec<CompletionKey>,
    /// Filters unsubscribed last: the broker may go on to deliver what it had for them.
    ended: VecDeque<Filter>,
}

/// Where the last topic went: publishers tend to repeat themselves.
#[derive(Debug, Default)]
struct Cache {
    topic: Vec<u8>,
    queues: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: Filter,
    qos: QoS,
    phase: Phase,
    /// It was asked for again while an answer was awaited, or before it has ended: it is wanted then.
    again: bool,
    /// It is to be given up when the answer has come.
    abandoned: bool,
    /// It was declared or granted to a call, or stood before: a call that is cancelled does not end it.
    stands: bool,
    attachments: Vec<Attachment>,
    unsubscribers: Vec<CompletionKey>,
}

/// ```text
/// Wanted ─SUBSCRIBE─► Requested ─SUBACK─► Active ─► Leaving ─UNSUBSCRIBE─► LeaveRequested ─UNSUBACK─► gone
///   ▲                                        │
///   └──────────── session lost ──────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Wanted,
    Requested,
    Active(QoS),
    /// The broker said no; kept until the streams have read that.
    Refused,
    Leaving,
    LeaveRequested,
}

#[derive(Debug)]
struct Attachment {
    queue: usize,
    /// The broker's answer to this stream's request.
    outcome: Option<Granted>,
}

impl Attachment {
    /// The broker refused it: the stream has ended, or goes on without this filter, whoever is granted it later.
    fn is_over(&self) -> bool {
        matches!(self.outcome, Some(Err(Refused)))
    }
}

/// The broker's answer to one filter.
pub(crate) type Granted = Result<QoS, Refused>;

/// SUBACK 0x80.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// What becomes of a subscription without stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unattached {
    Keep,
    /// It stays if it stood before the call that is cancelled.
    KeepStanding,
    Unsubscribe,
}

impl Borrow<str> for Filter {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Router {
    pub(crate) fn add_queue(&mut self, queue: Queue) -> usize {
        if let Some(key) = self.queues.iter().position(Option::is_none) {
            self.queues[key] = Some(queue);
            return key;
        }
        self.queues.push(Some(queue));
        self.queues.len() - 1
    }

    pub(crate) fn queue(&mut self, key: usize) -> &mut Queue {
        self.queues[key]
            .as_mut()
            .expect("a queue lives as long as its stream")
    }

    pub(crate) fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.iter_mut().flatten()
    }

    /// The queues whose filters match, none twice.
    pub(crate) fn matching(&mut self, topic: TopicName<'_>) -> usize {
        if self.cache.topic == topic.as_bytes() {
            return self.cache.queues.len();
        }
        let mut found = std::mem::take(&mut self.cache.queues);
        found.clear();
        let exact = self.by_filter.get(topic.as_str()).copied();
        let patterns = self.patterns.iter().copied().filter(|&index| {
            self.subscriptions[index]
                .as_ref()
                .is_some_and(|sub| sub.filter.filter().matches(topic))
        });
        for index in exact.into_iter().chain(patterns) {
            let sub = self.subscriptions[index].iter();
            let attachments = sub.flat_map(|sub| &sub.attachments);
            for attachment in attachments.filter(|attachment| !attachment.is_over()) {
                if !found.contains(&attachment.queue) {
                    found.push(attachment.queue);
                }
            }
        }
        self.cache.topic.clear();
        self.cache.topic.extend_from_slice(topic.as_bytes());
        self.cache.queues = found;
        self.cache.queues.len()
    }

    /// The `index`-th queue of the last [`matching`](Self::matching).
    pub(crate) fn matched(&self, index: usize) -> usize {
        self.cache.queues[index]
    }

    /// Connects a queue with a filter and has SUBSCRIBE sent, even if the broker has it: a new
    /// stream expects retained messages.
    pub(crate) fn subscribe(&mut self, filter: &Filter, qos: QoS, queue: usize) {
        let index = self.entry(filter, qos);
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        sub.qos = sub.qos.max(qos);
        if sub.phase == Phase::Refused {
            // it is over for them
            sub.attachments.clear();
        }
        sub.attachments.push(Attachment {
            queue,
            outcome: None,
        });
        self.want(index);
    }

    /// The subscriptions of a queue are no longer those of a call that may be cancelled.
    pub(crate) fn confirm(&mut self, queue: usize) {
        for sub in self.subscriptions.iter_mut().flatten() {
            let mut attachments = sub.attachments.iter();
            sub.stands |= attachments.any(|attachment| attachment.queue == queue);
        }
    }

    /// Connects a queue with a filter that has no stream; `None` if the filter is unknown or has
    /// one.
    pub(crate) fn attach(&mut self, filter: &str, queue: usize) -> Option<()> {
        let index = *self.by_filter.get(filter)?;
        let sub = self.subscriptions[index].as_mut()?;
        if !sub.attachments.is_empty() {
            return None;
        }
        let outcome = match sub.phase {
            Phase::Active(qos) => Some(Ok(qos)),
            _ => None,
        };
        sub.attachments.push(Attachment { queue, outcome });
        self.cache = Cache::default();
        Some(())
    }

    pub(crate) fn knows(&self, filter: &str) -> bool {
        self.by_filter.contains_key(filter)
    }

    /// Whether the queue belongs to the filter, refused or not.
    pub(crate) fn has(&self, filter: &Filter, queue: usize) -> bool {
        let index = self.by_filter.get(filter);
        let sub = index.and_then(|&index| self.subscriptions[index].as_ref());
        let mut attachments = sub.iter().flat_map(|sub| &sub.attachments);
        attachments.any(|attachment| attachment.queue == queue)
    }

    /// Removes a stream's queue and returns it.
    pub(crate) fn remove_queue(
        &mut self,
        key: usize,
        unattached: Unattached,
        deferred: &mut Deferred,
    ) -> Option<Queue> {
        for index in 0..self.subscriptions.len() {
            let Some(sub) = self.subscriptions[index].as_mut() else {
                continue;
            };
            let before = sub.attachments.len();
            sub.attachments.retain(|attachment| attachment.queue != key);
            if before == 0 || !sub.attachments.is_empty() {
                continue;
            }
            let leaves = match unattached {
                Unattached::Keep => false,
                Unattached::KeepStanding => !sub.stands,
                Unattached::Unsubscribe => true,
            };
            if sub.phase == Phase::Refused {
                self.remove(index, deferred);
            } else if leaves {
                self.leave(index);
            }
        }
        self.cache = Cache::default();
        self.queues.get_mut(key)?.take()
    }

    /// Has UNSUBSCRIBE sent, for a filter known or not.
    pub(crate) fn unsubscribe(&mut self, filter: &Filter, completion: CompletionKey) {
        let index = self.entry(filter, QoS::AtMostOnce);
        if let Some(sub) = self.subscriptions[index].as_mut() {
            sub.unsubscribers.push(completion);
        }
        self.leave(index);
    }

    /// The answers to a stream's filters, `None` while one is awaited.
    pub(crate) fn granted(&self, queue: usize, filters: &[Filter]) -> Option<Vec<Granted>> {
        filters
            .iter()
            .map(|filter| {
                let Some(&index) = self.by_filter.get(filter) else {
                    return Some(Err(Refused));
                };
                let attachments = self.subscriptions[index]
                    .iter()
                    .flat_map(|sub| &sub.attachments);
                match attachments
                    .into_iter()
                    .find(|attachment| attachment.queue == queue)
                {
                    Some(attachment) => attachment.outcome,
                    None => Some(Err(Refused)),
                }
            })
            .collect()
    }

    /// Whether the broker has answered for every subscription.
    pub(crate) fn is_settled(&self) -> bool {
        self.wanted == 0
            && !self
                .subscriptions
                .iter()
                .flatten()
                .any(|sub| sub.phase == Phase::Requested)
    }

    /// Completions of unsubscribes that are over, to be told.
    pub(crate) fn take_finished(&mut self) -> Vec<CompletionKey> {
        std::mem::take(&mut self.finished)
    }

    /// Whether a subscription that goes on matches the topic.
    pub(crate) fn is_subscribed(&self, topic: TopicName<'_>) -> bool {
        self.subscriptions.iter().flatten().any(|sub| {
            !matches!(
                sub.phase,
                Phase::Leaving | Phase::LeaveRequested | Phase::Refused
            ) && sub.filter.filter().matches(topic)
        })
    }

    /// Whether the topic belongs to subscriptions that have ended, and to no other.
    pub(crate) fn is_ended(&self, topic: TopicName<'_>) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|filter| filter.filter().matches(topic)) && !self.is_subscribed(topic)
    }

    /// Whether one of the stream's filters is not refused.
    pub(crate) fn is_attached(&self, queue: usize) -> bool {
        let subscriptions = self.subscriptions.iter().flatten();
        subscriptions
            .flat_map(|sub| &sub.attachments)
            .any(|attachment| attachment.queue == queue && !attachment.is_over())
    }

    /// The client ends: nobody gets an answer any more.
    pub(crate) fn abandon_unsubscribers(&mut self) -> Vec<CompletionKey> {
        let mut completions = self.take_finished();
        for sub in self.subscriptions.iter_mut().flatten() {
            completions.append(&mut sub.unsubscribers);
        }
        completions
    }

    /// Forgets those who wait for an unsubscribe and are not to be kept.
    pub(crate) fn retain_unsubscribers(&mut self, mut keep: impl FnMut(CompletionKey) -> bool) {
        self.finished.retain(|&key| keep(key));
        for sub in self.subscriptions.iter_mut().flatten() {
            sub.unsubscribers.retain(|&key| keep(key));
        }
    }

    /// The place of a filter's subscription, made if need be.
    fn entry(&mut self, filter: &Filter, qos: QoS) -> usize {
        if let Some(&index) = self.by_filter.get(filter) {
            return index;
        }
        let subscription = Subscription {
            filter: filter.clone(),
            qos,
            phase: Phase::Active(qos),
            again: false,
            abandoned: false,
            stands: false,
            attachments: Vec::new(),
            unsubscribers: Vec::new(),
        };
        let index = match self.subscriptions.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.subscriptions.push(None);
                self.subscriptions.len() - 1
            }
        };
        self.subscriptions[index] = Some(subscription);
        self.by_filter.insert(filter.clone(), index);
        if filter.as_str().contains(['+', '#']) || filter.as_str().starts_with("$share/") {
            self.patterns.push(index);
        }
        self.cache = Cache::default();
        index
    }

    fn want(&mut self, index: usize) {
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        // who has asked for its end waits for UNSUBACK
        let ends_first = !sub.unsubscribers.is_empty();
        sub.abandoned &= ends_first;
        match sub.phase {
            Phase::Requested | Phase::LeaveRequested => sub.again = true,
            Phase::Leaving if ends_first => sub.again = true,
            _ => self.set_phase(index, Phase::Wanted),
        }
        self.cache = Cache::default();
    }

    fn leave(&mut self, index: usize) {
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        sub.stands = false;
        match sub.phase {
            // the SUBACK comes first
            Phase::Requested => {
                sub.abandoned = true;
                sub.again = false;
            }
            Phase::Leaving | Phase::LeaveRequested => sub.again = false,
            _ => self.set_phase(index, Phase::Leaving),
        }
    }

    fn set_phase(&mut self, index: usize, phase: Phase) {
        let Some(sub) = self.subscriptions[index].as_mut() else {
            return;
        };
        let before = std::mem::replace(&mut sub.phase, phase);
        self.wanted -= usize::from(before == Phase::Wanted);
        self.leaving -= usize::from(before == Phase::Leaving);
        self.wanted += usize::from(phase == Phase::Wanted);
        self.leaving += usize::from(phase == Phase::Leaving);
    }

    fn remove(&mut self, index: usize, deferred: &mut Deferred) {
        self.set_phase(index, Phase::Active(QoS::AtMostOnce));
        let Some(mut sub) = self.subscriptions[index].take() else {
            return;
        };
        self.finished.append(&mut sub.unsubscribers);
        self.by_filter.remove(&sub.filter);
        self.patterns.retain(|&pattern| pattern != index);
        let queues = sub.attachments.iter().map(|attachment| attachment.queue);
        self.end_streams(queues, deferred);
    }

    /// Ends those of the streams that have no filter left.
    fn end_streams(&mut self, queues: impl IntoIterator<Item = usize>, deferred: &mut Deferred) {
        self.cache = Cache::default();
        for key in queues {
            if self.is_attached(key) {
                continue;
            }
            if let Some(queue) = self.queues[key].as_mut() {
                queue.is_over = true;
                queue.wake(deferred);
            }
        }
    }
}
