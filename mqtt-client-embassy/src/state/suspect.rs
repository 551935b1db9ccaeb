//! Messages with which connections end.

use core::fmt;

use mqtt_codec::session::Event;

use super::{State, copy};
use crate::PublishError;

/// What an ended connection means to the message that may have ended it, which is told with its topic, copied to the
/// bytes as far as it fits, if they are given. A program that neither limits the attempts nor observes does not contain it.
pub(crate) struct Suspecting(pub(super) fn(&mut State<'_>, Option<&mut [u8]>) -> Option<Told>);

pub(crate) static SUSPECTING: Suspecting = Suspecting(|state, out| state.suspect(out));

impl fmt::Debug for Suspecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Suspecting")
    }
}

/// As [`Event`], in what concerns the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Suspect { topic_len: usize, attempts: u8 },
    Undeliverable { topic_len: usize, attempts: u8 },
}

impl State<'_> {
    fn suspect(&mut self, out: Option<&mut [u8]>) -> Option<Told> {
        self.session.count_attempt();
        Some(match self.session.poll_event()? {
            Event::Suspect { id, attempts } => {
                let topic_len = match out {
                    Some(out) => copy(out, self.session.handle(id)?.topic_bytes()),
                    None => 0,
                };
                Told::Suspect {
                    topic_len,
                    attempts,
                }
            }
            Event::Undeliverable {
                attempts, handle, ..
            } => {
                let topic_len = out.map_or(0, |out| copy(out, handle.topic_bytes()));
                self.finish(handle, Some(PublishError::Undeliverable { attempts }));
                Told::Undeliverable {
                    topic_len,
                    attempts,
                }
            }
            _ => return None,
        })
    }
}
