use std::fmt;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// What a process prints, line by line, to be waited for.
pub struct Output(watch::Receiver<Printed>);

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    has_ended: bool,
}

impl Output {
    /// Collects the lines that `keep` wants from now on, in a task that ends with the process.
    pub fn collect(
        pipe: impl AsyncRead + Send + Unpin + 'static,
        keep: impl Fn(&str) -> bool + Send + 'static,
    ) -> Self {
        let (sender, receiver) = watch::channel(Printed::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if keep(&line) {
                    sender.send_modify(|printed| printed.lines.push(line));
                }
            }
            sender.send_modify(|printed| printed.has_ended = true);
        });
        Self(receiver)
    }

    /// All lines so far, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.borrow().lines.join("\n")
    }

    /// `read` of all lines so far.
    pub fn read<T>(&self, read: impl FnOnce(&[String]) -> T) -> T {
        read(&self.0.borrow().lines)
    }

    /// Waits until the lines are as wanted; false if the process ended before.
    ///
    /// # Panics
    /// After [`PATIENCE`], with everything printed.
    pub async fn wait(&self, what: &str, mut done: impl FnMut(&[String]) -> bool) -> bool {
        let mut receiver = self.0.clone();
        let wanted = receiver.wait_for(|printed| done(&printed.lines) || printed.has_ended);
        let Ok(printed) = timeout(PATIENCE, wanted).await else {
            panic!("no {what} in time; printed so far:\n{}", self.text());
        };
        // The wait ends for either reason: which one tells whether it is there.
        printed.is_ok_and(|printed| done(&printed.lines))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.text()).finish()
    }
}
