use crate::wire::PacketId;

use super::Storage;
use super::ring::{Ids, Ring, Slot};

const PUBLISH_IDS: Ids = Ids {
    first: 1,
    count: 64_511,
};
const CONTROL_IDS: Ids = Ids {
    first: 64_512,
    count: 1_024,
};

/// What is sent until it is acknowledged: two rings, and the memory of the session.
#[derive(Debug)]
#[repr(C)] // as `Session`
pub(super) struct Outbox<S> {
    rings: [Ring; 2],
    pub(super) storage: S,
}

/// Which of the packets that are sent until they are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PUBLISH at QoS 1.
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
            rings: [Ring::new(PUBLISH_IDS), Ring::new(CONTROL_IDS)],
        }
    }

    pub(super) const fn publishes(&self) -> &Ring {
        &self.rings[Kind::Publish as usize]
    }

    pub(super) const fn controls(&self) -> &Ring {
        &self.rings[Kind::Control as usize]
    }

    /// A ring and its slots.
    pub(super) fn ring(&mut self, kind: Kind) -> (&mut Ring, &mut [Slot<S::Handle>]) {
        let slots = self.storage.slots(kind);
        (&mut self.rings[kind as usize], slots)
    }

    /// Everything is to be sent again on the next connection.
    pub(super) fn rewind(&mut self) {
        for ring in &mut self.rings {
            ring.rewind();
        }
    }

    pub(super) fn set_next_id(&mut self, id: PacketId) {
        self.rings[Kind::Publish as usize].set_next_id(id);
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
        let (ring, slots) = self.ring(Kind::Publish);
        if ring.may_grow(slots) {
            ring.straighten(slots);
            self.storage.grow_publishes();
        }
    }
}
