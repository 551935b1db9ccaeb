//! Subscribing, and the streams of received messages.
use std::{
    collections::VecDeque,
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use mqtt_codec::wire::QoS;

use crate::{
    Client,
    client::Handle,
    error::{
        ClosedError, PublishError, StreamError, SubscribeError, TakeStreamError, TryRecvError,
    },
    message::{AckMode, Acker, Message, Queued},
    options::{Capacity, Filter},
    state::{Completion, Queue, Shared, State, Unattached},
};

/// A subscription about to be made. From [`Client::subscribe`].
///
/// Awaited, it completes when the broker has granted it. Without connection it waits for one.
///
/// **Cancel safety.** Dropped before it has completed, it gives up what it has asked for: not a subscription that this
/// client had before, with a stream or without, nor messages that were held for it.
#[derive(Debug)]
#[must_use = "a subscription is made by awaiting it"]
pub struct Subscribe<'a> {
    client: &'a Client,
    filters: Result<Vec<(Filter, QoS)>, SubscribeError>,
    capacity: Capacity,
    mode: AckMode,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self {
            client,
            filters: Ok(Vec::new()),
            capacity: client.shared.tuning.queue,
            mode: AckMode::default(),
        }
    }

    /// Another filter for the same stream.
    pub fn filter<F>(mut self, filter: F, qos: QoS) -> Self
    where
        F: TryInto<Filter>,
        SubscribeError: From<F::Error>,
    {
        self.filters = self.filters.and_then(|mut filters| {
            let filter = filter.try_into()?;
            if qos == QoS::ExactlyOnce {
                return Err(SubscribeError::QoS2);
            }
            if filters.iter().any(|(other, _)| *other == filter) {
                return Err(SubscribeError::Duplicate { filter });
            }
            filters.push((filter, qos));
            Ok(filters)
        });
        self
    }

    /// Bounds of the stream's queue, at least 1 each, for each of QoS 0 and QoS 1. Default: [`ConnectOptions::queue`](crate::ConnectOptions::queue).
    pub fn queue(mut self, capacity: Capacity) -> Self {
        self.capacity = Capacity::new(capacity.messages.max(1), capacity.bytes.max(1));
        self
    }

    /// Messages are acknowledged by [`Message::ack`] alone; one dropped without it is given up, for the broker to send
    /// again on the next connection. See [`Message`] for when that comes, and for transient sessions.
    pub fn manual_ack(mut self) -> Self {
        self.mode = AckMode::Manual;
        self
    }

    async fn subscribe(self) -> Result<Subscription, SubscribeError> {
        let filters = self.filters?;
        let shared = &self.client.shared;
        let key = {
            let mut state = shared.lock();
            if let Some(closed) = state.closed() {
                return Err(closed.into());
            }
            let key = state.router.add_queue(Queue::new(self.capacity));
            for (filter, qos) in &filters {
                state.router.subscribe(filter, *qos, key);
            }
            state.move_held(key, |topic| {
                filters
                    .iter()
                    .any(|(filter, _)| filter.filter().matches(topic))
            });
            state.wake_driver();
            key
        };
        let names: Vec<Filter> = filters.into_iter().map(|(filter, _)| filter).collect();
        // from here on dropping the future drops the stream, which gives up what the session did not have before
        let mut subscription = Subscription::new(self.client, key, names, Vec::new(), self.mode);
        if subscription.unattached == Unattached::Keep {
            subscription.unattached = Unattached::KeepStanding;
        }
        let granted = poll_fn(|cx| subscription.poll_granted(cx)).await?;
        if granted.iter().any(Option::is_some) {
            subscription.unattached = shared.unattached();
        }
        let mut refused = Vec::new();
        for (filter, granted) in subscription.filters.iter().zip(&granted) {
            match granted {
                Some(qos) => subscription.granted.push((filter.clone(), *qos)),
                None => refused.push(filter.clone()),
            }
        }
        if refused.is_empty() {
            return Ok(subscription);
        }
        let granted = (!subscription.granted.is_empty()).then(|| Box::new(subscription));
        Err(SubscribeError::Refused { refused, granted })
    }
}

impl<'a> IntoFuture for Subscribe<'a> {
    type Output = Result<Subscription, SubscribeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.subscribe())
    }
}

