//! What has to hold when a storm is over.
use super::*;

/// Longer than a consumer that is behind takes.
const QUIET: Duration = Duration::from_secs(5);

impl Storm {
    /// Everything that is under way ends with the client.
    pub(super) async fn disconnect(&mut self) {
        self.note("disconnect");
        self.is_closing = true;
        let is_over = timeout(LONG, self.client.disconnect()).await.is_ok();
        self.notes.assert(is_over, "disconnecting hangs");
        while !self.pending.is_empty() {
            self.join(0).await;
        }
        self.assert_obeyed();
    }

    /// Every subscription has an inbox, every inbox a consumer, and the connection is left in peace.
    pub(super) async fn calm(&mut self) {
        self.world.set_down(false);
        self.world.cut_after_output(usize::MAX);
        self.world.cut_after_input(usize::MAX);
        self.note("calm");
        while !self.pending.is_empty() {
            self.join(0).await;
        }
        while let Some(held) = self.held.pop() {
            self.notes.settle(held, self.random.below(5)).await;
        }
        for filter in FILTERS {
            let inbox = self.client.inbox(filter).ok();
            self.take(Some(filter), inbox);
        }
        self.inboxes.retain(|taken| taken.filter.is_some());
        self.notes.unmatched.take();
        if !self.is_plain {
            let unmatched = self.client.unmatched().ok();
            self.take(None, unmatched);
        }
        self.consume().await;
        // what was given up comes again
        self.world.cut();
        self.consume().await;
    }

    /// Until nothing has come for long.
    pub(super) async fn consume(&mut self) {
        let mut before = None;
        while before != Some(self.notes.log.borrow().len()) {
            before = Some(self.notes.log.borrow().len());
            let consume = async |mut taken: Taken, notes: Rc<Notes>| {
                while let Ok(message) = timeout(QUIET, taken.next(&notes)).await {
                    notes.settle(message?, 4).await;
                }
                Some(taken)
            };
            let consuming = self.inboxes.drain(..);
            let consuming: Vec<_> = consuming
                .map(|taken| spawn_local(consume(taken, self.notes.clone())))
                .collect();
            for task in consuming {
                self.inboxes.extend(task.await.unwrap());
            }
        }
    }

    pub(super) fn assert_consistent(&self) {
        let log = self.notes.log.borrow();
        let missing: Vec<_> = self
            .wanted
            .keys()
            .filter(|n| !self.notes.got.borrow().contains(n))
            .collect();
        assert!(missing.is_empty(), "missing {missing:?} of {log:#?}");
        let left = self.world.broker(|broker| broker.undelivered("client"));
        assert_eq!(left, 0, "unacknowledged of {log:#?}");
        let stats = self.client.stats();
        let acknowledged = self.acknowledged.len() as u32..=self.enqueued;
        let is_counted = self.may_differ || acknowledged.contains(&stats.acknowledged);
        assert!(is_counted, "{stats:?} of {log:#?}");
        drop(log);
        self.assert_obeyed();
        self.assert_subscribed();
        for topic in &*self.notes.unmatched.borrow() {
            let is_for = |taken: &Taken| taken.filter.is_some_and(|f| matches(f, topic));
            self.notes
                .assert(!self.inboxes.iter().any(is_for), "not for its inbox");
        }
    }

    pub(super) fn assert_obeyed(&self) {
        let log = self.notes.log.borrow();
        let complaints = self.world.broker(|broker| broker.complaints().to_vec());
        assert!(complaints.is_empty(), "{complaints:?} of {log:#?}");
        let published = self.world.broker(|broker| broker.published());
        let number = |payload: &Vec<u8>| u32::from_be_bytes(payload[..4].try_into().unwrap());
        let published: BTreeSet<_> = published.iter().map(number).collect();
        assert!(self.acknowledged.is_subset(&published), "{log:#?}");
    }

    /// The broker has the subscriptions that somebody has an inbox of, and no others.
    pub(super) fn assert_subscribed(&self) {
        let subscribed = self.world.broker(|broker| broker.subscriptions("client"));
        let subscribed: BTreeSet<_> = subscribed.iter().map(|(filter, _)| &filter[..]).collect();
        let taken: BTreeSet<_> = self.inboxes.iter().filter_map(|t| t.filter).collect();
        if self.may_differ {
            let is_subset = taken.is_subset(&subscribed);
            return self.notes.assert(is_subset, "a subscription is lost");
        }
        assert_eq!(
            subscribed,
            taken,
            "subscribed of {:#?}",
            self.notes.log.borrow()
        );
    }
}
