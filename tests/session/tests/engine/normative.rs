//! Normative statements of MQTT 3.1.1 on what a client's session does. A statement whose test stands with its
//! subject is named there; here are the others, and the list of all.
//!
//! | statement | test |
//! |---|---|
//! | 1.5.3-1, 1.5.3-2, 2.2.2-2, 2.3.1-6, 2.3.1-7, 3.2.0-1, 3.3.1-4, 3.3.2-2, 3.8.4-5, 3.9.3-2, 4.7.3-1, 4.8.0-1 | `hostile` |
//! | 2.2.2-1, 2.3.1-1, 2.3.1-2, 2.3.1-5, 3.1.0-2, 3.3.1-2, 3.3.1-3, 3.3.4-1, 3.8.1-1, 3.10.1-1, 4.1.0-1, 4.3.2-1, 4.8.0-2 | here |
//! | 2.3.1-3, 3.3.1-1, 4.4.0-1, 4.6.0-1 | `resume` |
//! | 3.1.0-1, 3.1.2-4, 3.1.2-6, 3.1.3-7, 3.2.2-1 | `start` |
//! | 3.1.2-23 | `keep_alive` |
//! | 3.8.3-3, 3.10.3-2 | `storage` |
//! | 4.3.2-2, 4.5.0-2, 4.6.0-2 | `incoming` |
//! | 3.14.4-1, 3.14.4-2, 3.14.4-3 | `shutdown` |
//! | 4.3.1-1 | `outgoing` |
//!
//! Not of the session: how packets are formed (1.5.3-3, 3.1.2-1 to 3.1.2-22, 3.1.3-1 to 3.1.3-6, 3.1.3-8 and on,
//! 3.3.2-1, 3.8.3-1, 3.8.3-2, 3.8.3-4, 3.10.3-1, 3.14.1-1, 4.7.1-1 to 4.7.3-4), which the tests of `wire` cover; transport
//! (4.2.0-1) and WebSocket (6.0.0-1 to 6.0.0-4), which adapters choose. What only a server does: 2.3.1-4, 3.1.2-5,
//! 3.1.2-7 to 3.1.2-20, 3.1.2-24, 3.1.4-1 to 3.1.4-5, 3.2.2-2 to 3.2.2-6, 3.3.1-5 to 3.3.1-12, 3.3.2-3, 3.3.5-1,
//! 3.3.5-2, 3.8.4-1 to 3.8.4-6, 3.9.3-1, 3.10.4-1 to 3.10.4-6, 3.12.4-1, 4.1.0-2, 4.5.0-1, 4.6.0-5, 4.6.0-6. QoS 2,
//! which this client does not speak: 3.6.1-1, 4.3.3-1, 4.3.3-2, 4.6.0-3, 4.6.0-4.

use std::collections::{BTreeSet, HashSet};

use mqtt_codec::session::{Config, Next};
use mqtt_codec::wire::{Packet, PacketType, SessionPresent};
use testkit::{AckOrder, Frame, Item, Pair, Script};

use crate::{millis, secs};

/// A busy life: subscriptions, messages both ways, cuts, pings, an end.
fn life() -> Pair {
    let mut pair = Pair::new(Config::new());
    pair.declare("n/#");
    for round in 0..6 {
        for n in 0..10 {
            pair.enqueue(Item::numbered(round * 10 + n));
        }
        pair.enqueue(Item::subscribe("extra"));
        pair.enqueue(Item::unsubscribe("extra"));
        pair.publish_at_most_once("q", b"0");
        pair.run_for(millis(12));
        pair.publish_at_most_once("q", b"0");
        if round % 2 == 0 {
            pair.cut();
        }
        pair.run_for(secs(50));
    }
    pair.session.disconnect();
    pair.run_for(secs(1));
    pair.assert_sound();
    pair
}

fn frames(pair: &Pair) -> impl Iterator<Item = &Frame> + Clone {
    pair.broker.arrivals().iter().map(|arrival| &arrival.frame)
}

#[test]
fn mqtt_2_2_2_1_reserved_flags_are_as_the_table_says() {
    for frame in frames(&life()) {
        let packet_type = frame.packet_type();
        if packet_type != PacketType::Publish {
            assert_eq!(frame.flags(), packet_type.fixed_flags(), "{frame:?}");
        }
    }
}

