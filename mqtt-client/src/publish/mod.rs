//! Publishing.
mod accept;
mod message;

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mqtt_codec::wire::{QoS, Retain};

pub use self::message::{PublishPayload, PublishTopic};
use self::{
    accept::Accepting,
    message::{Outgoing, PayloadRef},
};
use crate::{
    Client,
    error::{PublishError, TryPublishError},
    source::{PayloadSource, SharedSource},
    state::{Completion, CompletionKey, Shared, wake},
};

/// A message about to be published. From [`Client::publish`].
///
/// Awaited, it completes, at QoS 1, when the broker has acknowledged it, whatever happens to the connection meanwhile;
/// at QoS 0, the default, when its bytes are in the outgoing buffer, which there is only with a connection: without one it
/// waits ([`Overflow`](crate::Overflow)).
///
/// **Cancel safety.** Dropped before it has completed: a message that still waits for room is not sent; one that the
/// outbox has accepted is sent all the same.
#[derive(Debug)]
#[must_use = "a message is published by awaiting it"]
pub struct Publish<'a> {
    client: &'a Client,
    message: Result<Outgoing<'a>, PublishError>,
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
/// At QoS 0 it is ready at once. Dropping it changes nothing for the message. It does not keep the client running, as clients
/// and streams do: when the last of those is dropped, it fails.
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
