//! What a run of the program knows of the subscriptions that are with the broker.
use super::*;

pub(super) struct Known {
    declared: Vec<&'static str>,
    subscribed: BTreeSet<&'static str>,
    unsubscribed: BTreeSet<&'static str>,
}

impl Known {
    pub(super) fn new(declared: &[(&'static str, QoS)]) -> Self {
        let mut known = Self {
            declared: declared.iter().map(|(filter, _)| *filter).collect(),
            subscribed: BTreeSet::new(),
            unsubscribed: BTreeSet::new(),
        };
        known.restart(None);
        known
    }

    /// The next run knows only what it declares and the broker does not refuse.
    pub(super) fn restart(&mut self, refused: Option<&str>) {
        self.subscribed = self.declared.iter().copied().collect();
        self.unsubscribed.clear();
        if let Some(filter) = refused {
            self.handle_refused(filter);
        }
    }

    pub(super) fn handle_subscribed<T>(
        &mut self,
        filter: &'static str,
        result: &Result<T, SubscribeError>,
    ) {
        match result {
            Ok(_) => {
                self.subscribed.insert(filter);
                self.unsubscribed.remove(filter);
            }
            Err(SubscribeError::Refused) => self.handle_refused(filter),
            Err(_) => {}
        }
    }

    /// The broker refuses this filter, or may have done so if the client asks for it again.
    pub(super) fn handle_refused(&mut self, filter: &str) {
        self.subscribed.remove(filter);
    }

    pub(super) fn handle_unsubscribed(&mut self, filter: &'static str) {
        self.subscribed.remove(filter);
        self.unsubscribed.insert(filter);
    }

    /// Whether all that is known of such a message is that it was unsubscribed. One that comes all the same, for a
    /// subscription of an earlier run, is acknowledged and dropped.
    pub(super) fn is_unsubscribed(&self, topic: &str) -> bool {
        let has = |filters: &BTreeSet<&str>| filters.iter().any(|filter| matches(filter, topic));
        has(&self.unsubscribed) && !has(&self.subscribed)
    }
}
