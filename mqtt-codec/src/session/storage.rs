use core::borrow::Borrow;

use crate::wire::{QoS, Retain, TopicFilter, TopicName};

use super::Config;
use super::acks::AckSlot;
use super::outbox::Kind;
use super::ring::Slot;

/// What a handle stands for.
#[derive(Clone, Copy, Debug)]
// as `Input`
#[cfg_attr(not(target_pointer_width = "64"), repr(u32))]
pub enum Content<'a> {
    /// A PUBLISH at QoS 1.
    Publish {
        /// Where to.
        topic: TopicName<'a>,
        /// Whether the broker retains it.
        retain: Retain,
        /// Bytes of payload; the caller supplies them when they are transmitted.
        payload_len: u32,
    },
    /// A SUBSCRIBE; its filters come from [`Outgoing::filter`].
    Subscribe,
    /// An UNSUBSCRIBE; its filters come from [`Outgoing::filter`].
    Unsubscribe,
}

/// The caller's handle of something to be sent until it is acknowledged.
///
/// The engine holds it from [`Session::enqueue`](super::Session::enqueue) until the acknowledgement and never looks
/// inside: a host puts a refcounted buffer here, a board an index into its memory. While the engine holds a
/// handle, what it tells must not change: packets would be malformed, and the broker ends the connection. In a debug build
/// the engine panics where it notices.
pub trait Outgoing {
    /// Filters that one SUBSCRIBE or UNSUBSCRIBE has at most. Default: any number.
    ///
    /// The engine asks for none beyond: what a handle would tell there is not sent, nor answered. With 1, as a board has,
    /// the code for several is not compiled.
    const MAX_FILTERS: usize = usize::MAX;

    /// What it is.
    fn content(&self) -> Content<'_>;

    /// The filter at `index` of a SUBSCRIBE or UNSUBSCRIBE, `None` past the last one. There is at least one.
    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)>;
}

/// Memory for a [`Session`](super::Session), given by the caller.
///
/// The slots of [`Kind::Publish`] bound the outbox and the messages in flight together (at most 64,511 are used), those of
/// [`Kind::Control`] the SUBSCRIBE and UNSUBSCRIBE packets that await an answer (at most 1,024), `acks` the received
/// messages that await their PUBACK (grown to 65,535 at most). Without a slot for publishes or controls each of them is refused as full;
/// without one for acks each QoS 1 message is discarded unacknowledged.
pub trait Storage {
    /// The caller's handle.
    type Handle: Outgoing;

    /// The settings as the session keeps them: a [`Config`], or a reference to one that outlives it, which saves a board the
    /// memory.
    type Settings: Borrow<Config>;

    /// Whether the `grow_*` functions may be called.
    const GROWS: bool = false;

    /// Whether [`Session::take_change`](super::Session::take_change) tells the durable changes. Without, which is for whoever
    /// has no store, it never has one, and the code that notes them is not compiled.
    const TELLS_CHANGES: bool = true;

    /// Bytes of the caller's receive buffer, at least 16, in place of [`Config::receive_buffer`]. Default: what the settings
    /// say.
    fn receive_buffer(&self, config: &Config) -> u32 {
        config.receive_buffer
    }

    /// Slots for packets of this kind.
    fn slots(&mut self, kind: Kind) -> &mut [Slot<Self::Handle>];
    /// Slots for received messages that are not acknowledged yet.
    fn acks(&mut self) -> &mut [AckSlot];

    /// Appends empty slots for PUBLISH packets, or does nothing when the bound is reached.
    fn grow_publishes(&mut self) {}
    /// Appends empty slots to `acks`, or does nothing when the bound is reached.
    fn grow_acks(&mut self) {}
}

/// Storage in arrays: `P` publishes, `C` controls, `A` received messages.
#[derive(Debug)]
pub struct FixedStorage<H, const P: usize, const C: usize, const A: usize> {
    publishes: [Slot<H>; P],
    controls: [Slot<H>; C],
    acks: [AckSlot; A],
}

impl<H, const P: usize, const C: usize, const A: usize> FixedStorage<H, P, C, A> {
    /// Empty storage; usable in a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            publishes: [const { Slot::EMPTY }; P],
            controls: [const { Slot::EMPTY }; C],
            acks: [AckSlot::EMPTY; A],
        }
    }
}

impl<H, const P: usize, const C: usize, const A: usize> Default for FixedStorage<H, P, C, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Outgoing, const P: usize, const C: usize, const A: usize> Storage
    for FixedStorage<H, P, C, A>
{
    type Handle = H;
    type Settings = Config;

    fn slots(&mut self, kind: Kind) -> &mut [Slot<H>] {
        match kind {
            Kind::Publish => &mut self.publishes,
            Kind::Control => &mut self.controls,
        }
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        &mut self.acks
    }
}
