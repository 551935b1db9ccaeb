use std::{collections::VecDeque, task::Waker};

use bytes::{Bytes, BytesMut};
use mqtt_codec::wire::{Dup, QoS, Retain};

use super::Deferred;
use crate::{
    message::{Content, Queued, Receipt},
    options::{Capacity, Filter},
};

/// Messages for one stream, bounded by count, for QoS 0 and QoS 1 each, and by bytes.
#[derive(Debug)]
pub(crate) struct Queue {
    items: VecDeque<Queued>,
    /// In `items`.
    queued: Held,
    /// In the batch that the stream has taken and not worked off.
    taken: Held,
    capacity: Capacity,
    arena: BytesMut,
    pub(crate) waker: Option<Waker>,
    /// A QoS 1 message waits for room here, or has found none and those behind it are discarded.
    pub(crate) blocks: bool,
    /// Filters that the broker refused and the stream has not told yet.
    pub(crate) refusals: VecDeque<Filter>,
    /// No filter is left: the stream ends behind what is queued. The end of the client is not told here.
    pub(crate) is_over: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// Messages at QoS 0 and QoS 1.
    messages: [usize; 2],
    bytes: usize,
}

impl Held {
    fn add(&mut self, queued: &Queued) {
        self.messages[index(queued.content.qos)] += 1;
        self.bytes += queued.content.bytes.len();
    }

    fn remove(&mut self, queued: &Queued) {
        self.messages[index(queued.content.qos)] -= 1;
        self.bytes -= queued.content.bytes.len();
    }
}

/// A message as it stands in the read buffer, or whole in a buffer of its own.
#[derive(Debug, Clone)]
pub(crate) struct Arrival<'b> {
    pub(crate) topic_len: u16,
    pub(crate) body: Body<'b>,
    pub(crate) qos: QoS,
    pub(crate) retain: Retain,
    pub(crate) dup: Dup,
}

#[derive(Debug, Clone)]
pub(crate) enum Body<'b> {
    /// Topic and payload, to be copied.
    Borrowed(&'b [u8], &'b [u8]),
    /// The topic and behind it the payload, to be shared.
    Owned(Bytes),
}

impl Arrival<'_> {
    pub(crate) fn topic(&self) -> &[u8] {
        match &self.body {
            Body::Borrowed(topic, _) => topic,
            Body::Owned(bytes) => &bytes[..usize::from(self.topic_len)],
        }
    }

    pub(crate) fn into_owned(self) -> Arrival<'static> {
        let bytes = match self.body {
            Body::Borrowed(topic, payload) => [topic, payload].concat().into(),
            Body::Owned(bytes) => bytes,
        };
        let (topic_len, qos, retain, dup) = (self.topic_len, self.qos, self.retain, self.dup);
        Arrival {
            topic_len,
            body: Body::Owned(bytes),
            qos,
            retain,
            dup,
        }
    }

    fn len(&self) -> usize {
        match &self.body {
            Body::Borrowed(topic, payload) => topic.len() + payload.len(),
            Body::Owned(bytes) => bytes.len(),
        }
    }
}

/// Small messages are gathered in buffers of this size, so that none holds a read buffer.
const ARENA: usize = 4 * 1_024;
const SMALL: usize = 1_024;

