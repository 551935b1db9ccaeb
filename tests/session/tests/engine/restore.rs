//! State that leaves and comes back: `restore`, and one change record per durable change.

use std::{cell::Cell, rc::Rc};

use mqtt_codec::session::{AckSlot, Change, Config, Kind, Session, Slot, Storage};
use mqtt_codec::wire::{Packet, PacketId, SessionPresent};
use testkit::{AckOrder, GrowingStorage, Item, Pair, Script};

use crate::secs;

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

fn sent(script: &mut Script) -> Vec<(u16, u8)> {
    let of = |frame: &testkit::Frame| match frame.packet() {
        Packet::Publish(publish) => (publish.delivery.packet_id().unwrap().get(), frame.flags()),
        other => panic!("a PUBLISH, not {other:?}"),
    };
    script.transmit_frames().iter().map(of).collect()
}

#[test]
fn entries_go_out_again_in_their_order_with_their_ids_before_anything_new() {
    let mut script = Script::new(Config::new());
    let entries = [(id(7), Item::numbered(7)), (id(9), Item::numbered(9))];
    script.session.restore(entries, id(12)).unwrap();
    assert_eq!(script.enqueue(Item::numbered(10)), id(10));
    script.connect(SessionPresent::Present);
    assert_eq!(sent(&mut script), [(7, 0b1010), (9, 0b1010), (10, 0b0010)]);
}

#[test]
fn entries_are_new_messages_if_the_broker_has_no_session() {
    let mut script = Script::new(Config::new());
    let entries = [(id(7), Item::numbered(7))];
    script.session.restore(entries, id(8)).unwrap();
    script.connect(SessionPresent::Absent);
    assert_eq!(sent(&mut script), [(7, 0b0010)]);
}

#[test]
fn ids_wrap_among_the_entries() {
    let mut script = Script::new(Config::new());
    let entries = [(id(64_511), Item::numbered(1)), (id(1), Item::numbered(2))];
    script.session.restore(entries, id(2)).unwrap();
    assert_eq!(script.enqueue(Item::numbered(3)), id(2));
    script.connect(SessionPresent::Present);
    let ids: Vec<u16> = sent(&mut script).iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [64_511, 1, 2]);
}

#[test]
fn the_next_id_counts_if_nothing_is_left() {
    let mut script = Script::new(Config::new());
    script.session.restore([], id(500)).unwrap();
    assert_eq!(script.enqueue(Item::numbered(1)), id(500));
}

#[test]
fn gives_back_what_finds_no_place() {
    let storage = GrowingStorage::fixed(4, 1, 1);
    let mut script = Script::with_storage(Config::new(), storage);
    let entries = [
        (id(1), Item::numbered(1)),
        (id(4), Item::numbered(4)),
        (id(5), Item::numbered(5)),
    ];
    let refused = script.session.restore(entries, id(6));
    assert_eq!(refused, Err(Item::numbered(5)));
    for (wrong, why) in [(65_000, "an id for SUBSCRIBE"), (2, "out of order")] {
        let refused = script
            .session
            .restore([(id(wrong), Item::numbered(0))], id(6));
        assert_eq!(refused, Err(Item::numbered(0)), "{why}");
    }
    script.connect(SessionPresent::Present);
    assert_eq!(sent(&mut script), [(1, 0b1010), (4, 0b1010)]);
}

#[test]
fn storage_grows_for_the_entries() {
    let storage = GrowingStorage::growing(100, 1, 1);
    let mut script = Script::with_storage(Config::new(), storage);
    let entries = (1..=100).map(|n| (id(n), Item::numbered(n.into())));
    script.session.restore(entries, id(101)).unwrap();
    assert!(script.session.is_full());
}

/// Counts how often it grows.
struct Counting {
    storage: GrowingStorage,
    grown: Rc<Cell<u32>>,
}

impl Storage for Counting {
    type Handle = Item;
    type Settings = Config;

    const GROWS: bool = true;

    fn slots(&mut self, kind: Kind) -> &mut [Slot<Item>] {
        self.storage.slots(kind)
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        self.storage.acks()
    }

    fn grow_publishes(&mut self) {
        self.grown.set(self.grown.get() + 1);
        self.storage.grow_publishes();
    }
}

#[test]
fn storage_does_not_grow_for_an_id_that_has_no_place() {
    for (wrong, why) in [(65_000, "an id for SUBSCRIBE"), (7, "twice")] {
        let grown = Rc::default();
        let storage = Counting {
            storage: GrowingStorage::growing(10_000, 1, 1),
            grown: Rc::clone(&grown),
        };
        let mut session = Session::new(Config::new(), storage);
        let entries = [
            (id(7), Item::numbered(7)),
            (id(8), Item::numbered(8)),
            (id(wrong), Item::numbered(0)),
        ];
        let refused = session.restore(entries, id(9));
        assert_eq!(refused, Err(Item::numbered(0)), "{why}");
        assert_eq!(grown.get(), 1, "{why}");
    }
}

