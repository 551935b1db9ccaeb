use core::borrow::Borrow;

use crate::wire::{FixedHeader, PacketId, QoS, RemainingLength, TopicFilter, TopicName};

use super::link::{Link, Phase, Reading, Renewal};
use super::outbox::{Kind, Outbox};
use super::transmit::Packet;
use super::{
    AckToken, Change, Config, Content, EnqueueError, EnqueueReason, Event, Outgoing, Start, Storage,
};

#[doc = include_str!("session.md")]
#[derive(Debug)]
// In this order: what is near to the beginning is reached by the short instructions of a small processor.
#[repr(C)]
pub struct Session<S: Storage> {
    pub(super) link: Link,
    pub(super) stage: Stage,
    pub(super) ending: Ending,
    /// CONNECT packets since the last CONNACK that accepted one, less those that were refused.
    pub(super) unanswered: u8,
    pub(super) may_be_new: bool,
    pub(super) change: Option<Change>,
    pub(super) config: S::Settings,
    pub(super) event: Option<Event<S::Handle>>,
    pub(super) outbox: Outbox<S>,
}

/// What the next connection does with the broker's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Goes on with the session.
    Persist,
    /// Connects clean, without will, and disconnects.
    Wipe,
    /// Connects clean and stays.
    Transient,
}

/// Who ends the connection, once it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not us.
    Unplanned,
    /// The engine, to connect again.
    Cycle,
    /// The caller.
    Stop,
}

impl<S: Storage> Session<S> {
    /// An empty session that is not connected.
    pub fn new(config: S::Settings, storage: S) -> Self {
        let stage = match config.borrow().start {
            Start::Resume => Stage::Persist,
            Start::CleanSlate => Stage::Wipe,
            Start::Transient => Stage::Transient,
        };
        Self {
            config,
            outbox: Outbox::new(storage),
            link: Link::new(Phase::Closed, 0),
            stage,
            ending: Ending::Unplanned,
            unanswered: 0,
            may_be_new: false,
            change: None,
            event: None,
        }
    }

    /// Puts the state of an earlier run back: the entries that were not settled, in their order. The next PUBLISH
    /// takes the id after the last of them, or `next_id` if there are none; one that no PUBLISH takes, over 64,511, is
    /// passed over, and ids begin with 1. To be called before the first [`open`](Self::open) and the first
    /// [`enqueue`](Self::enqueue). Every PUBLISH counts as sent before.
    ///
    /// # Errors
    /// Gives back the first handle that finds no place: the storage is smaller than the span of the ids, an id is not one
    /// that this engine gave out, or the order is wrong. Those before it are restored. Ids wrap, so that one from before the
    /// first looks like one far behind the last: storage that grows is grown to its bound before such an id is refused.
    pub fn restore(
        &mut self,
        entries: impl IntoIterator<Item = (PacketId, S::Handle)>,
        next_id: PacketId,
    ) -> Result<(), S::Handle> {
        self.outbox.set_next_id(next_id);
        for (id, mut handle) in entries {
            loop {
                let (ring, slots) = self.outbox.ring(Kind::Publish);
                let len = slots.len();
                match ring.restore(slots, id, handle) {
                    Ok(()) => break,
                    Err(back) => handle = back,
                }
                if S::GROWS && ring.may_restore(id) {
                    self.outbox.storage.grow_publishes();
                }
                if self.outbox.ring(Kind::Publish).1.len() == len {
                    return Err(handle);
                }
            }
        }
        Ok(())
    }

    /// Accepts a packet that is to be sent until it is acknowledged, connected or not.
    ///
    /// A PUBLISH leaves in the order of the calls, through the window; SUBSCRIBE and UNSUBSCRIBE have room of
    /// their own and overtake those that wait. Their answers come from [`handle_input`](Self::handle_input) with
    /// the handle.
    ///
    /// # Errors
    /// The handle comes back with the reason; nothing has changed.
    pub fn enqueue(&mut self, handle: S::Handle) -> Result<PacketId, EnqueueError<S::Handle>> {
        let content = handle.content();
        let kind = match content {
            Content::Publish { .. } => Kind::Publish,
            Content::Subscribe | Content::Unsubscribe => Kind::Control,
        };
        if let Err(reason) = check(&handle, content, self.max_suback_codes()) {
            return Err(EnqueueError { handle, reason });
        }
        if kind == Kind::Publish {
            self.outbox.make_room();
        }
        let (ring, slots) = self.outbox.ring(kind);
        let Some((id, place)) = ring.push(slots) else {
            let reason = EnqueueReason::Full;
            return Err(EnqueueError { handle, reason });
        };
        *place = Some(handle);
        if kind == Kind::Publish {
            self.note(Change::Accepted(id));
        }
        Ok(id)
    }

