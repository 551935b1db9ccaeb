//! Payloads that are written while they are sent.

use core::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_codec::wire::Retain;

use crate::{
    Client, PublishError,
    state::{Shared, State, Ticket},
};

impl<'a, M: RawMutex> Client<'a, M> {
    /// Begins a QoS 0 message of `len` bytes of payload, which are then written to the [`Writer`]. Waits for a
    /// connection and for its turn; until all of it is written, nothing else is sent.
    ///
    /// # Errors
    /// The topic is none, or longer than the transmit buffer; the client has ended.
    ///
    /// # Cancel safety
    /// A future that is dropped before it completes has sent nothing.
    pub async fn publish_writer(
        self,
        topic: &str,
        len: u32,
        retain: Retain,
    ) -> Result<Writer<'a, M>, PublishError> {
        let topic = Self::topic(topic)?;
        let begun = self.until(|state| match state.begin_at_most_once(topic, retain, len) {
            Poll::Ready(result) => Some(result.map(|()| state.links)),
            Poll::Pending => None,
        });
        let link = begun.await?;
        Ok(Writer {
            client: self,
            link,
            left: len,
        })
    }

    /// Publishes at QoS 1 a payload of `len` bytes that `open` opens a source of, each time that it must be sent, and
    /// waits until the broker has acknowledged it. The bytes must be the same each time. `buffer` is the memory for a
    /// piece of it. The message takes its place in the outbox when the source has given its first piece; when that must
    /// be sent again, the QoS 1 messages behind it wait for the first piece. While a source has no further ones, nothing
    /// else is sent. Either lasts no longer than [`Options::write_timeout`](crate::Options::write_timeout).
    ///
    /// Behind `len` bytes a source is asked once for one more, and not waited for: it need not have an end of its own.
    ///
    /// # Errors
    /// What is known before is told before the source is opened. [`PublishError::NoBuffer`]; [`PublishError::Source`],
    /// [`PublishError::TooShort`] and [`PublishError::TooLong`], after which the connection is closed if a part was sent,
    /// and resumes without the message; as [`publish_borrowed`](Self::publish_borrowed).
    ///
    /// # Cancel safety
    /// As [`publish_borrowed`](Self::publish_borrowed).
    pub async fn publish_source<S: Read>(
        self,
        topic: &str,
        len: u32,
        retain: Retain,
        buffer: &mut [u8],
        mut open: impl AsyncFnMut() -> Result<S, S::Error>,
    ) -> Result<(), PublishError> {
        if buffer.is_empty() {
            return Err(PublishError::NoBuffer);
        }
        self.shared.with(|state| state.check_supplied(topic, len))?;
        let mut supply: Option<Supply<'_, M>> = None;
        // the piece in the buffer: payload[from..from + filled]
        let (mut source, mut from, mut filled, mut due) = (None, 0_u32, 0_usize, 0_u32);
        loop {
            from += filled as u32;
            let piece = async {
                if source.is_none() || due < from {
                    source = Some(open().await.map_err(|_| PublishError::Source)?);
                    from = 0;
                }
                match &mut source {
                    Some(source) => read_piece(source, buffer, len - from).await,
                    None => Err(PublishError::Source),
                }
            };
            let ticket = supply.as_ref().map(|supply| supply.ticket);
            filled = match self.unless_settled(ticket, pin!(piece)).await {
                Ok(filled) => filled?,
                Err(outcome) => return outcome,
            };
            let ticket = match &supply {
                Some(supply) => supply.ticket,
                None => {
                    let ticket = self.accept_supplied(topic, retain, len).await?;
                    let shared = self.shared;
                    supply.insert(Supply { shared, ticket }).ticket
                }
            };
            let piece = buffer.get(..filled).unwrap_or_default();
            let next = self.until(|state| {
                if let Some(outcome) = state.outcome(ticket) {
                    return Some(Err(outcome));
                }
                let due = state.supply(ticket, piece, from)?;
                // wait while what is due is in the piece
                let is_there = due >= from && due - from < filled as u32;
                (!is_there && due < len).then_some(Ok(due))
            });
            due = match next.await {
                Ok(due) => due,
                Err(outcome) => return outcome,
            };
        }
    }

    /// Awaits the future, unless the outcome of the message, or that there will be none, is known before.
    fn unless_settled<F: Future>(
        self,
        ticket: Option<Ticket>,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Result<(), PublishError>>> {
        poll_fn(move |cx| {
            let mut outcome = |state: &mut State<'_>| match ticket {
                Some(ticket) => state.outcome(ticket),
                None => state.is_closing().then_some(Err(PublishError::Closed)),
            };
            match self.shared.with(|state| state.poll_found(cx, &mut outcome)) {
                Poll::Ready(outcome) => Poll::Ready(Err(outcome)),
                Poll::Pending => future.as_mut().poll(cx).map(Ok),
            }
        })
    }

    /// Sends a payload from memory, whenever it is due, until it is acknowledged.
    pub(crate) async fn supply(self, ticket: Ticket, payload: &[u8]) -> Result<(), PublishError> {
        let supply = Supply {
            shared: self.shared,
            ticket,
        };
        self.until(|state| {
            state.supply(supply.ticket, payload, 0);
            state.outcome(supply.ticket)
        })
        .await
    }
}

