use core::{fmt, future::Future};

use embassy_sync::blocking_mutex::raw::RawMutex;

use crate::{
    Client, Message, SubscribeError,
    state::{Holder, Settlement, Stage, State},
};

/// The messages of one subscription.
///
/// Dropping it unsubscribes in a session that is [`Transient`](crate::SessionStart::Transient): what waits for it, or
/// comes later, goes to another inbox that matches, or to that of the [unmatched](crate::Client::unmatched) if somebody has
/// it; else it is dropped, and acknowledged or [counted](crate::Stats::dropped).
///
/// In any other session the subscription stays: QoS 1 messages wait in the queue for the next inbox of the filter, see
/// [`Client::inbox`](crate::Client::inbox), or go to that of the unmatched; QoS 0 messages, those that wait for this one
/// included, are dropped and counted.
pub struct Inbox<'a, M: RawMutex> {
    client: Client<'a, M>,
    route: u16,
    /// Of messages that are dropped.
    settlement: Settlement,
}

impl<'a, M: RawMutex> Inbox<'a, M> {
    pub(crate) const fn new(client: Client<'a, M>, route: u16) -> Self {
        Self {
            client,
            route,
            settlement: Settlement::Acknowledged,
        }
    }

    /// From now on messages are acknowledged by [`Message::acknowledge`] alone. One that is dropped without is given
    /// up: the broker sends it again on the next connection of the session.
    #[must_use]
    pub const fn acknowledging_manually(mut self) -> Self {
        self.settlement = Settlement::GivenUp;
        self
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// The subscription, or the client, has ended and there is no message left.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    #[allow(clippy::should_implement_trait, reason = "an iterator does not wait")]
    pub fn next(&mut self) -> impl Future<Output = Result<Message<'a, M>, SubscribeError>> {
        let shared = self.client.shared;
        let (route, settlement) = (self.route, self.settlement);
        self.client
            .until(move |state| match state.queue.take(route) {
                Some(received) => {
                    state.wake_runner();
                    Some(Ok(Message::new(shared, received, settlement)))
                }
                None => state.ended(route).map(Err),
            })
    }
}

impl State<'_> {
    /// Why nothing more comes to this inbox.
    fn ended(&mut self, route: u16) -> Option<SubscribeError> {
        match self.routes.get(route).map(|route| route.stage) {
            Some(Stage::Left) => Some(SubscribeError::Unsubscribed),
            Some(Stage::Refused) => Some(SubscribeError::Refused),
            _ if self.is_closed() => Some(SubscribeError::Closed),
            _ => None,
        }
    }
}

impl<M: RawMutex> Drop for Inbox<'_, M> {
    fn drop(&mut self) {
        self.client.shared.with(|state| state.detach(self.route));
    }
}

impl<M: RawMutex> fmt::Debug for Inbox<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl State<'_> {
    /// Takes an inbox that nobody has.
    pub(crate) fn attach(&mut self, filter: &str) -> Result<u16, SubscribeError> {
        let route = self.routes.attach(filter)?;
        self.sort();
        Ok(route)
    }

    fn detach(&mut self, index: u16) {
        *self.routes.holder(index) = Holder::Nobody;
        if let Some(unsubscribing) = self.unsubscribing {
            (unsubscribing.detach)(self, index);
        }
        self.sort();
        // some may have another inbox now
        self.wakers.wake();
        self.wake_runner();
    }
}
