use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use mqtt_codec::wire::{QoS, Retain};
use tokio::{
    runtime,
    sync::{broadcast, watch},
    time::Instant,
};

use crate::{
    driver,
    error::{CloseReason, ClosedError, PublishError, StartError, SubscribeError, TakeStreamError},
    events::{ConnectionState, Event},
    message::AckMode,
    options::{ConnectOptions, Filter, OptionsError},
    publish::{Publish, PublishPayload, PublishStream, PublishTopic},
    source::PayloadSource,
    state::{Completion, DefaultStream, Flush, Item, Lifecycle, Payload, Shared, wake},
    stats::Stats,
    subscribe::{Subscribe, Subscription, Unsubscribe},
};

#[doc = include_str!("client.md")]
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) handle: Arc<Handle>,
}

/// Lives as long as any client or stream: with the last one the driver ends.
pub(crate) struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if matches!(state.lifecycle, Lifecycle::Running) {
            state.lifecycle = Lifecycle::Draining {
                until: Instant::now(),
                reason: CloseReason::Dropped,
            };
        }
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }
}

impl Client {
    /// Starts a client and waits until the broker has accepted it and answered for the declared subscriptions (this
    /// within the connect time-out), or, with
    /// [`FirstConnect::KeepTrying`](crate::FirstConnect::KeepTrying), until it does, however long that takes.
    ///
    /// Takes a URL (`mqtt://user:secret@host:1883?client_id=gw1`, see [`ConnectOptions`]) or options. Must be called within a
    /// tokio runtime, whose task then drives the connection until the last handle is dropped.
    ///
    /// **Cancel safety.** Dropped before it completes, the client ends.
    ///
    /// # Errors
    /// Wrong options, no runtime, and the failure of the first attempt to connect.
    pub async fn connect<O>(options: O) -> Result<Self, StartError>
    where
        O: TryInto<ConnectOptions>,
        OptionsError: From<O::Error>,
    {
        let client = Self::start(options)?;
        client.connected().await?;
        let limit = client.shared.tuning.connect_timeout;
        // answers that do not come in time come later, if at all: the client is connected all the same
        if let Ok(settled) = tokio::time::timeout(limit, client.settled()).await {
            settled?;
        }
        Ok(client)
    }

    /// Starts a client and does not wait for the broker. What is published at QoS 1 is delivered once it is there, if
    /// the options say [`FirstConnect::KeepTrying`](crate::FirstConnect::KeepTrying); by default the client ends when the
    /// first attempt fails, and everything that waits fails with it.
    ///
    /// Must be called within a tokio runtime, whose task then drives the connection until the last handle is dropped.
    ///
    /// # Errors
    /// Wrong options, or no runtime.
    pub fn start<O>(options: O) -> Result<Self, StartError>
    where
        O: TryInto<ConnectOptions>,
        OptionsError: From<O::Error>,
    {
        let options = options.try_into().map_err(OptionsError::from)?;
        let runtime = runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let shared = driver::spawn(&runtime, options.settings()?);
        let handle = Arc::new(Handle {
            shared: Arc::clone(&shared),
        });
        Ok(Self { shared, handle })
    }

