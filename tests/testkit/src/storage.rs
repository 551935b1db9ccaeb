use mqtt_codec::session::{AckSlot, Config, Kind, Slot, Storage};

use crate::Item;

/// Storage that doubles up to a bound, or has one size from the beginning.
#[derive(Debug)]
pub struct GrowingStorage {
    publishes: Vec<Slot<Item>>,
    controls: Vec<Slot<Item>>,
    acks: Vec<AckSlot>,
    max_publishes: usize,
    max_acks: usize,
}

impl GrowingStorage {
    /// `publishes`, `controls` and `acks` slots, and no more.
    #[must_use]
    pub fn fixed(publishes: usize, controls: usize, acks: usize) -> Self {
        Self {
            publishes: slots(publishes),
            controls: slots(controls),
            acks: vec![AckSlot::EMPTY; acks],
            max_publishes: publishes,
            max_acks: acks,
        }
    }

    /// One slot for publishes and for acks, growing up to the bounds.
    #[must_use]
    pub fn growing(max_publishes: usize, controls: usize, max_acks: usize) -> Self {
        Self {
            max_publishes,
            max_acks,
            ..Self::fixed(1, controls, 1)
        }
    }
}

impl Storage for GrowingStorage {
    type Handle = Item;
    type Settings = Config;

    const GROWS: bool = true;

    fn slots(&mut self, kind: Kind) -> &mut [Slot<Item>] {
        match kind {
            Kind::Publish => &mut self.publishes,
            Kind::Control => &mut self.controls,
        }
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        &mut self.acks
    }

    fn grow_publishes(&mut self) {
        let len = doubled(self.publishes.len(), self.max_publishes);
        self.publishes.resize_with(len, || Slot::EMPTY);
    }

    fn grow_acks(&mut self) {
        let len = doubled(self.acks.len(), self.max_acks);
        self.acks.resize(len, AckSlot::EMPTY);
    }
}

fn slots(count: usize) -> Vec<Slot<Item>> {
    std::iter::repeat_with(|| Slot::EMPTY).take(count).collect()
}

fn doubled(len: usize, max: usize) -> usize {
    (len * 2).max(1).min(max)
}
