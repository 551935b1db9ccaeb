use core::{
    fmt,
    future::{Future, poll_fn},
    task::{Context, Poll},
};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Instant};
use mqtt_codec::wire::{QoS, TopicFilter};

use crate::{
    CloseReason, ConnectionState, Inbox, Limit, PublishError, Stats, SubscribeError,
    options::subscription,
    state::{Holder, Packet, Shared, Stage, State, Stop, UNMATCHED, UNSUBSCRIBING},
};

/// A handle of a client: a copyable reference, for any number of tasks.
///
/// Handles have no end of their own: the client ends by [`disconnect`](Self::disconnect), or when the runner's future
/// is dropped.
pub struct Client<'a, M> {
    pub(crate) shared: &'a Shared<'a, M>,
}

/// Time that [`Client::disconnect`] gives to what waits.
const DRAIN: Duration = Duration::from_secs(10);

impl<M> Clone for Client<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Client<'_, M> {}

impl<M> fmt::Debug for Client<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<'a, M: RawMutex> Client<'a, M> {
    /// Waits until the broker has accepted the connection and answered the declared subscriptions.
    ///
    /// # Errors
    /// The client has ended, for this reason.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn connected(self) -> Result<(), CloseReason> {
        self.until(|state| match state.connection {
            ConnectionState::Closed(reason) => Some(Err(reason)),
            ConnectionState::Connected { .. } if state.routes.are_settled() => Some(Ok(())),
            _ => None,
        })
        .await
    }

    /// How the client stands with the broker.
    #[must_use]
    pub fn state(self) -> ConnectionState {
        self.shared.with(|state| state.connection)
    }

    /// Waits until it stands otherwise than `known`, and tells how. Changes in between may be missed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn state_changed(self, known: ConnectionState) -> ConnectionState {
        self.until(|state| Some(state.connection).filter(|&now| now != known))
            .await
    }

    /// The counters.
    #[must_use]
    pub fn stats(self) -> Stats {
        self.shared.with(|state| state.stats)
    }

    /// Waits until the transport has taken everything that was published before: with QoS 1 messages that wait for a
    /// connection, it waits as well.
    ///
    /// # Errors
    /// [`PublishError::ConnectionLost`]: the connection that this was handed out to has ended. QoS 1 messages go out
    /// again with the next one. [`PublishError::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn flush(self) -> Result<(), PublishError> {
        let accepted = self.shared.with(|state| state.accepted);
        self.flush_up_to(accepted).await
    }

    /// Waits until the transport has taken what is in the transmit buffer, and so many of the QoS 1 messages that were
    /// accepted.
    pub(crate) async fn flush_up_to(self, accepted: u32) -> Result<(), PublishError> {
        let mut staged = None;
        self.until(|state| {
            if staged.is_none() && !state.is_closed() && state.stage_up_to(accepted) {
                staged = Some((state.links, state.staged));
                state.wake_runner();
            }
            let link = staged.map_or(state.links, |(link, _)| link);
            let is_written = |(link, staged)| {
                let written = state.written_of(link);
                written.is_some_and(|written| !is_before(written, staged))
            };
            if staged.is_some_and(is_written) {
                return Some(Ok(()));
            }
            if state.is_closed() {
                return Some(Err(PublishError::Closed));
            }
            (link != state.links).then_some(Err(PublishError::ConnectionLost))
        })
        .await
    }

    /// Subscribes to `filter`, at QoS 0 or 1, and waits for the broker's answer. Requests go to the broker one after the
    /// other: if it leaves one unanswered, [`Options::ack_timeout`](crate::Options::ack_timeout) ends the wait.
    ///
    /// A message goes to one inbox. Of several subscriptions that match, the one with the first place gets it: declared
    /// ones have theirs in their order, and each later one takes a free place, which may be that of one that has ended.
    ///
    /// # Errors
    /// The filter is none, or taken, or refused; no place is left; the client has ended.
    ///
    /// # Cancel safety
    /// Dropping the future is dropping the inbox, see [`Inbox`].
    pub async fn subscribe(
        self,
        filter: &'a str,
        qos: QoS,
    ) -> Result<Inbox<'a, M>, SubscribeError> {
        let filter = subscription(filter, qos)?;
        let route = self.shared.with(|state| {
            if state.is_closing() {
                return Err(SubscribeError::Closed);
            }
            if state.queue.capacity() == 0 {
                return Err(SubscribeError::Limit(Limit::Queue));
            }
            let route = state.routes.subscribe(filter, qos)?;
            state.sort();
            state.wake_runner();
            Ok(route)
        })?;
        let inbox = Inbox::new(self, route);
        self.until(|state| match state.routes.stage(route) {
            Stage::Granted => Some(Ok(())),
            Stage::Refused => Some(Err(SubscribeError::Refused)),
            Stage::Unwanted | Stage::Leaving | Stage::Left => {
                Some(Err(SubscribeError::Unsubscribed))
            }
            Stage::Wanted | Stage::Asked if state.is_closed() => Some(Err(SubscribeError::Closed)),
            Stage::Wanted | Stage::Asked => None,
        })
        .await?;
        Ok(inbox)
    }

    /// The inbox of a declared subscription, or of one whose inbox was dropped.
    ///
    /// # Errors
    /// [`SubscribeError::Unknown`] or [`SubscribeError::Taken`].
    pub fn inbox(self, filter: &str) -> Result<Inbox<'a, M>, SubscribeError> {
        let route = self.shared.with(|state| state.attach(filter))?;
        Ok(Inbox::new(self, route))
    }

    /// The inbox of messages that match no subscription, or one whose inbox was dropped.
    ///
    /// # Errors
    /// [`SubscribeError::Taken`], or [`Limit::Queue`]: there is no place for any message.
    pub fn unmatched(self) -> Result<Inbox<'a, M>, SubscribeError> {
        self.shared
            .with(|state| match state.routes.unmatched_holder {
                _ if state.queue.capacity() == 0 => Err(SubscribeError::Limit(Limit::Queue)),
                Holder::Somebody => Err(SubscribeError::Taken),
                _ => {
                    state.routes.unmatched_holder = Holder::Somebody;
                    Ok(())
                }
            })?;
        Ok(Inbox::new(self, UNMATCHED))
    }

    /// Ends the subscription to `filter`, with or without an inbox, of an earlier run too, and waits for the broker's
    /// answer. Its inbox yields what has come, then [`SubscribeError::Unsubscribed`]. Without an inbox, what waits goes then
    /// to that of another subscription that matches, or to that of the [unmatched](Self::unmatched) if somebody has it; else
    /// it is acknowledged and dropped.
    ///
    /// # Errors
    /// The filter is none; no place is left to ask for a filter of an earlier run; the client has ended.
    ///
    /// # Cancel safety
    /// UNSUBSCRIBE is sent all the same.
    pub async fn unsubscribe(self, filter: &'a str) -> Result<(), SubscribeError> {
        let filter = TopicFilter::new(filter)?;
        self.shared.with(|state| {
            if state.is_closing() {
                return Err(SubscribeError::Closed);
            }
            state.unsubscribing = Some(&UNSUBSCRIBING);
            state.routes.unsubscribe(filter)?;
            state.wake_runner();
            Ok(())
        })?;
        self.until(|state| match state.routes.find(filter.as_str()) {
            Some((_, route)) if matches!(route.stage, Stage::Unwanted | Stage::Leaving) => {
                state.is_closed().then_some(Err(SubscribeError::Closed))
            }
            _ => Some(Ok(())),
        })
        .await
    }

    /// Ends the client: nothing more is accepted, what waits gets 10 s to leave, then DISCONNECT. See
    /// [`disconnect_within`](Self::disconnect_within).
    pub async fn disconnect(self) {
        self.disconnect_within(DRAIN).await;
    }

    /// Ends the client: nothing more is accepted, what waits gets this time to leave, then DISCONNECT is sent and the
    /// runner returns. What was not delivered is told by [`undelivered`](Self::undelivered).
    ///
    /// What waits are QoS 1 messages without acknowledgement, subscriptions of a new session that are still to be asked
    /// for, bytes in the transmit buffer, and a QoS 0 message whose [`Writer`](crate::Writer) is at it. If the time is
    /// over within a packet, the rest of it and DISCONNECT get another second; if that does not suffice, the connection
    /// is closed without, and the broker publishes the will.
    ///
    /// # Cancel safety
    /// The client ends all the same.
    pub async fn disconnect_within(self, limit: Duration) {
        self.shared.with(|state| {
            if state.stop == Stop::No {
                state.drain(Instant::now().saturating_add(limit));
                state.wake_runner();
                state.wakers.wake();
            }
        });
        self.until(|state| state.is_closed().then_some(())).await;
    }

    /// After the end: the next QoS 1 message that was not delivered, the oldest first. Its memory is free again when
    /// it is dropped.
    #[must_use]
    pub fn undelivered(self) -> Option<Undelivered<'a, M>> {
        self.shared.with(|state| {
            if !state.is_closed() {
                return None;
            }
            let (_, packet) = state.session.take_oldest()?;
            state.outbox.fail(packet, Some(PublishError::Closed));
            Some(Undelivered {
                shared: self.shared,
                packet: Some(packet),
            })
        })
    }

    /// Waits until it is found.
    pub(crate) fn until<T>(
        self,
        mut look: impl FnMut(&mut State<'a>) -> Option<T>,
    ) -> impl Future<Output = T> {
        poll_fn(move |cx| self.shared.with(|state| state.poll_found(cx, &mut look)))
    }
}

