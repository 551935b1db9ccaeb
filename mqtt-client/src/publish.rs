//! Publishing.
use std::{
    borrow::Cow,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use mqtt_codec::session::EnqueueReason;
use mqtt_codec::wire::{QoS, Retain, TopicName};

use crate::{
    Client,
    error::{PublishError, TryPublishError},
    options::{Overflow, Topic},
    source::{PayloadSource, SharedSource},
    state::{
        Completion, CompletionKey, ENOUGH, Item, Payload, Publication, SHARED_FROM, Shared, State,
        Ticket, TopicText, wake,
    },
};

/// A topic to publish to: text that is checked at each call, or a [`Topic`] that was.
#[derive(Debug, Clone)]
pub struct PublishTopic<'a>(TopicRef<'a>);

#[derive(Debug, Clone)]
enum TopicRef<'a> {
    Text(Cow<'a, str>),
    Prepared(&'a Topic),
}

impl<'a> From<&'a str> for PublishTopic<'a> {
    fn from(text: &'a str) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl<'a> From<&'a String> for PublishTopic<'a> {
    fn from(text: &'a String) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl From<String> for PublishTopic<'_> {
    fn from(text: String) -> Self {
        Self(TopicRef::Text(text.into()))
    }
}

impl<'a> From<Cow<'a, str>> for PublishTopic<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(TopicRef::Text(text))
    }
}

impl<'a> From<&'a Topic> for PublishTopic<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self(TopicRef::Prepared(topic))
    }
}

/// A payload: borrowed bytes are copied, owned ones shared.
#[derive(Debug, Clone)]
pub struct PublishPayload<'a>(PayloadRef<'a>);

#[derive(Debug, Clone)]
enum PayloadRef<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
    Stream(SharedSource),
}

macro_rules! payload_from {
    ($($lifetime:lifetime $borrowed:ty => $as_bytes:expr;)* @ $($owned:ty;)*) => {
        $(impl<$lifetime> From<$borrowed> for PublishPayload<$lifetime> {
            fn from(payload: $borrowed) -> Self {
                Self(PayloadRef::Borrowed($as_bytes(payload)))
            }
        })*
        $(impl From<$owned> for PublishPayload<'_> {
            fn from(payload: $owned) -> Self {
                Self(PayloadRef::Owned(payload.into()))
            }
        })*
    };
}

payload_from! {
    'a &'a [u8] => |payload| payload;
    'a &'a str => str::as_bytes;
    'a &'a Vec<u8> => Vec::as_slice;
    'a &'a String => String::as_bytes;
    @
    Vec<u8>;
    String;
    Bytes;
}

impl<'a, const N: usize> From<&'a [u8; N]> for PublishPayload<'a> {
    fn from(payload: &'a [u8; N]) -> Self {
        Self(PayloadRef::Borrowed(payload))
    }
}

impl PayloadRef<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Stream(source) => source.len() as usize,
        }
    }
}

/// A message about to be published. From [`Client::publish`].
///
/// Awaited, it completes, at QoS 1, when the broker has acknowledged it, whatever happens to the connection meanwhile;
/// at QoS 0, the default, when its bytes are in the outgoing buffer, which there is only with a connection: without one it
/// waits ([`Overflow`]).
///
/// **Cancel safety.** Dropped before it has completed: a message that still waits for room is not sent; one that the
/// outbox has accepted is sent all the same.
#[derive(Debug)]
#[must_use = "a message is published by awaiting it"]
pub struct Publish<'a> {
    client: &'a Client,
    message: Result<Outgoing<'a>, PublishError>,
}

#[derive(Debug)]
struct Outgoing<'a> {
    topic: TopicRef<'a>,
    payload: PayloadRef<'a>,
    qos: QoS,
    retain: Retain,
}

impl<'a> Publish<'a> {
    pub(crate) fn new(
        client: &'a Client,
        topic: PublishTopic<'a>,
        payload: PublishPayload<'a>,
    ) -> Self {
        Self {
            client,
            message: Ok(Outgoing {
                topic: topic.0,
                payload: payload.0,
                qos: QoS::AtMostOnce,
                retain: Retain::No,
            }),
        }
    }