#[test]
fn mqtt_3_8_1_1_and_3_10_1_1_subscribe_and_unsubscribe_have_flags_0010() {
    let pair = life();
    for packet_type in [PacketType::Subscribe, PacketType::Unsubscribe] {
        let mut of_type = frames(&pair).filter(|frame| frame.packet_type() == packet_type);
        assert!(of_type.clone().count() >= 6);
        assert!(of_type.all(|frame| frame.flags() == 0b0010));
    }
}

#[test]
fn mqtt_2_3_1_1_ids_are_not_zero_and_2_3_1_5_qos0_has_none() {
    let pair = life();
    let mut qos0 = 0;
    for frame in frames(&pair) {
        // the types of `wire` hold no id of zero, and decoding has checked them
        if let Packet::Publish(publish) = frame.packet()
            && publish.delivery.packet_id().is_none()
        {
            qos0 += 1;
            assert_eq!(frame.bytes(), [0x30, 4, 0, 1, b'q', b'0']);
        }
    }
    assert!(qos0 >= 6);
}

#[test]
fn mqtt_3_3_1_2_dup_is_0_at_qos0() {
    let pair = life();
    let mut all = frames(&pair).filter(|frame| frame.bytes()[0] & 0xF6 == 0x30);
    assert!(all.all(|frame| frame.flags() & 0b1000 == 0));
}

#[test]
fn mqtt_3_3_1_3_dup_of_what_is_sent_has_nothing_to_do_with_what_was_received() {
    let mut script = Script::connected(Config::new());
    script.receive(&[0x3A, 5, 0, 1, b't', 0, 1]).unwrap();
    script.enqueue(Item::numbered(1));
    assert_eq!(script.transmit()[0], 0x32);
}

#[test]
fn mqtt_3_1_0_2_connect_is_sent_once_per_connection() {
    let pair = life();
    let mut links = BTreeSet::new();
    for arrival in pair.broker.arrivals() {
        if arrival.frame.packet_type() == PacketType::Connect {
            assert!(links.insert(arrival.link));
        }
    }
    assert_eq!(links.len(), pair.connections);
}

#[test]
fn mqtt_2_3_1_2_a_new_packet_takes_an_unused_id() {
    let mut script = Script::connected(Config::new());
    let mut held = HashSet::new();
    for n in 0..16 {
        assert!(held.insert(script.enqueue(Item::numbered(n))));
    }
    for _ in 0..4 {
        assert!(held.insert(script.enqueue(Item::subscribe("a"))));
    }
}

#[test]
fn mqtt_4_3_2_1_a_publish_is_unacknowledged_until_its_puback() {
    let mut pair = Pair::new(Config::new());
    pair.broker.ack_order = AckOrder::Held;
    pair.enqueue(Item::numbered(1));
    pair.run_for(secs(1));
    let sent = frames(&pair).last().unwrap().bytes().to_vec();
    assert_eq!(sent[0], 0x32, "QoS 1, DUP 0");
    assert!(!pair.session.is_idle());
    let link = pair.link().unwrap();
    pair.broker.release_acks(link, &[0]);
    pair.run_for(secs(1));
    assert!(pair.session.is_idle());
}

