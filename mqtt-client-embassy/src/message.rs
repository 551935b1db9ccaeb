use core::fmt;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{ErrorType, Read};
use mqtt_codec::wire::{Dup, QoS, Retain};

use crate::{
    Client, ReadError,
    state::{Received, Settlement, Shared, copy},
};

/// A received message, with its memory.
///
/// Dropping it acknowledges it, unless its inbox is [acknowledging manually](crate::Inbox::acknowledging_manually); the
/// acknowledgements leave in the order in which the messages came. An acknowledgement belongs to the connection that
/// brought the message: without effect on a later one, where the broker sends it again.
///
/// A message longer than `MESSAGE` of [`Resources`](crate::Resources) is handed over with its beginning, and
/// implements [`Read`] for the whole of its payload. Until it is read to its end or dropped, nothing else is received,
/// not even an acknowledgement: whoever awaits one instead gets it after
/// [`Options::stall_timeout`](crate::Options::stall_timeout), and the rest of the message fails with
/// [`ReadError::Stalled`].
pub struct Message<'a, M: RawMutex> {
    shared: &'a Shared<'a, M>,
    /// Taken at the end.
    received: Option<&'a mut Received<'a>>,
    read: u32,
    /// When it is dropped.
    settlement: Settlement,
}

impl<'a, M: RawMutex> Message<'a, M> {
    pub(crate) const fn new(
        shared: &'a Shared<'a, M>,
        received: &'a mut Received<'a>,
        settlement: Settlement,
    ) -> Self {
        Self {
            shared,
            received: Some(received),
            read: 0,
            settlement,
        }
    }

    /// Where it was published to.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.received().topic().as_str()
    }

    /// The payload, or the beginning of one that is longer than its place: see [`is_whole`](Self::is_whole).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.received().payload()
    }

    /// Whether [`payload`](Self::payload) is all of it: topic and payload fit in `MESSAGE` bytes. Otherwise
    /// [`Read`] gives all of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.payload().len() == self.payload_len() as usize
    }

    /// Bytes of the whole payload.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.received().payload_len()
    }

    /// Bytes of the payload that were [read](Read).
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.read
    }

    /// At most once or at least once.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.received().qos()
    }

    /// Whether the broker had retained it.
    #[must_use]
    pub const fn retain(&self) -> Retain {
        self.received().retain()
    }

    /// Whether the broker marks it as delivered again.
    #[must_use]
    pub const fn dup(&self) -> Dup {
        self.received().dup()
    }

    const fn received(&self) -> &Received<'a> {
        match &self.received {
            Some(received) => received,
            None => &Received::EMPTY,
        }
    }

    /// It was processed.
    pub fn acknowledge(mut self) {
        self.settlement = Settlement::Acknowledged;
    }

    /// It was not processed: the broker sends it again on the next connection of the session. Later ones need not wait
    /// for it.
    pub fn give_up(mut self) {
        self.settlement = Settlement::GivenUp;
    }
}

impl<M: RawMutex> ErrorType for Message<'_, M> {
    type Error = ReadError;
}

impl<M: RawMutex> Read for Message<'_, M> {
    /// The next bytes of the payload, from its first one on; 0 at its end.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        let kept = self.payload().get(self.read as usize..);
        let kept = kept.unwrap_or_default();
        let n = if out.is_empty() || self.read >= self.payload_len() {
            return Ok(0);
        } else if kept.is_empty() {
            let number = self.received().number();
            let client = Client {
                shared: self.shared,
            };
            let read = client.until(|state| {
                if !state.queue.is_streamed(number) {
                    return Some(Err(state.cut));
                }
                let n = state.queue.read(out);
                if n > 0 {
                    state.wake_runner();
                }
                (n > 0).then_some(Ok(n))
            });
            read.await?
        } else {
            copy(out, kept)
        };
        self.read += n as u32;
        Ok(n)
    }
}

impl<M: RawMutex> Drop for Message<'_, M> {
    fn drop(&mut self) {
        if let Some(received) = self.received.take() {
            self.shared
                .with(|state| state.release(received, self.settlement));
        }
    }
}

impl<M: RawMutex> fmt::Debug for Message<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("payload_len", &self.payload_len())
            .field("qos", &self.qos())
            .finish_non_exhaustive()
    }
}