    /// Removes a PUBLISH that is not acknowledged, whose payload can no longer be supplied.
    ///
    /// `None` if it is settled already. If it was half sent, [`wants_close`](Self::wants_close) is true
    /// afterwards; if a connection carried it whole, the session is started clean once, since a session may
    /// not skip a packet id ([MQTT-4.4.0-1]). All others stay.
    pub fn abandon(&mut self, id: PacketId) -> Option<S::Handle> {
        let half_sent = self.link.packet.is_of(Kind::Publish);
        let (ring, slots) = self.outbox.ring(Kind::Publish);
        let current = half_sent && ring.last_sent(slots)?.id() == Some(id);
        let (offset, _) = ring.find(slots, id)?;
        let (handle, complete) = ring.take(slots, offset)?;
        if current {
            if !self.link.packet.is_untouched() {
                self.link.phase = Phase::Broken;
                self.end(Ending::Cycle);
            }
            self.link.packet = Packet::NONE;
        }
        self.link.timers.handle_acknowledged(Kind::Publish);
        if complete {
            self.start_clean_once();
            self.cycle();
        }
        self.note(Change::Removed(id));
        Some(handle)
    }

    /// The message of this token was processed: its PUBACK leaves when those before it have left.
    ///
    /// Returns false, without effect, if the token was used or its connection has ended.
    pub fn acknowledge(&mut self, token: AckToken) -> bool {
        self.link
            .acks
            .acknowledge(self.outbox.storage.acks(), token)
    }

    /// The message of this token is not acknowledged on this connection; later ones need not wait for it. The
    /// broker sends it again on the next connection of the session. Until then it takes a place in the broker's window:
    /// when nothing else has been unacknowledged for [`Config::stall_timeout`], the session cycles the connection.
    ///
    /// A transient session has no next connection: the message is lost, and acknowledged.
    ///
    /// Returns false, without effect, if the token was used or its connection has ended.
    pub fn give_up(&mut self, token: AckToken) -> bool {
        let slots = self.outbox.storage.acks();
        if self.stage == Stage::Transient {
            return self.link.acks.acknowledge(slots, token);
        }
        let was_open = self.link.acks.give_up(slots, token);
        self.link.gave_up |= was_open;
        // the message that stalls is given up by the caller: it must come again as those that are skipped do
        if was_open && self.link.reading == Reading::Overrun {
            self.link.reading = Reading::Discarding;
        }
        was_open
    }

    /// Takes the oldest PUBLISH that is not settled out of the session, for a caller that ends for good and reports
    /// what was not delivered. To be called without a connection.
    pub fn take_oldest(&mut self) -> Option<(PacketId, S::Handle)> {
        let (ring, slots) = self.outbox.ring(Kind::Publish);
        let id = ring.oldest(slots)?;
        let (handle, _) = ring.take(slots, 0)?;
        self.note(Change::Removed(id));
        Some((id, handle))
    }

    /// Asks for DISCONNECT at the next packet boundary, and for no further connection.
    ///
    /// What is unacknowledged stays in the session. Without a connection it is over at once: see
    /// [`wants_close`](Self::wants_close).
    pub fn disconnect(&mut self) {
        self.end(Ending::Stop);
        match self.link.phase {
            Phase::Connected => self.link.phase = Phase::Disconnecting,
            Phase::Closed => self.link.phase = Phase::Finished,
            // without waiting for CONNACK (section 3.1.4): closing alone would have the will sent
            Phase::Connecting => self.finish(),
            Phase::Disconnecting | Phase::Finished | Phase::Broken => {}
        }
    }

    /// Whether the caller should close the transport now: everything that was to be sent is written, or can
    /// not be completed.
    #[must_use]
    pub const fn wants_close(&self) -> bool {
        match self.link.phase {
            Phase::Finished => self.link.packet.is_none() && self.link.staged == self.link.written,
            Phase::Broken => true,
            Phase::Closed | Phase::Connecting | Phase::Connected | Phase::Disconnecting => false,
        }
    }