impl Queue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            items: VecDeque::new(),
            queued: Held::default(),
            taken: Held::default(),
            capacity,
            arena: BytesMut::new(),
            waker: None,
            blocks: false,
            refusals: VecDeque::new(),
            is_over: false,
        }
    }

    /// One message fits always, however large.
    pub(crate) fn has_room_for(&self, arrival: &Arrival<'_>) -> bool {
        let index = index(arrival.qos);
        let held = self.queued.messages[index] + self.taken.messages[index];
        let bytes = self.queued.bytes + self.taken.bytes + arrival.len();
        held < self.capacity.messages && (held == 0 || bytes <= self.capacity.bytes)
    }

    /// Whether the message has to wait here. At QoS 1 it waits for room, and the connection is told when there is some;
    /// at QoS 0, which has room of its own, only for the consumer's turn.
    pub(crate) fn blocks(&mut self, arrival: &Arrival<'_>) -> bool {
        let is_full = !self.has_room_for(arrival);
        if arrival.qos != QoS::AtMostOnce {
            self.blocks = is_full;
        }
        is_full
    }

    pub(crate) fn push(&mut self, arrival: &Arrival<'_>, receipt: Option<Receipt>) {
        let bytes = match &arrival.body {
            Body::Owned(bytes) => bytes.clone(),
            Body::Borrowed(topic, payload) => self.copy(topic, payload),
        };
        let content = Content {
            bytes,
            topic_len: arrival.topic_len,
            qos: arrival.qos,
            retain: arrival.retain,
            dup: arrival.dup,
        };
        self.push_queued(Queued { content, receipt });
    }

    /// Takes over a message of another queue, whatever the room.
    pub(crate) fn push_queued(&mut self, queued: Queued) {
        self.queued.add(&queued);
        self.items.push_back(queued);
    }

    /// The same for one that is older than those that are queued.
    pub(crate) fn push_older(&mut self, queued: Queued) {
        self.queued.add(&queued);
        self.items.push_front(queued);
    }

    /// Undoes [`take_batch`](Self::take_batch) for what is left of the batch.
    pub(crate) fn put_back(&mut self, batch: &mut VecDeque<Queued>) {
        batch.append(&mut self.items);
        std::mem::swap(&mut self.items, batch);
        self.taken = Held::default();
        self.queued = Held::default();
        for queued in &self.items {
            self.queued.add(queued);
        }
    }

    pub(crate) fn wake(&mut self, deferred: &mut Deferred) {
        deferred.wake(self.waker.take());
    }

    /// Exchanges the queued messages with an empty batch: the stream works it off without asking
    /// again. Until then it counts as held.
    pub(crate) fn take_batch(&mut self, batch: &mut VecDeque<Queued>) {
        debug_assert!(batch.is_empty(), "the stream has worked off its last batch");
        std::mem::swap(&mut self.items, batch);
        self.taken = std::mem::take(&mut self.queued);
    }

    /// Frees the room of an empty queue, for an idle connection.
    pub(crate) fn shrink(&mut self) {
        if self.items.is_empty() {
            self.items = VecDeque::new();
            self.arena = BytesMut::new();
        }
    }

    /// Whether everything was worked off, as far as the stream has said.
    pub(crate) fn is_drained(&self) -> bool {
        self.items.is_empty() && self.taken.messages == [0; 2]
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Takes every queued message out that `chosen` says.
    pub(crate) fn extract(&mut self, mut chosen: impl FnMut(&Queued) -> bool) -> Vec<Queued> {
        let mut taken = Vec::new();
        for _ in 0..self.items.len() {
            let Some(queued) = self.items.pop_front() else {
                break;
            };
            if chosen(&queued) {
                self.queued.remove(&queued);
                taken.push(queued);
            } else {
                self.items.push_back(queued);
            }
        }
        taken
    }

    fn copy(&mut self, topic: &[u8], payload: &[u8]) -> Bytes {
        let len = topic.len() + payload.len();
        if len > SMALL {
            let mut bytes = BytesMut::with_capacity(len);
            bytes.extend_from_slice(topic);
            bytes.extend_from_slice(payload);
            return bytes.freeze();
        }
        if self.arena.capacity() < len {
            self.arena = BytesMut::with_capacity(ARENA);
        }
        self.arena.extend_from_slice(topic);
        self.arena.extend_from_slice(payload);
        self.arena.split().freeze()
    }
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued")
            .field("bytes", &self.content.bytes.len())
            .finish_non_exhaustive()
    }
}

const fn index(qos: QoS) -> usize {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce | QoS::ExactlyOnce => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frees_its_room_once_it_is_empty() {
        let mut queue = Queue::new(Capacity::new(100, 10_000));
        let arrival = Arrival {
            topic_len: 1,
            body: Body::Borrowed(b"t", b"payload"),
            qos: QoS::AtMostOnce,
            retain: Retain::No,
            dup: Dup::First,
        };
        for _ in 0..100 {
            queue.push(&arrival, None);
        }
        queue.shrink();
        assert_eq!(queue.extract(|_| true).len(), 100);
        queue.shrink();
        assert_eq!((queue.items.capacity(), queue.arena.capacity()), (0, 0));
        queue.push(&arrival, None);
        assert_eq!(&*queue.extract(|_| true)[0].content.bytes, b"tpayload");
    }
}
