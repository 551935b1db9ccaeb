use crate::wire::PacketId;

use super::Storage;
use super::ring::{Ids, Ring, Slot};

const PUBLISH_IDS: Ids = Ids {
    first: 1,
    last: 64_511,
};
const CONTROL_IDS: Ids = Ids {
    first: 64_512,
    last: 65_535,
};

/// What is sent until it is acknowledged: two rings, and the memory of the session.
#[derive(Debug)]
pub(super) struct Outbox<S> {
    pub(super) storage: S,
    pub(super) publishes: Ring,
    pub(super) controls: Ring,
}

/// Which of the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Publish,
    /// SUBSCRIBE and UNSUBSCRIBE.
    Control,
}

impl Kind {
    /// The ring that an id belongs to.
    pub(super) const fn of(id: PacketId) -> Self {
        if id.get() < CONTROL_IDS.first {
            Self::Publish
        } else {
            Self::Control
        }
    }
}

impl<S: Storage> Outbox<S> {
    pub(super) const fn new(storage: S) -> Self {
        Self {
            storage,
            publishes: Ring::new(PUBLISH_IDS),
            controls: Ring::new(CONTROL_IDS),
        }
    }

    /// A ring and its slots, no more than it has ids.
    pub(super) fn ring(&mut self, kind: Kind) -> (&mut Ring, &mut [Slot<S::Handle>]) {
        let (ring, slots, ids) = match kind {
            Kind::Publish => (
                &mut self.publishes,
                self.storage.publishes(),
                PUBLISH_IDS.span(),
            ),
            Kind::Control => (
                &mut self.controls,
                self.storage.controls(),
                CONTROL_IDS.span(),
            ),
        };
        let bound = slots.len().min(usize::from(ids));
        (ring, slots.get_mut(..bound).unwrap_or_default())
    }

    pub(super) fn publishes(&mut self) -> (&mut Ring, &mut [Slot<S::Handle>]) {
        self.ring(Kind::Publish)
    }

    pub(super) fn is_full(&mut self, kind: Kind) -> bool {
        let (ring, slots) = self.ring(kind);
        ring.is_full(slots)
    }

    /// Has storage that grows give more slots for PUBLISH packets, if all are taken and ids are left.
    pub(super) fn make_room(&mut self) {
        if !S::GROWS {
            return;
        }
        let (ring, slots) = self.publishes();
        if ring.is_full(slots) && slots.len() < usize::from(PUBLISH_IDS.span()) {
            ring.straighten(slots);
            self.storage.grow_publishes();
        }
    }
}
