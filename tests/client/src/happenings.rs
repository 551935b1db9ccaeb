use std::time::Duration;

use crate::{Adapter, Happening, adapter::HappeningSource};

/// What a client has told, waited for by the test.
#[derive(Debug)]
pub struct Happenings<S> {
    source: S,
}

/// Takes note of what the client tells from now on.
pub(crate) fn listen<A: Adapter>(client: &A) -> Happenings<A::Happenings> {
    Happenings {
        source: client.happenings(),
    }
}

impl<S: HappeningSource> Happenings<S> {
    /// The next one that interests the test.
    pub async fn until<T>(&mut self, mut of_interest: impl FnMut(&Happening) -> Option<T>) -> T {
        loop {
            let happening = self.source.next().await.expect("the client goes on");
            if let Some(value) = of_interest(&happening) {
                return value;
            }
        }
    }

    /// Waits for CONNACK; whether the broker had the session.
    pub async fn connected(&mut self) -> bool {
        self.until(|happening| match happening {
            Happening::Connected { resumed } => Some(*resumed),
            _ => None,
        })
        .await
    }

    /// Waits for the end of a connection: the rule that the broker broke, and whether it was silent.
    pub async fn disconnected(&mut self) -> (Option<&'static str>, bool) {
        self.until(|happening| match happening {
            Happening::Disconnected {
                rule, timed_out, ..
            } => Some((*rule, *timed_out)),
            _ => None,
        })
        .await
    }

    /// Waits for the next wait before another attempt, of which there is one.
    pub async fn retry_in(&mut self) -> Duration {
        self.until(|happening| match happening {
            Happening::ConnectFailed { retry_in, .. }
            | Happening::Disconnected { retry_in, .. } => Some(retry_in.expect("it tries again")),
            _ => None,
        })
        .await
    }
}
