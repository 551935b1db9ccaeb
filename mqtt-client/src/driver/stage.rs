//! What of the shared state the connection sends, and what it settles.
use std::task::Context;

use mqtt_codec::session;
use mqtt_codec::wire::PacketId;

use crate::{
    error::PublishError,
    events::Event,
    source::SharedSource,
    state::{Flush, Item, Payload, State},
};

impl State {
    /// Turns wishes for subscriptions into packets.
    pub(super) fn request_subscriptions(&mut self) {
        while self.session.wants_renewal() {
            let next = self.router.next_subscribe();
            self.session
                .renew(next)
                .expect("there is room, and no filter is empty");
        }
        while self.session.is_connected() && !self.session.is_control_full() {
            let Some(next) = self
                .router
                .next_subscribe()
                .or_else(|| self.router.next_unsubscribe())
            else {
                return;
            };
            self.session
                .enqueue(next)
                .expect("there is room, and no filter is empty");
        }
    }

    /// Moves what the session wants to send to the outgoing buffer. Returns the payload whose source is to be opened or
    /// read next; a message begins only when its source is `open`.
    pub(super) fn stage(&mut self, open: Option<PacketId>) -> Option<(PacketId, SharedSource)> {
        while !self.output.is_full() {
            let transmit = self.session.poll_transmit()?;
            let range = transmit.payload.filter(|range| range.len > 0);
            let publication = range.and_then(|range| match range.handle {
                Item::Publish(publication) => Some((range, publication)),
                Item::Subscribe(_) | Item::Unsubscribe(_) => None,
            });
            let source =
                publication
                    .as_ref()
                    .and_then(|(range, publication)| match &publication.payload {
                        Payload::Stream(source) => Some((range.id, source.clone())),
                        Payload::Copied(_) | Payload::Shared(_) => None,
                    });
            let is_closed = source.as_ref().is_some_and(|(id, _)| open != Some(*id));
            if transmit.begins.is_some() && is_closed {
                self.session.postpone();
                return source;
            }
            let mut len = 0;
            if let Some(dup) = transmit.begins {
                self.output.begin_qos1(dup);
            }
            for bytes in transmit.bytes {
                self.output.put(bytes);
                len += bytes.len();
            }
            if let Some((range, publication)) = publication {
                let from = range.offset as usize;
                let to = from + (range.len as usize).min(self.output.room());
                match &publication.payload {
                    Payload::Copied(bytes) => {
                        self.output.put(&bytes[from..to]);
                        len += to - from;
                    }
                    Payload::Shared(bytes) => {
                        self.output.put_shared(bytes.slice(from..to));
                        len += to - from;
                    }
                    Payload::Stream(_) => {}
                }
            }
            self.session.advance(len);
            self.staged_bytes += len as u64;
            if source.is_some() {
                return source;
            }
        }
        None
    }

    /// A message whose source cannot go on fails alone.
    pub(super) fn fail_upload(&mut self, id: PacketId, error: PublishError) {
        if let Some(Item::Publish(publication)) = self.session.abandon(id) {
            self.stats.undeliverable += 1;
            self.settle_publication(publication, Err(error));
        }
    }

    /// Has the handles wake this task.
    pub(super) fn set_driver(&mut self, cx: &Context<'_>) {
        if !self
            .driver
            .as_ref()
            .is_some_and(|driver| driver.will_wake(cx.waker()))
        {
            self.driver = Some(cx.waker().clone());
        }
    }

    /// QoS 0 that was not written is lost; QoS 1 is handed out again.
    pub(super) fn restart_flushes(&mut self) {
        self.written_bytes = self.staged_bytes;
        for flush in &mut self.flushes {
            flush.bytes = None;
        }
        self.finish_flushes();
    }

    pub(crate) fn finish_flushes(&mut self) {
        let handed_out = self.accepted - u64::from(self.session.waiting());
        let (staged, written) = (self.staged_bytes, self.written_bytes);
        let mut done = Vec::new();
        self.flushes.retain_mut(|flush: &mut Flush| {
            if flush.messages <= handed_out {
                flush.bytes.get_or_insert(staged);
            }
            let is_done = flush.bytes.is_some_and(|bytes| bytes <= written);
            if is_done {
                done.push(flush.completion);
            }
            !is_done
        });
        for key in done {
            self.complete(key, Ok(()));
        }
    }

    /// What the session's event means to a user.
    pub(super) fn describe(&mut self, event: session::Event<Item>) -> Option<Event> {
        match event {
            session::Event::Suspect { id, attempts } => {
                let Item::Publish(publication) = self.session.handle(id)? else {
                    return None;
                };
                let topic = publication.topic.as_str().to_owned();
                Some(Event::Suspect { topic, attempts })
            }
            session::Event::Undeliverable {
                attempts, handle, ..
            } => {
                let Item::Publish(publication) = handle else {
                    return None;
                };
                let topic = publication.topic.as_str().to_owned();
                self.stats.undeliverable += 1;
                self.settle_publication(publication, Err(PublishError::Undeliverable { attempts }));
                Some(Event::Undeliverable { topic, attempts })
            }
            _ => None,
        }
    }
}
