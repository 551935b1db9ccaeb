use super::{
    Deferred, Foreign,
    item::{Payload, Publication, TopicText},
};

/// Buffers of settled messages, for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    topics: Vec<String>,
    payloads: Vec<Vec<u8>>,
}

/// Buffers kept at most, of each kind.
const KEPT: usize = 256;
/// Larger buffers are not kept, bytes.
const MAX_CAPACITY: usize = 1_024;

impl Pool {
    pub(crate) fn topic(&mut self, text: &str) -> String {
        let mut topic = self.topics.pop().unwrap_or_default();
        topic.push_str(text);
        topic
    }

    pub(crate) fn payload(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut payload = self.payloads.pop().unwrap_or_default();
        payload.extend_from_slice(bytes);
        payload
    }

    pub(crate) fn recycle(&mut self, publication: Publication, deferred: &mut Deferred) {
        if let TopicText::Copied(mut topic) = publication.topic {
            if self.topics.len() < KEPT && topic.capacity() <= MAX_CAPACITY {
                topic.clear();
                self.topics.push(topic);
            }
        }
        match publication.payload {
            Payload::Copied(mut payload) => {
                if self.payloads.len() < KEPT && payload.capacity() <= MAX_CAPACITY {
                    payload.clear();
                    self.payloads.push(payload);
                }
            }
            foreign => deferred.end(Foreign::Payload(foreign)),
        }
    }

    /// Frees everything, for an idle connection.
    pub(crate) fn shrink(&mut self) {
        *self = Self::default();
    }
}