    /// Waits until the client is connected.
    ///
    /// **Cancel safety.** Dropping it has no effect.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn connected(&self) -> Result<(), StartError> {
        let mut connection = self.connection();
        loop {
            match &*connection.borrow_and_update() {
                ConnectionState::Connected { .. } => return Ok(()),
                ConnectionState::Closed {
                    reason: CloseReason::Connect(error),
                } => {
                    return Err(StartError::Connect(Arc::clone(error)));
                }
                ConnectionState::Closed { reason } => {
                    return Err(StartError::Closed(ClosedError::new(reason.clone())));
                }
                ConnectionState::Connecting => {}
            }
            if connection.changed().await.is_err() {
                return Err(StartError::Closed(ClosedError::new(CloseReason::Runtime)));
            }
        }
    }

    /// Waits until the broker has answered for the declared subscriptions.
    async fn settled(&self) -> Result<(), ClosedError> {
        let key = {
            let mut state = self.shared.lock();
            if let Some(closed) = state.closed() {
                return Err(closed);
            }
            if state.router.is_settled() {
                return Ok(());
            }
            let key = state.completions.insert();
            state.settling.push(key);
            key
        };
        match Completion::new(&self.shared, key).await {
            Err(PublishError::Closed(closed)) => Err(closed),
            _ => Ok(()),
        }
    }

    /// Publishes `payload` to `topic`, at QoS 0 unless [`qos`](Publish::qos) says otherwise.
    ///
    /// The topic is a string or a prepared [`Topic`](crate::Topic). Borrowed payloads are copied; [`Bytes`], `Vec<u8>` and
    /// `String` are not, if they are large.
    ///
    /// ```no_run
    /// # async fn example(client: mqtt_client::Client) -> Result<(), mqtt_client::PublishError> {
    /// use mqtt_client::QoS;
    ///
    /// client.publish("sensors/1/temp", "21.5").await?; // QoS 0: in the outgoing buffer
    /// client.publish("sensors/1/temp", "21.5").qos(QoS::AtLeastOnce).retain().await?; // acknowledged
    ///
    /// let first = client.publish("log", "one").qos(QoS::AtLeastOnce).enqueue().await?;
    /// let second = client.publish("log", "two").qos(QoS::AtLeastOnce).enqueue().await?;
    /// first.await?; // both are under way
    /// second.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<'a>(
        &'a self,
        topic: impl Into<PublishTopic<'a>>,
        payload: impl Into<PublishPayload<'a>>,
    ) -> Publish<'a> {
        Publish::new(self, topic.into(), payload.into())
    }

    /// Publishes a payload of any legal size at QoS 1 while it is read, in constant memory.
    ///
    /// It is read again on the next connection if this one is lost before the acknowledgement. If the source fails or panics,
    /// or yields more or fewer bytes than it announced, the message is given up and only this future fails. If part of the
    /// message was sent by then, the connection starts anew. It ends without DISCONNECT, which may not stand within a
    /// packet: the broker publishes the will. A source is opened before that: one that cannot be opened costs nothing else.
    ///
    /// A source that announces no bytes is not opened. One that is not opened within the write time-out, or has no byte to give
    /// for so long, counts as failed.
    ///
    /// While it is sent, every other message waits, PINGREQ too: a strict broker wants the whole packet within
    /// 1.5 × keep alive, so the link must carry the payload in that time.
    pub fn publish_stream<'a>(
        &'a self,
        topic: impl Into<PublishTopic<'a>>,
        source: impl PayloadSource,
    ) -> PublishStream<'a> {
        PublishStream::new(self, topic.into(), source)
    }

    /// Subscribes to `filter` and returns, when awaited, the stream of its messages, granted by the broker.
    ///
    /// More filters for the same stream, its bounds and the way to acknowledge are set on the builder.
    ///
    /// **Overlapping filters.** A message goes to every stream with a matching filter, and is acknowledged when all of them
    /// have dropped it. (The Embassy client, `mqboard-client-embassy`, gives it to the first.) Some brokers send one copy for
    /// each overlapping subscription `[MQTT-3.3.5-1]`: each matching stream gets each of the copies.
    ///
    /// The broker keeps subscriptions of earlier versions of your program. QoS 1 messages that match no stream are held, and
    /// once the broker's window (mosquitto: 20) is full of them, nothing else is received. When you give up a filter, call
    /// `unsubscribe(old)` once at start, or choose [`Unmatched::Discard`](crate::Unmatched::Discard).
    /// [`Event::Unmatched`] tells.
    ///
    /// A filter is a string or a prepared [`Filter`](crate::Filter); what is wrong with it is told when the builder is awaited.
    pub fn subscribe<F>(&self, filter: F, qos: QoS) -> Subscribe<'_>
    where
        F: TryInto<Filter>,
        SubscribeError: From<F::Error>,
    {
        Subscribe::new(self).filter(filter, qos)
    }

    /// Takes the stream of a subscription that was declared in the options, or whose earlier stream was dropped in a
    /// session that persists. What arrived meanwhile is in it.
    ///
    /// # Errors
    /// There is no such subscription, or its stream was taken.
    pub fn stream(&self, filter: impl AsRef<str>) -> Result<Subscription, TakeStreamError> {
        Subscription::take(self, filter.as_ref())
    }

    /// Takes the stream of messages that match no other stream. Without it, those of QoS 1 are held unacknowledged
    /// for later streams (see [`Unmatched`](crate::Unmatched)), those of QoS 0 dropped and counted.
    ///
    /// # Errors
    /// It was taken.
    pub fn default_stream(&self) -> Result<Subscription, TakeStreamError> {
        let mut state = self.shared.lock();
        if state.default_stream == DefaultStream::Taken {
            return Err(TakeStreamError::DefaultTaken);
        }
        state.default_stream = DefaultStream::Taken;
        let key = state.default_queue;
        drop(state);
        Ok(Subscription::new(
            self,
            key,
            Vec::new(),
            Vec::new(),
            AckMode::OnDrop,
        ))
    }

    /// Ends the subscription to `filter`, with or without a stream; its streams end.
    ///
    /// Awaited, it completes when the broker has acknowledged it. It is carried out even if the future is dropped
    /// after its first poll.
    pub fn unsubscribe<F>(&self, filter: F) -> Unsubscribe<'_>
    where
        F: TryInto<Filter>,
        SubscribeError: From<F::Error>,
    {
        Unsubscribe::new(self, filter.try_into().map_err(SubscribeError::from))
    }

    /// Waits until everything published so far was handed to the transport.
    ///
    /// When the connection is lost meanwhile, QoS 0 messages are lost with it, counted in
    /// [`Stats::lost_with_connection`], and no longer waited for. QoS 1 messages are: without a connection it waits
    /// for the next one, if any of them waits. Nothing is said about what the broker has received; publish at QoS 1 for that.
    ///
    /// **Cancel safety.** Dropping it has no effect.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn flush(&self) -> Result<(), ClosedError> {
        let key = {
            let mut state = self.shared.lock();
            if let Some(closed) = state.closed() {
                return Err(closed);
            }
            let completion = state.completions.insert();
            let flush = Flush {
                messages: state.accepted,
                bytes: None,
                completion,
            };
            state.flushes.push(flush);
            if !state.session.is_connected() {
                // what was handed to an earlier connection is not waited for
                state.finish_flushes();
            }
            state.wake_driver();
            completion
        };
        match Completion::new(&self.shared, key).await {
            Err(PublishError::Closed(closed)) => Err(closed),
            _ => Ok(()),
        }
    }

    /// The state of the connection, to look at or to wait for changes of. [`Closed`](ConnectionState::Closed) is the last
    /// one: waiting for another fails then, at once for a receiver that is asked for after the end.
    #[must_use]
    pub fn connection(&self) -> watch::Receiver<ConnectionState> {
        self.shared.observers.connection()
    }

    /// Events. The receiver of the first call, by whichever handle, begins with the last ones since the start of the client,
    /// 16 at most, which are kept for it; that of each later call gets those from then on. `events().resubscribe()` gets
    /// those from then on in any case.
    ///
    /// A receiver that falls behind by more than 256 misses the oldest, and is told how many
    /// ([`Lagged`](broadcast::error::RecvError::Lagged)).
    ///
    /// [`Event::Closed`] is the last event. Behind it the receiver ends ([`Closed`](broadcast::error::RecvError::Closed)),
    /// even while there are handles; one that is asked for after the end does so at once, unless it is the first.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.observers.events()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.lock().snapshot()
    }

    /// Delivers what waits, then sends DISCONNECT and ends, within
    /// [`ConnectOptions::drain_timeout`](crate::ConnectOptions::drain_timeout).
    ///
    /// From the call on nothing new is accepted, by any handle. **Cancel safety.** Dropping the future does not stop it.
    ///
    /// # Errors
    /// What was not delivered. Each caller is told all of it, one who comes after the end as well; it is kept until the
    /// last handle is dropped.
    pub async fn disconnect(&self) -> Result<(), Undelivered> {
        self.disconnect_within(self.shared.tuning.drain_timeout)
            .await
    }

    /// The same within `limit`; zero sends DISCONNECT, if there is a connection, and ends.
    ///
    /// # Errors
    /// What was not delivered.
    pub async fn disconnect_within(&self, limit: Duration) -> Result<(), Undelivered> {
        let mut connection = self.connection();
        {
            let mut locked = self.shared.lock();
            let state = &mut *locked;
            // far enough in the future
            let limit = limit.min(Duration::from_secs(86_400 * 365));
            let until = Instant::now() + limit;
            match &mut state.lifecycle {
                Lifecycle::Running => {
                    let reason = CloseReason::Disconnected;
                    state.lifecycle = Lifecycle::Draining { until, reason };
                    state.room.wake_all(&mut state.deferred);
                }
                Lifecycle::Draining { until: earlier, .. } => *earlier = until.min(*earlier),
                Lifecycle::Closed(_) => {}
            }
            state.wake_driver();
        }
        let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
        // an error means that the driver is gone, which is closed as well
        connection.wait_for(closed).await.ok();
        let undelivered = Arc::clone(&self.shared.lock().undelivered);
        if undelivered.is_empty() {
            Ok(())
        } else {
            Err(Undelivered::clone(&undelivered))
        }
    }
}