/// The next bytes of a source that has `left` bytes to give; how many.
async fn read_piece<S: Read>(
    source: &mut S,
    buffer: &mut [u8],
    left: u32,
) -> Result<usize, PublishError> {
    let room = buffer.len().min(left as usize);
    let room = buffer.get_mut(..room).unwrap_or_default();
    let mut n = 0;
    if left > 0 {
        n = source.read(room).await.map_err(|_| PublishError::Source)?;
        if n == 0 {
            return Err(PublishError::TooShort);
        }
    }
    if n == left as usize {
        // the last bytes wait for nothing
        let mut byte = [0];
        let mut more = pin!(source.read(&mut byte));
        match poll_fn(|cx| Poll::Ready(more.as_mut().poll(cx))).await {
            Poll::Ready(Err(_)) => return Err(PublishError::Source),
            Poll::Ready(Ok(1..)) => return Err(PublishError::TooLong),
            Poll::Ready(Ok(0)) | Poll::Pending => {}
        }
    }
    Ok(n)
}

/// Takes a message back when its publisher does not supply it any more.
struct Supply<'a, M: RawMutex> {
    shared: &'a Shared<'a, M>,
    ticket: Ticket,
}

impl<M: RawMutex> Drop for Supply<'_, M> {
    fn drop(&mut self) {
        self.shared.with(|state| state.withdraw(self.ticket));
    }
}

/// Takes the payload of a QoS 0 message that [`Client::publish_writer`] has begun.
///
/// [`Client::disconnect`], and a session that goes on with a new connection, wait for the rest: the one until its limit
/// is over, the other as long as the writer is not slower than [`Options::write_timeout`](crate::Options::write_timeout)
/// allows.
///
/// # Cancel safety
/// A `write` that is dropped has written nothing. If the writer is dropped before all bytes are written, the connection
/// is closed, and the session resumes: nothing is ever padded.
pub struct Writer<'a, M: RawMutex> {
    client: Client<'a, M>,
    link: u32,
    left: u32,
}

impl<M: RawMutex> Writer<'_, M> {
    /// Bytes that must still be written.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    pub(crate) async fn write_payload(&mut self, mut payload: &[u8]) -> Result<(), PublishError> {
        while !payload.is_empty() {
            let n = self.write(payload).await?;
            payload = payload.get(n..).unwrap_or_default();
        }
        Ok(())
    }
}

impl<M: RawMutex> ErrorType for Writer<'_, M> {
    type Error = PublishError;
}

impl<M: RawMutex> Write for Writer<'_, M> {
    /// Waits for room, takes what fits.
    ///
    /// # Errors
    /// [`PublishError::TooLong`] for bytes over the announced length, none of which are taken;
    /// [`PublishError::ConnectionLost`]; [`PublishError::Closed`].
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, PublishError> {
        if bytes.len() > self.left as usize {
            return Err(PublishError::TooLong);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let link = self.link;
        let written = self.client.until(|state| {
            if state.is_closed() {
                return Some(Err(PublishError::Closed));
            }
            if !state.can_append(link) {
                return Some(Err(PublishError::ConnectionLost));
            }
            Some(Ok(state.append(bytes))).filter(|n| *n != Ok(0))
        });
        let n = written.await?;
        self.left -= n as u32;
        Ok(n)
    }

    /// Waits until the transport has taken what was written.
    ///
    /// # Errors
    /// [`PublishError::ConnectionLost`]; [`PublishError::Closed`].
    async fn flush(&mut self) -> Result<(), PublishError> {
        // what was accepted and waits behind this message is not waited for
        let handed_out = self.client.shared.with(|state| state.handed_out());
        self.client.flush_up_to(handed_out).await
    }
}

impl<M: RawMutex> Drop for Writer<'_, M> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.client.shared.with(|state| {
                if state.links == self.link {
                    state.session.abandon_at_most_once();
                    state.wake_runner();
                }
            });
        }
    }
}

impl<M: RawMutex> fmt::Debug for Writer<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