/// The end of a subscription. From [`Client::unsubscribe`].
#[derive(Debug)]
#[must_use = "it is carried out by awaiting it"]
pub struct Unsubscribe<'a> {
    client: &'a Client,
    filter: Result<Filter, SubscribeError>,
}

impl<'a> Unsubscribe<'a> {
    pub(crate) const fn new(client: &'a Client, filter: Result<Filter, SubscribeError>) -> Self {
        Self { client, filter }
    }

    async fn unsubscribe(self) -> Result<(), SubscribeError> {
        let filter = self.filter?;
        let shared = &self.client.shared;
        let key = {
            let mut state = shared.lock();
            if let Some(closed) = state.closed() {
                return Err(closed.into());
            }
            let key = state.completions.insert();
            state.router.unsubscribe(&filter, key);
            state.wake_driver();
            key
        };
        match Completion::new(shared, key).await {
            Err(PublishError::Closed(closed)) => Err(closed.into()),
            _ => Ok(()),
        }
    }
}

impl<'a> IntoFuture for Unsubscribe<'a> {
    type Output = Result<(), SubscribeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.unsubscribe())
    }
}

/// A stream of received messages, through a bounded queue.
///
/// It ends with `None` when its filters are unsubscribed or the client is disconnected, after an error item when the
/// broker refuses to renew it or the client ends by an error.
///
/// **Slow consumers.** A full queue holds back acknowledgements at QoS 1, so that the broker stops sending when its own
/// window is used up; messages at QoS 0 are dropped and counted. While a queue is full of QoS 1 messages and more come, the
/// whole connection is not read, so that one slow consumer slows all streams of a client.
///
/// **Overlapping filters.** A message goes to every stream with a matching filter, and is acknowledged when all of them have
/// dropped it. (The Embassy client, `mqboard-client-embassy`, gives it to the first.) Some brokers send one copy for each
/// overlapping subscription `[MQTT-3.3.5-1]`: each matching stream gets each of the copies.
///
/// Dropping it unsubscribes in a [`Transient`](crate::SessionStart::Transient) session; in one that persists it only lets go:
/// QoS 1 messages are held for the next stream, those it had not taken beyond the bounds of the default queue if need
/// be ([`ConnectOptions::queue`](crate::ConnectOptions::queue)): it takes nothing more until it has room again. What it had not
/// taken and another stream matches is for that one alone, whatever its bounds. With
/// [`Unmatched::Discard`](crate::Unmatched::Discard) they are acknowledged instead, and dropped, as those at QoS 0 always are;
/// both are [counted](crate::Stats::dropped_unmatched). Use [`Client::unsubscribe`] to end the subscription.
pub struct Subscription {
    shared: Arc<Shared>,
    _handle: Arc<Handle>,
    key: usize,
    filters: Vec<Filter>,
    granted: Vec<(Filter, QoS)>,
    mode: AckMode,
    /// What its end means for its filters.
    unattached: Unattached,
    batch: VecDeque<Queued>,
    ended: bool,
}

impl Subscription {
    pub(crate) fn new(
        client: &Client,
        key: usize,
        filters: Vec<Filter>,
        granted: Vec<(Filter, QoS)>,
        mode: AckMode,
    ) -> Self {
        Self {
            shared: Arc::clone(&client.shared),
            _handle: Arc::clone(&client.handle),
            key,
            filters,
            granted,
            mode,
            unattached: client.shared.unattached(),
            batch: VecDeque::new(),
            ended: false,
        }
    }

    pub(crate) fn take(client: &Client, filter: &str) -> Result<Self, TakeStreamError> {
        let mut state = client.shared.lock();
        let unknown = || TakeStreamError::Unknown {
            filter: filter.to_owned(),
        };
        let taken = || TakeStreamError::Taken {
            filter: filter.to_owned(),
        };
        let name = Filter::new(filter).map_err(|_| unknown())?;
        if !state.router.knows(filter) {
            return Err(unknown());
        }
        let key = match state
            .untaken
            .iter()
            .position(|(declared, _)| *declared == name)
        {
            Some(index) => state.untaken.swap_remove(index).1,
            None => {
                let queue = Queue::new(client.shared.tuning.queue);
                let key = state.router.add_queue(queue);
                if state.router.attach(filter, key).is_none() {
                    let shared = &client.shared;
                    state.release_stream(shared, key, &mut VecDeque::new(), shared.unattached());
                    return Err(taken());
                }
                state.move_held(key, |topic| name.filter().matches(topic));
                // the message that waits for room may have some now
                state.wake_driver();
                key
            }
        };
        let granted = state.router.granted(key, std::slice::from_ref(&name));
        let granted = match granted.as_deref() {
            Some([Ok(qos)]) => vec![(name.clone(), *qos)],
            _ => Vec::new(),
        };
        drop(state);
        Ok(Self::new(client, key, vec![name], granted, AckMode::OnDrop))
    }