#[test]
fn a_next_id_that_no_publish_takes_is_passed_over() {
    let mut script = Script::new(Config::new());
    script.session.restore([], id(64_512)).unwrap();
    assert_eq!(script.enqueue(Item::numbered(1)), id(1));
}

#[test]
fn each_durable_change_is_told_once_in_order() {
    let mut script = Script::connected(Config::new());
    assert_eq!(script.session.take_change(), None);
    script.enqueue(Item::numbered(1));
    assert_eq!(script.session.take_change(), Some(Change::Accepted(id(1))));
    assert_eq!(script.session.take_change(), None);
    script.enqueue(Item::subscribe("a"));
    assert_eq!(script.session.take_change(), None);
    script.transmit();
    script.receive(&[0x40, 2, 0, 1]).unwrap();
    assert_eq!(script.session.take_change(), Some(Change::Removed(id(1))));
    script.enqueue(Item::numbered(2));
    script.transmit();
    script.session.take_change();
    script.close();
    script.connect(SessionPresent::Absent);
    assert_eq!(script.session.take_change(), Some(Change::Reset));
}

struct WithoutStore(GrowingStorage);

impl Storage for WithoutStore {
    type Handle = Item;
    type Settings = Config;

    const TELLS_CHANGES: bool = false;

    fn slots(&mut self, kind: Kind) -> &mut [Slot<Item>] {
        self.0.slots(kind)
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        self.0.acks()
    }
}

#[test]
fn storage_that_wants_no_changes_is_told_none() {
    let storage = WithoutStore(GrowingStorage::fixed(1, 1, 1));
    let mut session = Session::new(Config::new(), storage);
    let accepted = session.enqueue(Item::numbered(1)).unwrap();
    assert_eq!(session.take_change(), None);
    assert!(session.abandon(accepted).is_some());
    assert_eq!(session.take_change(), None);
}

/// What a crash leaves: the broker, and the changes that reached the disk.
#[derive(Default)]
struct Store(Vec<(PacketId, Item)>);

impl Store {
    fn replay(changes: &[Change], accepted: &[(PacketId, Item)]) -> Self {
        let mut store = Self::default();
        let mut accepted = accepted.iter();
        for change in changes {
            match *change {
                Change::Accepted(id) => {
                    let (with, item) = accepted.next().unwrap();
                    assert_eq!(*with, id);
                    store.0.push((id, item.clone()));
                }
                Change::Removed(id) => store.0.retain(|(held, _)| *held != id),
                Change::Reset => {}
            }
        }
        store
    }
}

/// Accepts ten messages while some are acknowledged, loses the link and the session once, and stops after so many
/// changes.
fn run_until_crash(max_changes: usize) -> (Pair, Vec<(PacketId, Item)>) {
    let mut pair = Pair::new(Config::new());
    let mut accepted = Vec::new();
    for n in 1..=10 {
        if pair.changes.len() >= max_changes {
            break;
        }
        let item = Item::numbered(n);
        accepted.push((pair.enqueue(item.clone()), item));
        pair.run_for(mqtt_codec::session::Duration::from_millis(4));
        match n {
            4 => pair.cut(),
            7 => {
                pair.broker.forget_session("c");
                pair.run_for(secs(1));
            }
            _ => {}
        }
    }
    while pair.changes.len() < max_changes && !pair.session.is_idle() {
        pair.run_for(mqtt_codec::session::Duration::from_micros(500));
    }
    (pair, accepted)
}

#[test]
fn no_message_is_lost_wherever_the_process_dies() {
    let all = run_until_crash(usize::MAX).0.changes.len();
    assert!(all >= 20, "ten accepted, ten removed, and a reset: {all}");
    for crash_at in 0..=all {
        let (mut dead, accepted) = run_until_crash(crash_at);
        dead.cut();
        let store = Store::replay(&dead.changes[..crash_at], &accepted);
        let mut pair = Pair::new(Config::new());
        pair.broker = std::mem::take(&mut dead.broker);
        // of every message whose acceptance reached the disk, the broker has a copy in the end
        let next = id(accepted.len() as u16 + 1);
        let entries = store.0.clone();
        pair.session.restore(entries, next).unwrap();
        pair.tap = dead.tap;
        pair.tap
            .handle_restored(store.0.iter().map(|(_, item)| item));
        pair.broker.ack_order = AckOrder::AsReceived;
        pair.run_to_idle();
        pair.assert_sound();
        let delivered = pair.broker.first_deliveries();
        let on_disk = dead.changes[..crash_at]
            .iter()
            .filter(|change| matches!(change, Change::Accepted(_)))
            .count();
        for (_, item) in &accepted[..on_disk] {
            assert!(delivered.contains(&item.payload().to_vec()), "{crash_at}");
        }
    }
}
