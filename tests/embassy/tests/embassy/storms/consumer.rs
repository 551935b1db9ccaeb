//! Inboxes and messages in the hands of the application, and what it takes note of.
use super::*;

pub(super) struct Taken {
    /// `None` for that of the unmatched.
    pub(super) filter: Option<&'static str>,
    pub(super) inbox: Inbox<'static, M>,
    pub(super) is_manual: bool,
}

/// A message that the application holds, and whether dropping it acknowledges it.
pub(super) struct Held(pub(super) Message<'static, M>, pub(super) bool);

/// What consumers, which may be tasks, take note of.
pub(super) struct Notes {
    pub(super) got: RefCell<BTreeSet<u32>>,
    /// Topics of what the inbox of the unmatched has yielded.
    pub(super) unmatched: RefCell<BTreeSet<String>>,
    pub(super) log: RefCell<Vec<String>>,
}

impl Taken {
    /// `None` when there will be none.
    pub(super) async fn next(&mut self, notes: &Notes) -> Option<Held> {
        match self.inbox.next().await {
            Ok(message) => {
                let topic = message.topic();
                let is_for_it = self.filter.is_none_or(|filter| matches(filter, topic));
                notes.assert(is_for_it, "stray");
                if self.filter.is_none() {
                    notes.unmatched.borrow_mut().insert(topic.to_string());
                }
                notes.add(("next", self.filter, number(&message)));
                Some(Held(message, !self.is_manual))
            }
            Err(error) => {
                notes.add(("ended", self.filter, error));
                None
            }
        }
    }
}

impl Notes {
    pub(super) fn add(&self, step: impl Debug) {
        self.log.borrow_mut().push(format!("{step:?}"));
    }

    pub(super) fn assert(&self, holds: bool, what: &str) {
        assert!(holds, "{what}: {:#?}", self.log.borrow());
    }

    /// Has the application be done with a message in one of five ways.
    pub(super) async fn settle(&self, Held(mut message, acknowledges): Held, how: usize) {
        let n = number(&message);
        self.add(("settle", n, how));
        match how {
            0 => return message.give_up(),
            1 if !acknowledges => return,
            1 => {}
            // as much as it happens to be
            2 => drop(poll_at_most(1, message.read(&mut [0; 20])).await),
            _ => {
                let mut whole = vec![0; message.payload_len() as usize];
                let reading = timeout(LONG, message.read_exact(&mut whole)).await;
                self.assert(reading.is_ok(), "reading hangs");
                if reading.is_ok_and(|result| result.is_err()) {
                    // it comes again
                    return;
                }
                self.assert(whole == payload(n, whole.len() - 4), "torn");
            }
        }
        self.add(("got", n));
        self.got.borrow_mut().insert(n);
        message.acknowledge();
    }
}

pub(super) fn matches(filter: &str, topic: &str) -> bool {
    let topic = TopicName::new(topic).unwrap();
    TopicFilter::new(filter).unwrap().matches(topic)
}

pub(super) fn payload(n: u32, len: usize) -> Vec<u8> {
    let mut payload = n.to_be_bytes().to_vec();
    payload.extend((0..len).map(|n| (n % 251) as u8));
    payload
}

/// Which message it is.
pub(super) fn number(message: &Message<'_, M>) -> u32 {
    let number = message.payload().get(..4).expect("it is long enough");
    u32::from_be_bytes(number.try_into().unwrap())
}