    /// The QoS that the broker had granted to each filter when the stream was made or taken, in the order of the call;
    /// empty for the default stream, and for a declared one that the broker had not answered for or refused.
    #[must_use]
    pub fn granted(&self) -> &[(Filter, QoS)] {
        &self.granted
    }

    /// The filters of this stream; none for the default stream.
    #[must_use]
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Messages are acknowledged by [`Message::ack`] alone, from the next one on.
    pub fn set_manual_ack(&mut self) {
        self.mode = AckMode::Manual;
    }

    /// The next message, `None` at the end. The same as `StreamExt::next`.
    ///
    /// **Cancel safety.** Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Message, StreamError>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// The next message if it is here already.
    ///
    /// # Errors
    /// There is none now, or never again; or the stream has an error to tell, as [`next`](Self::next) does.
    pub fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        match self.poll_queue(None) {
            Poll::Ready(Some(Ok(message))) => Ok(message),
            Poll::Ready(Some(Err(error))) => Err(TryRecvError::Stream(error)),
            Poll::Ready(None) => Err(TryRecvError::Ended),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Message, StreamError>>> {
        self.poll_queue(Some(cx))
    }

    /// Wakes nobody without a context.
    fn poll_queue(
        &mut self,
        cx: Option<&Context<'_>>,
    ) -> Poll<Option<Result<Message, StreamError>>> {
        if let Some(queued) = self.batch.pop_front() {
            return Poll::Ready(Some(Ok(self.message(queued))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let shared = Arc::clone(&self.shared);
        let mut locked = shared.lock();
        let state = &mut *locked;
        self.take_batch(state);
        if let Some(queued) = self.batch.pop_front() {
            drop(locked);
            return Poll::Ready(Some(Ok(self.message(queued))));
        }
        if let Some(end) = state.end_of_stream(self.key) {
            // one refused filter of several ends nothing but itself
            self.ended = !matches!(end, Err(StreamError::Refused { .. }));
            return Poll::Ready(end.err().map(Err));
        }
        if let Some(cx) = cx {
            let queue = state.router.queue(self.key);
            state.deferred.renew(&mut queue.waker, cx);
        }
        Poll::Pending
    }

    fn take_batch(&mut self, state: &mut State) {
        let queue = state.router.queue(self.key);
        queue.take_batch(&mut self.batch);
        if queue.blocks {
            state.wake_driver();
        }
    }

    fn message(&self, queued: Queued) -> Message {
        let acker = queued.receipt.map(|receipt| Acker {
            shared: Arc::clone(&self.shared),
            receipt,
            mode: self.mode,
        });
        Message {
            content: queued.content,
            acker,
        }
    }

    /// The broker's answers in the order of the filters, `None` for a refusal.
    fn poll_granted(&self, cx: &Context<'_>) -> Poll<Result<Vec<Option<QoS>>, ClosedError>> {
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        if let Some(granted) = state.router.granted(self.key, &self.filters) {
            // refusals are told by the result
            state.router.queue(self.key).refusals.clear();
            state.router.confirm(self.key);
            return Poll::Ready(Ok(granted.into_iter().map(Result::ok).collect()));
        }
        if let Some(closed) = state.closed() {
            return Poll::Ready(Err(closed));
        }
        let queue = state.router.queue(self.key);
        state.deferred.renew(&mut queue.waker, cx);
        Poll::Pending
    }
}

impl Stream for Subscription {
    type Item = Result<Message, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if self.key == state.default_queue {
            state.release_default_stream(&self.shared, &mut self.batch);
        } else {
            state.release_stream(&self.shared, self.key, &mut self.batch, self.unattached);
        }
        state.wake_driver();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}