impl<'a> State<'a> {
    /// What is found, or pending until something has changed.
    pub(crate) fn poll_found<T>(
        &mut self,
        cx: &Context<'_>,
        look: &mut impl FnMut(&mut State<'a>) -> Option<T>,
    ) -> Poll<T> {
        match look(self) {
            Some(found) => Poll::Ready(found),
            None => {
                self.wakers.register(cx.waker());
                Poll::Pending
            }
        }
    }
}

/// A QoS 1 message that was not delivered when the client ended.
pub struct Undelivered<'a, M: RawMutex> {
    shared: &'a Shared<'a, M>,
    packet: Option<&'a mut Packet<'a>>,
}

impl<M: RawMutex> Undelivered<'_, M> {
    /// Where it was to go.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.packet.as_ref().map_or("", |packet| packet.topic())
    }

    /// What it was to say; empty if its publisher was to supply it.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let packet = self.packet.as_ref();
        packet.map_or(&[], |packet| packet.payload(0, packet.kept()))
    }
}

impl<M: RawMutex> fmt::Debug for Undelivered<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("topic", &self.topic())
            .finish_non_exhaustive()
    }
}

impl<M: RawMutex> Drop for Undelivered<'_, M> {
    fn drop(&mut self) {
        if let Some(packet) = self.packet.take() {
            self.shared.with(|state| state.outbox.give_back(packet));
        }
    }
}

/// Whether `a` comes before `b`, both modulo 2³².
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
