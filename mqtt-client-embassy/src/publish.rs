use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_codec::wire::{Retain, TopicName};

use crate::{
    Client, Limit, PublishError,
    state::{Shared, State, Ticket},
};

impl<'a, M: RawMutex> Client<'a, M> {
    /// Publishes at QoS 1 and waits until the broker has acknowledged it, over as many connections as it takes.
    ///
    /// The message is kept in a place of the outbox, of `MESSAGE` bytes for topic and payload; waits for a free one.
    /// [`publish_borrowed`](Self::publish_borrowed) is for longer ones.
    ///
    /// # Errors
    /// The topic is none; the message is longer than a place, or there is no place at all; see [`PublishError`].
    ///
    /// # Cancel safety
    /// Dropped before it has a place: not sent. Dropped later: still sent.
    // by hand: what an `async fn` keeps twice, its caller would pay for
    pub fn publish(
        self,
        topic: &str,
        payload: &[u8],
        retain: Retain,
    ) -> impl Future<Output = Result<(), PublishError>> {
        let mut ack = None;
        self.until(move |state| {
            let ticket = match &ack {
                Some(Ack { ticket, .. }) => *ticket,
                None => match state.accept_or_wait(topic, retain, Ok(payload))? {
                    Ok(ticket) => ack.insert(self.ack(ticket)).ticket,
                    Err(error) => return Some(Err(error)),
                },
            };
            state.outcome(ticket)
        })
    }

    /// As [`publish`](Self::publish), for a payload of any length: it is sent from the caller's memory, each time that
    /// it must be sent, while the future is awaited. Its topic alone takes a place of the outbox.
    ///
    /// While it is sent, every other message waits, and so does PINGREQ: many brokers end a connection on which no packet
    /// was completed within 1.5 × [`Options::keep_alive`](crate::Options::keep_alive), so that its length / rate must stay
    /// below. The same holds for long messages at QoS 0, and for sources.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), for the topic alone; [`PublishError::Source`]: connected and with its turn come, the
    /// future was not polled for [`Options::write_timeout`](crate::Options::write_timeout), and others went on.
    ///
    /// # Cancel safety
    /// Dropped before its first byte is sent: not sent. In its midst: the connection is closed, and the session resumes
    /// without it. Dropped when all of it is sent: the acknowledgement is awaited without the future; if the connection
    /// ends before, the broker's session is started clean once, since a session may not leave out a message.
    pub async fn publish_borrowed(
        self,
        topic: &str,
        payload: &[u8],
        retain: Retain,
    ) -> Result<(), PublishError> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let ticket = self.accept_supplied(topic, retain, len).await?;
        self.supply(ticket, payload).await
    }

    /// Publishes at QoS 1 and returns as soon as the message has a place in the outbox; awaiting the [`Ack`] is
    /// waiting for the broker. Waits for a place, and for nothing else.
    ///
    /// # Errors
    /// As [`try_enqueue`](Self::try_enqueue), except that it waits while the outbox is full.
    ///
    /// # Cancel safety
    /// A future that is dropped before it completes has sent nothing.
    pub fn enqueue(
        self,
        topic: &str,
        payload: &[u8],
        retain: Retain,
    ) -> impl Future<Output = Result<Ack<'a, M>, PublishError>> {
        self.until(move |state| {
            let accepted = state.accept_or_wait(topic, retain, Ok(payload))?;
            Some(accepted.map(|ticket| self.ack(ticket)))
        })
    }

    /// As [`enqueue`](Self::enqueue), and never waits.
    ///
    /// # Errors
    /// [`Limit::Outbox`]: the outbox is full; [`Limit::Message`]: the message is longer than its places; the topic is
    /// none; the client has ended.
    pub fn try_enqueue(
        self,
        topic: &str,
        payload: &[u8],
        retain: Retain,
    ) -> Result<Ack<'a, M>, PublishError> {
        let accepted = self
            .shared
            .with(|state| state.accept(topic, retain, Ok(payload)));
        Ok(self.ack(accepted?))
    }

    /// Publishes at QoS 0: copies the message, of whatever length, to the transmit buffer while it is awaited. Waits
    /// for a connection and for room.
    ///
    /// # Errors
    /// The topic is none, or longer than the transmit buffer; the connection has ended within the message.
    ///
    /// # Cancel safety
    /// Dropped before its first byte: not sent. A message that the transmit buffer takes at once is sent as a whole or
    /// not at all; a longer one that is dropped in its midst closes the connection, and the session resumes.
    pub async fn publish_at_most_once(
        self,
        topic: &str,
        payload: &[u8],
        retain: Retain,
    ) -> Result<(), PublishError> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut writer = self.publish_writer(topic, len, retain).await?;
        writer.write_payload(payload).await
    }

    /// Waits for a place for a message of `len` bytes of payload, which are supplied.
    pub(crate) fn accept_supplied(
        self,
        topic: &str,
        retain: Retain,
        len: u32,
    ) -> impl Future<Output = Result<Ticket, PublishError>> {
        self.until(move |state| {
            state.expect_supplies();
            state.accept_or_wait(topic, retain, Err(len))
        })
    }

    fn ack(self, ticket: Ticket) -> Ack<'a, M> {
        Ack {
            shared: self.shared,
            ticket,
        }
    }

    pub(crate) fn topic(topic: &str) -> Result<TopicName<'_>, PublishError> {
        Ok(TopicName::new(topic)?)
    }
}

/// The acknowledgement of a message that is enqueued: a future of the outcome.
///
/// Dropping it has no effect on the message.
#[must_use = "it tells whether the message was delivered"]
pub struct Ack<'a, M: RawMutex> {
    shared: &'a Shared<'a, M>,
    ticket: Ticket,
}

impl<M: RawMutex> Future for Ack<'_, M> {
    type Output = Result<(), PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.with(|state| {
            let outcome = state.outcome(self.ticket);
            if outcome.is_none() {
                state.wakers.register(cx.waker());
            }
            outcome.map_or(Poll::Pending, Poll::Ready)
        })
    }
}

impl<M: RawMutex> Drop for Ack<'_, M> {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.outbox.unwatch(self.ticket);
            // a failure that nobody asks for frees its place
            state.wakers.wake();
        });
    }
}

impl<M: RawMutex> fmt::Debug for Ack<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").finish_non_exhaustive()
    }
}

impl State<'_> {
    /// Accepts a QoS 1 message as [`accept`](Self::accept) does; `None` while the outbox is full.
    // called for each way of publishing
    #[inline(never)]
    fn accept_or_wait(
        &mut self,
        topic: &str,
        retain: Retain,
        payload: Result<&[u8], u32>,
    ) -> Option<Result<Ticket, PublishError>> {
        match self.accept(topic, retain, payload) {
            Err(PublishError::Limit(Limit::Outbox)) if self.outbox.capacity() > 0 => None,
            result => Some(result),
        }
    }

    /// What became of a message; `None` while it is under way.
    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Result<(), PublishError>> {
        let outcome = self.outbox.outcome(ticket);
        if outcome.is_none() && self.is_closed() {
            return Some(Err(PublishError::Closed));
        }
        outcome
    }
}
