//! What streams leave behind, and what waits for one.
use std::{collections::VecDeque, mem};

use mqtt_codec::wire::TopicName;

use super::{DefaultStream, Foreign, Router, Shared, State, Unattached};
use crate::{
    message::{Left, Queued, Receipt, Settlement},
    options::Unmatched,
};

impl State {
    /// Takes back what a stream leaves behind: in a session that persists, QoS 1 messages wait for the next stream.
    /// Those of QoS 0 are dropped.
    pub(crate) fn release_stream(
        &mut self,
        shared: &Shared,
        key: usize,
        batch: &mut VecDeque<Queued>,
        unattached: Unattached,
    ) {
        let removed = self
            .router
            .remove_queue(key, unattached, &mut self.deferred);
        let Some(mut queue) = removed else {
            return;
        };
        if let Some(waker) = queue.waker.take() {
            self.deferred.end(Foreign::Waker(waker));
        }
        let rest = queue.extract(|_| true);
        let blocks = queue.blocks;
        let unread = batch.drain(..).chain(rest).collect();
        let is_wanted = |router: &Router, topic: TopicName<'_>| match unattached {
            // a call that came to nothing gives back what was held for others as well
            Unattached::KeepStanding => !router.is_ended(topic),
            Unattached::Keep | Unattached::Unsubscribe => router.is_subscribed(topic),
        };
        self.leave_unread(shared, unread, is_wanted);
        if blocks || self.router.queue(self.default_queue).len() > 0 {
            let queue = self.router.queue(self.default_queue);
            queue.wake(&mut self.deferred);
        }
    }

    /// The same for the default stream, whose queue stays.
    pub(crate) fn release_default_stream(&mut self, shared: &Shared, batch: &mut VecDeque<Queued>) {
        self.default_stream = DefaultStream::Free;
        let queue = self.router.queue(self.default_queue);
        queue.put_back(batch);
        let unread = queue.extract(|_| true);
        self.leave_unread(shared, unread, |router, topic| !router.is_ended(topic));
    }

    /// Hands messages that a stream had not taken to those who want them too, holds them for the next one, or settles
    /// them: what nobody takes must not hold up the acknowledgements behind it.
    fn leave_unread(
        &mut self,
        shared: &Shared,
        unread: Vec<Queued>,
        is_wanted: impl Fn(&Router, TopicName<'_>) -> bool,
    ) {
        let mut moved = Vec::new();
        for queued in unread {
            let topic = queued.content.topic();
            let left = queued.receipt.as_ref().map(Receipt::leave);
            match left {
                Some(Left::ToOthers) => {}
                Some(Left::Last) => self.settle_queued(&queued, Settlement::Acknowledged),
                // a stream that is younger than the message
                Some(Left::Unseen) if self.router.matching(topic) > 0 => {
                    moved.push((self.router.matched(0), queued));
                }
                Some(Left::Unseen) if shared.unattached() == Unattached::Unsubscribe => {
                    self.settle_queued(&queued, Settlement::GivenUp);
                }
                Some(Left::Unseen)
                    if is_wanted(&self.router, topic)
                        && shared.tuning.unmatched == Unmatched::Hold =>
                {
                    self.router.queue(self.default_queue).push_queued(queued);
                }
                Some(Left::Unseen) => {
                    self.stats.dropped_unmatched += 1;
                    self.settle_queued(&queued, Settlement::Acknowledged);
                }
                None => self.stats.dropped_unmatched += 1,
            }
        }
        for (key, queued) in moved.into_iter().rev() {
            let queue = self.router.queue(key);
            queue.push_older(queued);
            queue.wake(&mut self.deferred);
        }
    }

    /// Frees the queues of declared subscriptions that ended before anybody took their stream.
    pub(crate) fn free_untaken(&mut self, shared: &Shared) {
        let router = &self.router;
        let (kept, ended): (Vec<_>, Vec<_>) = mem::take(&mut self.untaken)
            .into_iter()
            .partition(|(filter, key)| router.has(filter, *key));
        self.untaken = kept;
        for (_, key) in ended {
            self.release_stream(shared, key, &mut VecDeque::new(), shared.unattached());
        }
    }

    /// Acknowledges what was held for subscriptions that have ended: nobody will ask for it.
    pub(crate) fn free_held(&mut self) {
        if self.default_stream == DefaultStream::Taken {
            return;
        }
        for queued in self.router.queue(self.default_queue).extract(|_| true) {
            if !self.router.is_ended(queued.content.topic()) {
                self.router.queue(self.default_queue).push_queued(queued);
                continue;
            }
            self.stats.dropped_unmatched += 1;
            self.settle_queued(&queued, Settlement::Acknowledged);
            self.router.queue(self.default_queue).blocks = false;
        }
    }

    /// Moves what was held for want of a stream to the queue of a new one: the session had its subscriptions before.
    pub(crate) fn move_held(&mut self, key: usize, matches: impl Fn(TopicName<'_>) -> bool) {
        if self.default_stream == DefaultStream::Taken {
            return;
        }
        let default = self.router.queue(self.default_queue);
        let held = default.extract(|queued| matches(queued.content.topic()));
        if held.is_empty() {
            return;
        }
        // the rest may stay for long: there is room once these are worked off
        let blocks = mem::take(&mut default.blocks);
        self.router.confirm(key);
        let queue = self.router.queue(key);
        queue.blocks |= blocks;
        for queued in held {
            queue.push_queued(queued);
        }
    }

    /// Settles a stream's share of a message that it has not taken.
    fn settle_queued(&mut self, queued: &Queued, settlement: Settlement) {
        let Some(receipt) = &queued.receipt else {
            return;
        };
        if let Some(settlement) = receipt.settle(settlement) {
            self.settle(receipt.token, settlement);
        }
    }
}
