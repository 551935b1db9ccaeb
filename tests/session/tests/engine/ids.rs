//! Packet ids: one allocator, none reused in flight, through wrap-around.

use std::collections::HashSet;

use mqtt_codec::session::Config;
use mqtt_codec::wire::{Packet, PacketId, SessionPresent};
use testkit::{AckOrder, Brought, GrowingStorage, Item, Pair, Random, Script};

use crate::config;

fn ack(id: PacketId) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0x40, 2, high, low]
}

#[test]
fn no_id_is_reused_in_flight_through_wrap_around_with_acks_in_any_order() {
    let storage = GrowingStorage::growing(256, 2, 1);
    let mut script = Script::with_storage(config(|config| config.window = 100), storage);
    script.connect(SessionPresent::Absent);
    let subscribe = script.enqueue(Item::subscribe("held"));
    let mut random = Random::new(7);
    let mut held = Vec::new();
    let mut in_flight: Vec<PacketId> = Vec::new();
    let mut sent = 0;
    let mut acknowledged = 0;
    while acknowledged < 70_000 {
        while !script.session.is_full() {
            let id = script.enqueue(Item::publish("t", ""));
            assert_ne!(id, subscribe);
            held.push(id);
        }
        for frame in script.transmit_frames() {
            if let Packet::Publish(publish) = frame.packet() {
                let id = publish.delivery.packet_id().unwrap();
                assert!(!in_flight.contains(&id), "{id:?} is in flight already");
                in_flight.push(id);
                sent += 1;
            }
        }
        assert!(in_flight.len() <= 100);
        // from one to all, in any order, seldom the oldest
        for _ in 0..=random.below(in_flight.len()) {
            let oldest = usize::from(in_flight.len() > 1 && !random.one_in(8));
            let at = oldest + random.below(in_flight.len() - oldest);
            let id = in_flight.remove(at);
            match &script.receive(&ack(id)).unwrap()[..] {
                [Brought::Acknowledged(of, _)] => assert_eq!(*of, id),
                other => panic!("{other:?}"),
            }
            acknowledged += 1;
        }
    }
    assert!(sent > 65_535);
    let distinct: HashSet<_> = held.iter().collect();
    assert_eq!(distinct.len(), 64_511);
}

#[test]
fn ids_of_subscriptions_wrap_among_themselves() {
    let mut script = Script::connected(Config::new());
    let mut seen = Vec::new();
    for _ in 0..1_500 {
        let id = script.enqueue(Item::unsubscribe("a"));
        script.transmit();
        let [high, low] = id.get().to_be_bytes();
        script.receive(&[0xB0, 2, high, low]).unwrap();
        seen.push(id.get());
    }
    assert_eq!(seen[..2], [64_512, 64_513]);
    assert_eq!(seen[1_023..1_025], [65_535, 64_512]);
}

#[test]
fn a_broker_that_answers_in_groups_of_random_order_gets_everything_in_order() {
    let mut pair = Pair::new(Config::new());
    pair.broker.ack_order = AckOrder::Shuffled(Random::new(3));
    let mut cuts = Random::new(4);
    let mut next = 0;
    while next < 2_000 {
        while next < 2_000 && pair.try_enqueue(Item::numbered(next)).is_ok() {
            next += 1;
        }
        pair.run_for(crate::millis(5));
        if cuts.one_in(40) {
            pair.cut();
        }
    }
    pair.run_to_idle();
    pair.assert_sound();
    let expected: Vec<_> = (0..2_000)
        .map(|n: usize| n.to_string().into_bytes())
        .collect();
    assert_eq!(pair.broker.first_deliveries(), expected);
    let acknowledged: HashSet<_> = pair.acknowledged().into_iter().collect();
    assert_eq!(
        (acknowledged.len(), pair.acknowledged().len()),
        (2_000, 2_000)
    );
}