    /// Quality of service, 0 or 1. Default: 0.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.message = self.message.and_then(|mut message| {
            if qos == QoS::ExactlyOnce {
                return Err(PublishError::QoS2);
            }
            message.qos = qos;
            Ok(message)
        });
        self
    }

    /// Asks the broker to keep it for later subscribers.
    pub fn retain(mut self) -> Self {
        if let Ok(message) = &mut self.message {
            message.retain = Retain::Yes;
        }
        self
    }

    /// Puts the message into the outbox, waiting for room if need be, and returns the future of its acknowledgement: to
    /// publish more meanwhile. Messages enqueued one after the other are delivered in that order.
    ///
    /// # Errors
    /// Those known beforehand; the others come from [`PublishAck`].
    pub async fn enqueue(self) -> Result<PublishAck, PublishError> {
        let shared = &self.client.shared;
        let accepting = Accepting {
            shared,
            message: self.message.map_err(Some),
            ticket: None,
        };
        let key = accepting.await?;
        Ok(PublishAck {
            shared: Arc::clone(shared),
            key,
            outcome: None,
        })
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// [`TryPublishError::Full`] if there is no room now, and at QoS 0, which does not wait for a connection,
    /// [`TryPublishError::NotConnected`]. Nothing was sent then.
    pub fn try_enqueue(self) -> Result<PublishAck, TryPublishError> {
        let shared = &self.client.shared;
        let message = self.message?;
        let mut state = shared.lock();
        let accepted = state.accept_in_turn(shared, &message, None)?;
        let is_connected = state.session.is_connected();
        let driver = state.driver.take();
        drop(state);
        wake(driver);
        match accepted {
            Some(key) => Ok(PublishAck {
                shared: Arc::clone(shared),
                key,
                outcome: None,
            }),
            None if message.qos == QoS::AtMostOnce && !is_connected => {
                Err(TryPublishError::NotConnected)
            }
            None => Err(TryPublishError::Full),
        }
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<(), PublishError>;
    type IntoFuture = Publishing<'a>;

    fn into_future(self) -> Publishing<'a> {
        let shared = &self.client.shared;
        Publishing(Step::Accepting(Accepting {
            shared,
            message: self.message.map_err(Some),
            ticket: None,
        }))
    }
}

/// A message about to be published at QoS 1, whose payload is read while it is sent. From [`Client::publish_stream`].
///
/// A source cannot be read for another quality of service:
///
/// ```compile_fail,E0599
/// # fn example(client: mqtt_client::Client) {
/// let source = mqtt_client::source_fn(3, || async { Ok(&b"abc"[..]) });
/// client.publish_stream("t", source).qos(mqtt_client::QoS::AtMostOnce);
/// # }
/// ```
///
/// Awaited, it completes when the broker has acknowledged it, whatever happens to the connection meanwhile.
///
/// **Cancel safety.** As [`Publish`] at QoS 1.
#[derive(Debug)]
#[must_use = "a message is published by awaiting it"]
pub struct PublishStream<'a>(Publish<'a>);

impl<'a> PublishStream<'a> {
    pub(crate) fn new(
        client: &'a Client,
        topic: PublishTopic<'a>,
        source: impl PayloadSource,
    ) -> Self {
        let len = source.len();
        let source = SharedSource::new(source).ok_or(PublishError::TooLong { len });
        Self(Publish {
            client,
            message: source.map(|source| Outgoing {
                topic: topic.0,
                payload: PayloadRef::Stream(source),
                qos: QoS::AtLeastOnce,
                retain: Retain::No,
            }),
        })
    }

    /// Asks the broker to keep it for later subscribers.
    pub fn retain(self) -> Self {
        Self(self.0.retain())
    }

    /// As [`Publish::enqueue`].
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue(self) -> Result<PublishAck, PublishError> {
        self.0.enqueue().await
    }

    /// As [`Publish::try_enqueue`].
    ///
    /// # Errors
    /// As there.
    pub fn try_enqueue(self) -> Result<PublishAck, TryPublishError> {
        self.0.try_enqueue()
    }
}

impl<'a> IntoFuture for PublishStream<'a> {
    type Output = Result<(), PublishError>;
    type IntoFuture = Publishing<'a>;

    fn into_future(self) -> Publishing<'a> {
        self.0.into_future()
    }
}

/// The future of [`Publish`] and [`PublishStream`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Publishing<'a>(Step<'a>);

