//! A PUBLISH whose payload can no longer be supplied is taken out of the session.

use core::num::NonZeroU8;

use mqtt_codec::session::{Change, Config, Next, Start};
use mqtt_codec::wire::{Packet, PacketId, PacketType, Retain, SessionPresent, TopicName};
use testkit::{AckOrder, Frame, Item, Pair, Script};

use crate::{DISCONNECT, config, secs};

const CLEAN_SESSION: u8 = 0b10;

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

/// Connect flags of CONNECT.
fn connect_flags(connect: &[u8]) -> u8 {
    connect[9]
}

fn topics(frames: &[Frame]) -> Vec<(String, u8)> {
    let topic = |frame: &Frame| match frame.packet() {
        Packet::Publish(publish) => (publish.topic.as_str().into(), frame.flags()),
        other => panic!("a PUBLISH, not {other:?}"),
    };
    frames.iter().map(topic).collect()
}

#[test]
fn a_waiting_publish_is_left_out_and_nothing_else_happens() {
    let mut script = Script::new(Config::new());
    for n in 1..=3 {
        script.enqueue(Item::numbered(n));
    }
    assert_eq!(script.session.abandon(id(2)), Some(Item::numbered(2)));
    assert_eq!(script.session.take_change(), Some(Change::Removed(id(2))));
    assert_eq!(script.session.abandon(id(2)), None);
    script.connect(SessionPresent::Present);
    let sent = script.transmit_frames();
    assert_eq!(
        topics(&sent),
        [("n/1".into(), 0b0010), ("n/3".into(), 0b0010)]
    );
    assert!(!script.session.wants_close());
}

#[test]
fn a_publish_of_which_no_byte_was_handed_out_does_not_cost_the_connection() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    assert!(script.session.poll_transmit().is_some());
    assert_eq!(script.session.abandon(id(1)), Some(Item::numbered(1)));
    assert!(!script.session.wants_close());
    assert_eq!(script.session.in_flight(), 0);
    let sent = script.transmit_frames();
    assert_eq!(topics(&sent), [("n/2".into(), 0b0010)]);
}

#[test]
fn a_half_sent_publish_closes_the_connection_and_only_it_is_lost() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.enqueue(Item::publish("big", [0; 100]));
    script.enqueue(Item::numbered(3));
    let staged = script.stage_some(3).len();
    assert!(script.session.abandon(id(2)).is_some());
    assert!(script.session.wants_close());
    assert_eq!(script.transmit(), []);
    // the caller may have been writing meanwhile
    script.written(staged);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Now);
    let connect = script.open();
    assert_eq!(connect_flags(&connect) & CLEAN_SESSION, 0);
    script.close();
    script.connect(SessionPresent::Present);
    let sent = script.transmit_frames();
    assert_eq!(
        topics(&sent),
        [("n/1".into(), 0b1010), ("n/3".into(), 0b0010)]
    );
}

#[test]
fn a_publish_that_a_connection_carried_whole_makes_the_session_start_clean_once() {
    let mut pair = Pair::new(Config::new());
    pair.declare("m");
    pair.will = Some(b"gone".to_vec());
    pair.broker.ack_order = AckOrder::Held;
    for n in 1..=3 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_for(secs(1));
    pair.broker.ack_order = AckOrder::AsReceived;
    assert_eq!(pair.session.abandon(id(2)), Some(Item::numbered(2)));
    pair.run_to_idle();
    pair.run_for(secs(1));
    pair.assert_sound();
    assert_eq!(pair.acknowledged(), [b"1", b"3"]);
    // the first, the clean one, the one that stays
    assert_eq!(pair.connections, 3);
    assert_eq!(pair.broker.wills(), &[] as &[Vec<u8>]);
    assert_eq!(pair.broker.subscriptions("c").len(), 1);
    let connects: Vec<u8> = pair
        .broker
        .arrivals()
        .iter()
        .filter(|arrival| arrival.frame.packet_type() == PacketType::Connect)
        .map(|arrival| connect_flags(arrival.frame.bytes()))
        .collect();
    assert_eq!(connects[1], CLEAN_SESSION, "clean and without will");
    assert_eq!(connects[2] & CLEAN_SESSION, 0);
    // as new ones, since the broker holds no session
    assert_eq!(pair.tap.repeats(), 0);
}

