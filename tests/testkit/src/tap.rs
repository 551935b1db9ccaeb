use std::collections::{HashSet, VecDeque};

use mqtt_codec::wire::Dup;

use crate::Item;

/// Watches what a client hands to its transport and demands of each PUBLISH at QoS 1: DUP=1 exactly if the
/// transport had taken a byte of it before, in the present session of the broker ([MQTT-3.3.1-1]).
///
/// Messages are told apart by their topic: those of [`Item::numbered`](crate::Item::numbered) are watched.
#[derive(Debug, Default)]
pub struct Tap {
    staged: usize,
    written: usize,
    begun: VecDeque<(usize, Vec<u8>)>,
    touched: HashSet<Vec<u8>>,
    repeats: usize,
}

impl Tap {
    /// A connection begins; CONNECT has this length and is not written yet.
    pub fn handle_opened(&mut self, connect: usize) {
        self.staged = connect;
        self.written = 0;
        self.begun.clear();
    }

    /// The first byte of a PUBLISH is about to be handed out.
    ///
    /// # Panics
    /// Its DUP flag is wrong.
    pub fn handle_begin(&mut self, topic: &[u8], dup: Dup) {
        if !topic.starts_with(b"n/") {
            return;
        }
        let touched = self.touched.contains(topic);
        let what = String::from_utf8_lossy(topic);
        assert_eq!(dup == Dup::Repeat, touched, "DUP of the message to {what}");
        self.repeats += usize::from(touched);
        self.begun.push_back((self.staged, topic.to_vec()));
    }

    pub fn handle_staged(&mut self, n: usize) {
        self.staged += n;
    }

    pub fn handle_written(&mut self, n: usize) {
        self.written += n;
        let written = self.written;
        while let Some((_, topic)) = self.begun.pop_front_if(|(at, _)| *at < written) {
            self.touched.insert(topic);
        }
    }

    /// The broker has no session: what was sent before is new again.
    pub fn handle_session_absent(&mut self) {
        self.touched.clear();
    }

    /// A restored session cannot know what the transport had taken: everything counts as sent before.
    pub fn handle_restored<'i>(&mut self, items: impl Iterator<Item = &'i Item>) {
        for item in items {
            if let Item::Publish { topic, .. } = item {
                self.touched.insert(topic.clone().into_bytes());
            }
        }
    }

    /// PUBLISH packets with DUP=1 so far.
    #[must_use]
    pub const fn repeats(&self) -> usize {
        self.repeats
    }
}