    /// Whether the session wants the next SUBSCRIBE of the renewal, through [`renew`](Self::renew).
    ///
    /// True after each CONNACK until the renewal is over, while there is room for it; publishing waits that long.
    #[must_use]
    pub fn wants_renewal(&mut self) -> bool {
        self.link.is_established()
            && self.link.renewal == Renewal::Wanted
            // without any room, too: then nothing but `None` can be given
            && (self.outbox.controls().is_empty() || !self.is_control_full())
    }

    /// Gives the next SUBSCRIBE for filters that the broker has not acknowledged in its present session (all,
    /// if it had none, or if it [may be new](Self::may_be_new)), or `None`: the renewal is over.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn renew(&mut self, next: Option<S::Handle>) -> Result<(), EnqueueError<S::Handle>> {
        match next {
            Some(handle) => self.enqueue(handle).map(drop),
            None => {
                self.link.renewal = Renewal::Done;
                Ok(())
            }
        }
    }

    /// What happened without input; to be asked after each `handle_*` call and after
    /// [`count_attempt`](Self::count_attempt), which bring one at most.
    pub fn poll_event(&mut self) -> Option<Event<S::Handle>> {
        self.event.take()
    }

    /// The durable change that the last call made; a store asks after each call that may make one.
    pub fn take_change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// Whether CONNACK has come and the connection is not being ended.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.link.phase, Phase::Connected)
    }

    /// Whether no PUBLISH, SUBSCRIBE or UNSUBSCRIBE awaits its acknowledgement or its turn.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.outbox.publishes().is_empty() && self.outbox.controls().is_empty()
    }

    /// Whether [`enqueue`](Self::enqueue) has no place for another PUBLISH. Storage that grows is full at its bound: this
    /// has it grow if all its slots are taken.
    pub fn is_full(&mut self) -> bool {
        self.outbox.make_room();
        self.outbox.is_full(Kind::Publish)
    }

    /// Whether [`enqueue`](Self::enqueue) has no place for another SUBSCRIBE or UNSUBSCRIBE.
    pub fn is_control_full(&mut self) -> bool {
        self.outbox.is_full(Kind::Control)
    }

    /// Whether the next QoS 1 message would be [`Input::Blocked`](super::Input::Blocked). Storage that grows is grown by
    /// this if all its slots are taken.
    pub fn is_ack_full(&mut self) -> bool {
        self.make_ack_room();
        !matches!(self.link.reading, Reading::Overrun | Reading::Discarding)
            && !self.outbox.storage.acks().is_empty()
            && self.link.acks.is_full(self.outbox.storage.acks())
    }

    /// Whether a session that the last CONNACK called present may have begun since the connection before: a CONNECT in
    /// between had no answer, and may have begun it. The broker may then know none of the subscriptions, and may send nothing
    /// again of what it sent before.
    #[must_use]
    pub const fn may_be_new(&self) -> bool {
        self.may_be_new
    }

    /// QoS 1 messages that this connection has sent and the broker has not acknowledged.
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.outbox.publishes().in_flight()
    }

    /// QoS 1 messages that this connection has yet to hand out to their last byte. One that was acknowledged on an
    /// earlier connection counts as long as an older one is not.
    #[must_use]
    pub const fn waiting(&self) -> u16 {
        let half_sent = self.link.packet.is_of(Kind::Publish);
        self.outbox.publishes().waiting() as u16 + half_sent as u16
    }

    /// The handle of a PUBLISH that is not settled.
    pub fn handle(&mut self, id: PacketId) -> Option<&S::Handle> {
        let (ring, slots) = self.outbox.ring(Kind::Publish);
        Some(ring.find(slots, id)?.1)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config.borrow()
    }

    /// Stalled consumers have caught up. Reading is normal again, unless a persistent session has discarded messages:
    /// then it cycles the connection, so that the broker sends them again, and discards until that has ended.
    pub fn handle_drained(&mut self) {
        match self.link.reading {
            // what comes after those that were discarded must not overtake them
            Reading::Discarding if self.stage != Stage::Transient => self.cycle(),
            Reading::Overrun | Reading::Discarding => self.link.reading = Reading::On,
            Reading::On | Reading::Paused => {}
        }
    }

    pub(super) fn receive_buffer(&self) -> u32 {
        self.outbox.storage.receive_buffer(self.config())
    }

    /// Return codes of the longest SUBACK that can be an answer: the receive buffer holds them beside the longest fixed
    /// header and the packet id.
    pub(super) fn max_suback_codes(&self) -> u32 {
        let head = FixedHeader::MAX_LEN + 2;
        // any receive buffer holds so many
        if S::Handle::MAX_FILTERS <= Config::MIN_RECEIVE_BUFFER as usize - head {
            return S::Handle::MAX_FILTERS as u32;
        }
        let room = self.receive_buffer().saturating_sub(head as u32);
        room.min(65_535)
    }

    pub(super) fn make_ack_room(&mut self) {
        let storage = &mut self.outbox.storage;
        if S::GROWS && self.link.acks.may_grow(storage.acks()) {
            self.link.acks.straighten(storage.acks());
            storage.grow_acks();
        }
    }

    pub(super) fn note(&mut self, change: Change) {
        if S::TELLS_CHANGES {
            self.change = Some(change);
        }
    }

    /// Ends the connection with DISCONNECT, to connect again.
    pub(super) fn cycle(&mut self) {
        if self.link.phase == Phase::Connected {
            self.end(Ending::Cycle);
            self.link.phase = Phase::Disconnecting;
        }
    }

    pub(super) fn start_clean_once(&mut self) {
        if self.stage == Stage::Persist {
            self.stage = Stage::Wipe;
        }
    }

    /// DISCONNECT, the last packet of the connection ([MQTT-3.14.4-2]).
    pub(super) fn finish(&mut self) {
        self.link.phase = Phase::Finished;
        self.link.packet.set_disconnect();
    }

    /// A stop is never taken back by a cycle.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending != Ending::Stop {
            self.ending = ending;
        }
    }
}