#[test]
fn mqtt_4_1_0_1_session_state_lives_through_any_number_of_connections() {
    let mut script = Script::new(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    for _ in 0..50 {
        script.open();
        script.close();
        script.connect(SessionPresent::Present);
        assert_eq!(script.transmit_frames().len(), 2);
        assert_eq!(script.close(), Next::AfterBackoff);
    }
}

#[test]
fn mqtt_3_3_4_1_qos0_is_not_answered_and_qos1_by_puback() {
    let mut script = Script::connected(Config::new());
    let qos0 = script.receive(&[0x30, 3, 0, 1, b't']).unwrap();
    assert_eq!(qos0[0].token(), None);
    let qos1 = script.receive(&[0x32, 5, 0, 1, b't', 0, 1]).unwrap();
    script.acknowledge(qos1[0].token().unwrap());
    assert_eq!(script.transmit(), [0x40, 2, 0, 1]);
}

#[test]
fn mqtt_4_8_0_2_a_transient_error_closes_the_connection() {
    // a transport that takes nothing any more
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.stage();
    assert!(script.wait(secs(20)).is_err());
    assert_eq!(script.close(), Next::AfterBackoff);
}

/// Every section of MQTT 3.1.1 with normative statements, and how many it has.
const STATEMENTS: [(&str, u32); 37] = [
    ("1.5.3", 3),
    ("2.2.2", 2),
    ("2.3.1", 7),
    ("3.1.0", 2),
    ("3.1.2", 24),
    ("3.1.3", 11),
    ("3.1.4", 5),
    ("3.2.0", 1),
    ("3.2.2", 6),
    ("3.3.1", 12),
    ("3.3.2", 3),
    ("3.3.4", 1),
    ("3.3.5", 2),
    ("3.6.1", 1),
    ("3.8.1", 1),
    ("3.8.3", 4),
    ("3.8.4", 6),
    ("3.9.3", 2),
    ("3.10.1", 1),
    ("3.10.3", 2),
    ("3.10.4", 6),
    ("3.12.4", 1),
    ("3.14.1", 1),
    ("3.14.4", 3),
    ("4.1.0", 2),
    ("4.2.0", 1),
    ("4.3.1", 1),
    ("4.3.2", 2),
    ("4.3.3", 2),
    ("4.4.0", 1),
    ("4.5.0", 2),
    ("4.6.0", 6),
    ("4.7.1", 3),
    ("4.7.2", 1),
    ("4.7.3", 4),
    ("4.8.0", 2),
    ("6.0.0", 4),
];

/// The tests of the modules in the list.
const MODULES: [(&str, &str); 9] = [
    ("`hostile`", include_str!("hostile.rs")),
    ("here", include_str!("normative.rs")),
    ("`resume`", include_str!("resume.rs")),
    ("`start`", include_str!("start.rs")),
    ("`keep_alive`", include_str!("keep_alive.rs")),
    ("`storage`", include_str!("storage.rs")),
    ("`incoming`", include_str!("incoming.rs")),
    ("`shutdown`", include_str!("shutdown.rs")),
    ("`outgoing`", include_str!("outgoing.rs")),
];

/// The ids in a text, those of a range `a to b` one by one; "and on" goes to the section's end.
fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || ",|();".contains(c));
    let mut words = words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !word.is_empty())
        .peekable();
    let mut ids: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        let Some((section, first)) = word.split_once('-') else {
            continue;
        };
        let Ok(first) = first.parse::<u32>() else {
            continue;
        };
        let mut last = (section, first);
        if words.next_if_eq(&"to").is_some() {
            let (section, number) = words.next().and_then(|word| word.split_once('-')).unwrap();
            last = (section, number.parse().unwrap());
        } else if words.next_if_eq(&"and").is_some() && words.next_if_eq(&"on").is_some() {
            last = (section, u32::MAX);
        }
        let of_range = |&(id, number): &(&str, u32)| {
            let from = (id == section && number >= first) || (id != section && id > section);
            let to = (id == last.0 && number <= last.1) || (id != last.0 && id < last.0);
            from && to
        };
        let all = STATEMENTS
            .iter()
            .flat_map(|&(id, count)| (1..=count).map(move |n| (id, n)));
        ids.extend(
            all.filter(of_range)
                .map(|(id, number)| format!("{id}-{number}")),
        );
    }
    ids
}

#[test]
fn the_list_has_every_statement_and_each_test_names_its_own() {
    let source = MODULES[1].1;
    let list: Vec<&str> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .collect();
    let listed: HashSet<String> = ids(&list.join(" ")).into_iter().collect();
    for (section, count) in STATEMENTS {
        for number in 1..=count {
            let id = format!("{section}-{number}");
            assert!(listed.contains(&id), "{id} is not in the list");
        }
    }
    let rows = list.iter().filter_map(|line| line.trim().strip_prefix('|'));
    for (statements, module) in rows.filter_map(|row| row.split_once('|')) {
        let module = module.trim().trim_end_matches('|').trim();
        let Some((_, tests)) = MODULES.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        let tests: String = tests
            .lines()
            .filter(|line| !line.starts_with("//!"))
            .collect();
        for id in ids(statements) {
            let in_name = id.replace(['.', '-'], "_");
            let named = tests.contains(&id) || tests.contains(&in_name);
            assert!(named, "{module} has no test for {id}");
        }
    }
}