/// What a client ended without delivering. From [`Client::disconnect`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Undelivered {
    /// QoS 1 messages that the broker has not acknowledged, oldest first. It may have some of them.
    pub messages: Vec<UndeliveredMessage>,
    /// QoS 0 messages that the last connection ended with: accepted, and not wholly handed to the transport. Those of earlier
    /// connections are in [`Stats::lost_with_connection`].
    pub qos0: u64,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.qos0 == 0
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qos1 = self.messages.len() as u64;
        f.write_str("not delivered: ")?;
        if qos1 > 0 {
            write!(f, "{} at QoS 1", Messages(qos1))?;
        }
        if qos1 > 0 && self.qos0 > 0 {
            f.write_str(" and ")?;
        }
        if self.qos0 > 0 || qos1 == 0 {
            write!(f, "{} at QoS 0", Messages(self.qos0))?;
        }
        if qos1 > 0 {
            f.write_str("; `messages` holds topics and payloads of those at QoS 1")?;
        }
        Ok(())
    }
}

impl std::error::Error for Undelivered {}

/// How many.
struct Messages(u64);

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 message"),
            count => write!(f, "{count} messages"),
        }
    }
}

/// A QoS 1 message that the broker has not acknowledged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UndeliveredMessage {
    /// Where it was published to.
    pub topic: String,
    /// Its payload; `None` for one that was published from a source.
    pub payload: Option<Bytes>,
    /// Whether the broker was to keep it for later subscribers.
    pub retain: Retain,
}