/// What is wrong with the handle's packet, if anything is.
fn check<H: Outgoing>(
    handle: &H,
    content: Content<'_>,
    max_filters: u32,
) -> Result<(), EnqueueReason> {
    if !matches!(content, Content::Publish { .. }) {
        let mut count = 0;
        for (_, qos) in filters(handle) {
            if qos == QoS::ExactlyOnce {
                return Err(EnqueueReason::ExactlyOnce);
            }
            count += 1;
        }
        if count == 0 {
            return Err(EnqueueReason::NoFilter);
        }
        // SUBACK has a byte for each
        if count > max_filters {
            return Err(EnqueueReason::TooManyFilters);
        }
    }
    match RemainingLength::new(remaining_length(handle, content)) {
        Some(_) => Ok(()),
        None => Err(EnqueueReason::PacketTooLong),
    }
}

/// Remaining length of the handle's packet.
pub(super) fn remaining_length<H: Outgoing>(handle: &H, content: Content<'_>) -> u32 {
    // of what each filter has beside its bytes
    let extra = match content {
        Content::Publish {
            topic, payload_len, ..
        } => {
            return publish_remaining_length(topic, QoS::AtLeastOnce, payload_len);
        }
        Content::Subscribe => 3,
        Content::Unsubscribe => 2,
    };
    filters(handle).fold(2, |len: u32, (filter, _)| {
        len.saturating_add(extra + filter.as_str().len() as u32)
    })
}

/// Bytes of a PUBLISH; `None` if it would be too long for a packet.
#[must_use]
pub fn publish_len(topic: TopicName<'_>, qos: QoS, payload_len: u32) -> Option<u32> {
    let body_len = publish_remaining_length(topic, qos, payload_len);
    let length = RemainingLength::new(body_len)?;
    Some(1 + length.encoded_len() as u32 + body_len)
}

pub(super) const fn publish_remaining_length(
    topic: TopicName<'_>,
    qos: QoS,
    payload_len: u32,
) -> u32 {
    let id_len = match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce | QoS::ExactlyOnce => 2,
    };
    let head_len = 2 + topic.as_bytes().len() as u32 + id_len;
    head_len.saturating_add(payload_len)
}

pub(super) fn filters<H: Outgoing>(handle: &H) -> impl Iterator<Item = (TopicFilter<'_>, QoS)> {
    (0..H::MAX_FILTERS).map_while(|index| handle.filter(index))
}