#[test]
fn a_publish_that_never_left_does_not_cost_the_session() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.stage();
    // handed out whole, but the transport took no byte
    script.close();
    assert!(script.session.abandon(id(1)).is_some());
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, 0);
}

#[test]
fn a_publish_that_never_left_whole_does_not_cost_the_session() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.stage();
    script.close();
    // the first time in vain, the second time in part
    script.connect(SessionPresent::Present);
    let n = script.stage_some(5).len();
    script.written(n);
    assert!(script.session.abandon(id(1)).is_some());
    assert!(script.session.wants_close());
    script.close();
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, 0);
}

#[test]
fn a_publish_half_sent_on_the_later_connection_counts_as_whole_if_an_earlier_one_carried_it() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.close();
    script.connect(SessionPresent::Present);
    script.stage_some(2);
    assert!(script.session.abandon(id(1)).is_some());
    assert!(script.session.wants_close());
    script.close();
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, CLEAN_SESSION);
}

#[test]
fn abandoning_while_connecting_ends_in_a_clean_start_not_in_an_error() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.close();
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, 0);
    assert!(script.session.abandon(id(1)).is_some());
    assert_eq!(script.receive(&[0x20, 2, 1, 0]), Ok(vec![]));
    assert_eq!(script.transmit(), DISCONNECT);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Now);
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, CLEAN_SESSION);
}

#[test]
fn abandoning_while_connecting_needs_no_clean_start_if_the_broker_has_no_session() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.close();
    script.open();
    assert!(script.session.abandon(id(1)).is_some());
    assert_eq!(script.receive(&[0x20, 2, 0, 0]).unwrap().len(), 1);
    assert!(script.session.is_connected());
    script.close();
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, 0);
}

#[test]
fn an_acknowledged_publish_cannot_be_abandoned() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.receive(&[0x40, 2, 0, 1]).unwrap();
    assert_eq!(script.session.abandon(id(1)), None);
    assert!(!script.session.wants_close());
}

#[test]
fn a_restored_publish_counts_as_carried_whole() {
    let mut script = Script::new(Config::new());
    let entries = [(id(4), Item::numbered(4)), (id(5), Item::numbered(5))];
    script.session.restore(entries, id(6)).unwrap();
    assert!(script.session.abandon(id(4)).is_some());
    assert_eq!(connect_flags(&script.open()) & CLEAN_SESSION, CLEAN_SESSION);
}

#[test]
fn in_a_transient_session_the_others_are_delivered_too() {
    let mut pair = Pair::new(config(|config| config.start = Start::Transient));
    pair.broker.ack_order = AckOrder::Held;
    for n in 1..=3 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_for(secs(1));
    pair.broker.ack_order = AckOrder::AsReceived;
    assert!(pair.session.abandon(id(1)).is_some());
    pair.run_to_idle();
    pair.assert_sound();
    assert_eq!(pair.acknowledged(), [b"2", b"3"]);
}

#[test]
fn what_is_not_delivered_is_given_back_oldest_first() {
    let mut script = Script::connected(Config::new());
    for n in 1..=3 {
        script.enqueue(Item::numbered(n));
    }
    script.transmit();
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    script.close();
    assert_eq!(
        script.session.take_oldest(),
        Some((id(1), Item::numbered(1)))
    );
    assert_eq!(
        script.session.take_oldest(),
        Some((id(3), Item::numbered(3)))
    );
    assert_eq!(script.session.take_oldest(), None);
    assert!(script.session.is_idle());
}

#[test]
fn a_half_sent_qos_0_publish_closes_the_connection_and_nothing_is_counted() {
    let mut script = Script::connected(config(|config| config.max_attempts = NonZeroU8::new(1)));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.abandon_at_most_once();
    assert!(!script.session.wants_close(), "there is none");
    let topic = TopicName::new("t").unwrap();
    let mut head = [0; 16];
    let begun = script
        .session
        .publish_at_most_once(topic, Retain::No, 10, &mut head);
    script.session.advance(begun.unwrap().unwrap() + 9);
    script.session.abandon_at_most_once();
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Now);
    assert!(script.session.poll_event().is_none());
    script.connect(SessionPresent::Present);
    assert_eq!(topics(&script.transmit_frames()), [("n/1".into(), 0b1010)]);
}