#[derive(Debug)]
enum Step<'a> {
    Accepting(Accepting<'a>),
    Accepted(Completion<'a>),
}

impl Future for Publishing<'_> {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Step::Accepting(accepting) => {
                    let shared = accepting.shared;
                    match ready!(Pin::new(accepting).poll(cx))? {
                        Some(key) => self.0 = Step::Accepted(Completion::new(shared, key)),
                        None => return Poll::Ready(Ok(())),
                    }
                }
                Step::Accepted(completion) => return Pin::new(completion).poll(cx),
            }
        }
    }
}

/// The future of one message's acknowledgement, from [`Publish::enqueue`].
///
/// At QoS 0 it is ready at once. Dropping it changes nothing for the message.
#[derive(Debug)]
#[must_use = "without it nobody learns of the acknowledgement; the message is sent all the same"]
pub struct PublishAck {
    shared: Arc<Shared>,
    /// `None`: nothing to wait for any more.
    key: Option<CompletionKey>,
    /// Of the last poll; asked again, it says the same.
    outcome: Option<Result<(), PublishError>>,
}

impl Future for PublishAck {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match (self.key, &self.outcome) {
            (None, None) => Ok(()),
            (None, Some(outcome)) => outcome.clone(),
            (Some(key), _) => ready!(self.shared.lock().poll_completion(key, cx)),
        };
        self.key = None;
        self.outcome = Some(outcome.clone());
        Poll::Ready(outcome)
    }
}

impl Drop for PublishAck {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().detach(key);
        }
    }
}

/// Waits for room and takes it.
#[derive(Debug)]
struct Accepting<'a> {
    shared: &'a Arc<Shared>,
    message: Result<Outgoing<'a>, Option<PublishError>>,
    ticket: Option<Ticket>,
}

impl Future for Accepting<'_> {
    type Output = Result<Option<CompletionKey>, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let message = match &mut this.message {
            Ok(message) => message,
            Err(error) => return Poll::Ready(Err(error.take().expect("polled after completion"))),
        };
        let mut locked = this.shared.lock();
        let state = &mut *locked;
        let outcome = match state.accept_in_turn(this.shared, message, this.ticket) {
            Ok(None)
                if message.qos == QoS::AtMostOnce
                    && this.shared.tuning.qos0_overflow == Overflow::Drop =>
            {
                state.stats.dropped_by_overflow += 1;
                Poll::Ready(Ok(None))
            }
            Ok(None) => {
                let line = state.room.line(message.qos);
                this.ticket = Some(line.wait(this.ticket, cx, &mut state.deferred));
                Poll::Pending
            }
            Ok(Some(key)) => Poll::Ready(Ok(key)),
            Err(error) => Poll::Ready(Err(error)),
        };
        let mut driver = None;
        if outcome.is_ready() {
            driver = state.driver.take();
            if let Some(ticket) = this.ticket.take() {
                state.leave_line(message.qos, ticket);
            }
        }
        drop(locked);
        wake(driver);
        outcome
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        if let (Some(ticket), Ok(message)) = (self.ticket, &self.message) {
            self.shared.lock().leave_line(message.qos, ticket);
        }
    }
}

impl State {
    /// The same as [`accept`](Self::accept), unless others wait before it: then there is no room.
    fn accept_in_turn(
        &mut self,
        shared: &Shared,
        message: &Outgoing<'_>,
        ticket: Option<Ticket>,
    ) -> Result<Option<Option<CompletionKey>>, PublishError> {
        if self.room.line(message.qos).may_pass(ticket) {
            return self.accept(shared, message);
        }
        self.closed().map_or(Ok(None), |closed| Err(closed.into()))
    }

    /// Takes the message if there is room: `Some` of the key to wait on at QoS 1, `None` without room.
    fn accept(
        &mut self,
        shared: &Shared,
        message: &Outgoing<'_>,
    ) -> Result<Option<Option<CompletionKey>>, PublishError> {
        if let Some(closed) = self.closed() {
            return Err(closed.into());
        }
        if message.qos == QoS::AtMostOnce {
            let accepted = self.accept_at_most_once(shared, message)?;
            return Ok(accepted.then_some(None));
        }
        Ok(self.accept_at_least_once(shared, message)?.map(Some))
    }