impl UndeliveredMessage {
    pub(crate) fn new(item: &Item) -> Option<Self> {
        let Item::Publish(publication) = item else {
            return None;
        };
        let payload = match &publication.payload {
            Payload::Copied(bytes) => Some(Bytes::copy_from_slice(bytes)),
            Payload::Shared(bytes) => Some(bytes.clone()),
            Payload::Stream(_) => None,
        };
        Some(Self {
            topic: publication.topic.as_str().to_owned(),
            payload,
            retain: publication.retain,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connection", &*self.connection().borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undelivered_is_counted_and_found() {
        let message = UndeliveredMessage {
            topic: "t".to_owned(),
            payload: None,
            retain: Retain::No,
        };
        let rows = [
            (1, 0, "not delivered: 1 message at QoS 1; `messages` holds"),
            (
                2,
                1,
                "not delivered: 2 messages at QoS 1 and 1 message at QoS 0; `messages` holds",
            ),
            (0, 3, "not delivered: 3 messages at QoS 0"),
            (0, 0, "not delivered: 0 messages"),
        ];
        for (qos1, qos0, expected) in rows {
            let messages = vec![message.clone(); qos1];
            let shown = Undelivered { messages, qos0 }.to_string();
            assert!(shown.starts_with(expected), "{shown}");
        }
    }
}
