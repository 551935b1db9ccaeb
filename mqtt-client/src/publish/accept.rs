//! How a message gets its place: in the outgoing buffer at QoS 0, in the outbox at QoS 1.
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use mqtt_codec::session::EnqueueReason;
use mqtt_codec::wire::QoS;

use super::message::{Outgoing, PayloadRef, TopicRef};
use crate::{
    error::PublishError,
    options::{Overflow, Topic},
    state::{
        CompletionKey, ENOUGH, Item, Payload, Publication, SHARED_FROM, Shared, State, Ticket,
        TopicText, wake,
    },
};

/// Waits for room and takes it.
#[derive(Debug)]
pub(super) struct Accepting<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) message: Result<Outgoing<'a>, Option<PublishError>>,
    pub(super) ticket: Option<Ticket>,
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
    pub(super) fn accept_in_turn(
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
        let payload_len = message.payload_len(topic)?;
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
            Err(_) => return Err(message.too_long(topic)),
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
        message.payload_len(name)?;
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
                    EnqueueReason::PacketTooLong => Err(message.too_long(name)),
                    _ => Ok(None),
                }
            }
        }
    }
}

/// Fixed header and the length of the topic, at most.
const HEAD: usize = 7;
