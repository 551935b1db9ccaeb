//! A message that ends every connection does not stop the others for ever.

use mqtt_codec::session::{Change, Config, Event, Start};
use mqtt_codec::wire::{PacketId, PacketType, SessionPresent};
use testkit::{Item, Pair, Script};

use crate::{config, secs};

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

fn max_attempts(attempts: u8) -> Config {
    config(|config| config.max_attempts = attempts.try_into().ok())
}

fn undeliverable(event: &Event<Item>) -> Option<(u16, u8, &Item)> {
    match event {
        Event::Undeliverable {
            id,
            attempts,
            handle,
        } => Some((id.get(), *attempts, handle)),
        _ => None,
    }
}

fn suspects(pair: &Pair) -> Vec<(u16, u8)> {
    let of = |event: &Event<Item>| match event {
        Event::Suspect { id, attempts } => Some((id.get(), *attempts)),
        _ => None,
    };
    pair.events.iter().filter_map(of).collect()
}

/// Ten good messages, one that the broker closes on, fifty behind it.
fn poisoned(config: Config) -> Pair {
    let mut pair = Pair::new(config);
    pair.declare("m");
    pair.broker.close_on_topic = Some("poison".into());
    pair.run_for(secs(1));
    for n in 0..10 {
        pair.enqueue(Item::numbered(n));
    }
    pair.enqueue(Item::publish("poison", "x"));
    for n in 10..60 {
        pair.enqueue(Item::numbered(n));
    }
    pair
}

#[test]
fn with_max_attempts_it_is_undeliverable_and_those_behind_it_arrive_in_order() {
    let mut pair = poisoned(max_attempts(3));
    pair.run_to_idle();
    pair.assert_sound();
    let given_up: Vec<_> = pair.events.iter().filter_map(undeliverable).collect();
    assert_eq!(given_up, [(11, 3, &Item::publish("poison", "x"))]);
    assert_eq!(suspects(&pair), [(11, 1), (11, 2)]);
    let expected: Vec<_> = (0..60).map(|n| n.to_string().into_bytes()).collect();
    let mut delivered = pair.broker.first_deliveries();
    delivered.retain(|payload| payload != b"x");
    assert_eq!(delivered, expected);
    assert_eq!(pair.acknowledged(), expected);
    assert_eq!(pair.broker.subscriptions("c").len(), 1);
}

#[test]
fn a_session_is_started_clean_once_since_it_may_not_skip_a_message() {
    let mut pair = poisoned(max_attempts(2));
    pair.run_to_idle();
    let clean: Vec<bool> = pair
        .broker
        .arrivals()
        .iter()
        .filter(|arrival| arrival.frame.packet_type() == PacketType::Connect)
        .map(|arrival| arrival.frame.bytes()[9] & 0b10 != 0)
        .collect();
    assert_eq!(clean, [false, false, true, false]);
}

#[test]
fn without_max_attempts_the_event_shows_the_count() {
    let mut pair = poisoned(Config::new());
    pair.run_to(|pair| pair.connections == 9);
    let counts: Vec<u8> = suspects(&pair)
        .iter()
        .map(|(_, attempts)| *attempts)
        .collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(pair.acknowledged().len(), 10);
}

#[test]
fn the_count_saturates() {
    let mut script = Script::new(Config::new());
    script.enqueue(Item::numbered(1));
    for _ in 0..300 {
        script.connect(SessionPresent::Present);
        script.transmit();
        script.close();
    }
    assert!(matches!(
        script.event(),
        Some(Event::Suspect { attempts: 255, .. })
    ));
}

#[test]
fn only_the_oldest_is_counted() {
    let mut script = Script::connected(max_attempts(2));
    for n in 1..=3 {
        script.enqueue(Item::numbered(n));
    }
    script.transmit();
    script.receive(&[0x40, 2, 0, 1]).unwrap();
    script.close();
    assert!(matches!(script.event(), Some(Event::Suspect { attempts: 1, id: of }) if of == id(2)));
    script.connect(SessionPresent::Present);
    script.transmit();
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    script.close();
    assert!(matches!(script.event(), Some(Event::Suspect { attempts: 1, id: of }) if of == id(3)));
}

#[test]
fn a_connection_that_carried_none_of_it_is_not_counted() {
    let mut script = Script::connected(max_attempts(1));
    script.enqueue(Item::numbered(1));
    script.stage();
    script.close();
    assert!(script.event().is_none());
    // nor one that failed before CONNACK
    script.open();
    script.close();
    assert!(script.event().is_none());
}

#[test]
fn a_connection_that_the_caller_ends_is_not_counted_cut_or_not() {
    for is_sent in [true, false] {
        let mut script = Script::connected(max_attempts(1));
        script.enqueue(Item::numbered(1));
        script.transmit();
        script.session.disconnect();
        if is_sent {
            script.transmit();
        }
        script.close();
        assert!(script.event().is_none());
    }
}

#[test]
fn undeliverable_is_a_durable_change() {
    let mut script = Script::connected(max_attempts(1));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.take_change();
    script.close();
    assert_eq!(script.session.take_change(), Some(Change::Removed(id(1))));
    assert!(script.session.is_idle());
}

#[test]
fn what_never_left_whole_is_given_up_without_a_clean_start() {
    let mut script = Script::connected(max_attempts(1));
    script.enqueue(Item::publish("big", [0; 100]));
    script.stage_some(30);
    script.written(30);
    script.close();
    assert!(matches!(
        script.event(),
        Some(Event::Undeliverable { attempts: 1, .. })
    ));
    let connect = script.open();
    assert_eq!(connect[9] & 0b10, 0, "the broker's session stays");
}

#[test]
fn in_a_transient_session_it_needs_no_extra_connection() {
    let mut pair = poisoned(config(|config| {
        config.max_attempts = 3.try_into().ok();
        config.start = Start::Transient;
    }));
    pair.run_to_idle();
    assert_eq!(pair.connections, 4);
    assert_eq!(pair.acknowledged().len(), 60);
}