    fn accept_at_most_once(
        &mut self,
        shared: &Shared,
        message: &Outgoing<'_>,
    ) -> Result<bool, PublishError> {
        let topic = message.topic.name()?;
        let limit = shared.tuning.outbox.bytes;
        let len = message.payload.len();
        let held = topic.as_bytes().len() + len;
        if held > limit {
            return Err(PublishError::OutboxTooSmall { len: held, limit });
        }
        let unwritten = self.unwritten();
        let no_room = unwritten > 0 && unwritten + (HEAD + held) as u64 > limit as u64;
        let waits = shared.tuning.qos0_overflow == Overflow::Wait && self.output.is_full();
        if no_room || waits || !self.session.accepts_at_most_once() {
            return Ok(false);
        }
        let too_long = || PublishError::TooLong { len: held as u64 };
        let payload_len = u32::try_from(len).map_err(|_| too_long())?;
        let head_room = topic.as_bytes().len() + HEAD;
        let copied = if len < SHARED_FROM { len } else { 0 };
        let out = self.output.reserve(head_room + copied);
        let head = match self
            .session
            .publish_at_most_once(topic, message.retain, payload_len, out)
        {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(false),
            // the room was reserved
            Err(_) => return Err(too_long()),
        };
        self.output.commit(head);
        match &message.payload {
            PayloadRef::Borrowed(bytes) if len < SHARED_FROM => self.output.put(bytes),
            PayloadRef::Borrowed(bytes) => self.output.put_shared(Bytes::copy_from_slice(bytes)),
            PayloadRef::Owned(bytes) => self.output.put_shared(bytes.clone()),
            PayloadRef::Stream(_) => unreachable!("streams are sent at QoS 1"),
        }
        self.untold = if len > ENOUGH { len } else { 0 };
        self.session.advance(head + len - self.untold);
        self.staged_bytes += (head + len) as u64;
        self.output.end_qos0();
        self.stats.sent_qos0 += 1;
        Ok(true)
    }

    fn accept_at_least_once(
        &mut self,
        shared: &Shared,
        message: &Outgoing<'_>,
    ) -> Result<Option<CompletionKey>, PublishError> {
        let name = message.topic.name()?;
        let limit = shared.tuning.outbox;
        let held = match &message.payload {
            PayloadRef::Stream(_) => name.as_bytes().len(),
            payload => name.as_bytes().len() + payload.len(),
        };
        if held > limit.bytes {
            return Err(PublishError::OutboxTooSmall {
                len: held,
                limit: limit.bytes,
            });
        }
        if self.outbox_messages >= limit.messages || self.outbox_bytes + held > limit.bytes {
            return Ok(None);
        }
        let topic = match &message.topic {
            TopicRef::Text(text) => TopicText::Copied(self.pool.topic(text)),
            TopicRef::Prepared(topic) => TopicText::Prepared(Topic::clone(topic)),
        };
        let payload = match &message.payload {
            PayloadRef::Borrowed(bytes) => Payload::Copied(self.pool.payload(bytes)),
            PayloadRef::Owned(bytes) => Payload::Shared(bytes.clone()),
            PayloadRef::Stream(source) => Payload::Stream(source.clone()),
        };
        let completion = self.completions.insert();
        let item = Item::Publish(Publication {
            topic,
            payload,
            retain: message.retain,
            completion,
        });
        match self.session.enqueue(item) {
            Ok(_) => {
                self.outbox_messages += 1;
                self.outbox_bytes += held;
                self.accepted += 1;
                Ok(Some(completion))
            }
            Err(refused) => {
                self.detach(completion);
                self.complete(completion, Ok(()));
                if let Item::Publish(publication) = refused.handle {
                    self.pool.recycle(publication, &mut self.deferred);
                }
                match refused.reason {
                    EnqueueReason::PacketTooLong => Err(PublishError::TooLong {
                        len: (name.as_bytes().len() + message.payload.len()) as u64,
                    }),
                    _ => Ok(None),
                }
            }
        }
    }
}

impl TopicRef<'_> {
    #[inline]
    fn name(&self) -> Result<TopicName<'_>, PublishError> {
        Ok(match self {
            Self::Text(text) => TopicName::new(text)?,
            Self::Prepared(topic) => topic.name(),
        })
    }
}

/// Fixed header and the length of the topic, at most.
const HEAD: usize = 7;
