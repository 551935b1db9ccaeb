//! The clients under measurement, one file each.

mod ntex;
mod ours;
mod raw;
mod rumqttc_0_25;
mod rumqttc_v4_next;

use crate::contender::Entry;

/// Every client, in the order of the table.
pub static ALL: [Entry; 7] = [
    Entry::of::<raw::Raw>(),
    Entry::of::<rumqttc_0_25::Rumqttc>(),
    Entry::of::<rumqttc_v4_next::Counted>(),
    Entry::of::<rumqttc_v4_next::Tracked>(),
    Entry::of::<ntex::Callback>(),
    Entry::of::<ntex::Futures>(),
    Entry::of::<ours::Ours>(),
];

/// The client of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
