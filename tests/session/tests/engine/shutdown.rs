use mqtt_codec::session::{Config, Next};
use mqtt_codec::wire::{PacketType, SessionPresent};
use testkit::{AckOrder, Item, Pair, Script};

use crate::{DISCONNECT, millis, secs};

const MESSAGE_QOS1: [u8; 7] = [0x32, 5, 0, 1, b't', 0, 9];

#[test]
fn mqtt_3_14_4_1_closes_after_disconnect_is_written() {
    let mut script = Script::connected(Config::new());
    script.session.disconnect();
    assert!(!script.session.wants_close());
    assert_eq!(script.stage(), DISCONNECT);
    script.written(1);
    assert!(!script.session.wants_close());
    script.written(1);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn mqtt_3_14_4_2_sends_nothing_after_disconnect() {
    let mut script = Script::connected(Config::new());
    let brought = script.receive(&MESSAGE_QOS1).unwrap();
    script.session.disconnect();
    assert_eq!(script.transmit(), DISCONNECT);
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    script.acknowledge(brought[0].token().unwrap());
    script.wait(secs(1_000)).unwrap();
    assert_eq!(script.transmit(), []);
    assert!(!script.session.accepts_at_most_once());
}

#[test]
fn does_not_want_to_close_before_disconnect_is_handed_out() {
    let mut script = Script::connected(Config::new());
    script.session.disconnect();
    assert!(script.session.poll_transmit().is_some());
    assert!(!script.session.wants_close());
    assert_eq!(script.stage_some(1), [0xE0]);
    script.written(1);
    assert!(!script.session.wants_close());
    assert_eq!(script.transmit(), [0]);
    assert!(script.session.wants_close());
}

#[test]
fn disconnect_stands_at_a_packet_boundary() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    let mut sent = script.stage_some(4);
    script.written(4);
    script.session.disconnect();
    sent.extend(script.transmit());
    let types: Vec<_> = testkit::Frame::all(&sent)
        .iter()
        .map(testkit::Frame::packet_type)
        .collect();
    assert_eq!(types, [PacketType::Publish, PacketType::Disconnect]);
}

#[test]
fn acknowledgements_that_are_ready_leave_before_disconnect() {
    let mut script = Script::connected(Config::new());
    let brought = script.receive(&MESSAGE_QOS1).unwrap();
    script.session.disconnect();
    script.acknowledge(brought[0].token().unwrap());
    assert_eq!(script.transmit(), [0x40, 2, 0, 9, 0xE0, 0]);
}

#[test]
fn while_connecting_disconnect_follows_connect_at_once() {
    let mut script = Script::new(Config::new());
    script.open();
    script.session.disconnect();
    assert!(!script.session.wants_close());
    assert_eq!(script.transmit(), DISCONNECT);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn mqtt_3_14_4_3_no_will_is_sent_although_connack_has_not_come() {
    let mut pair = Pair::new(Config::new());
    pair.will = Some(b"gone".to_vec());
    pair.run_for(millis(7));
    assert!(!pair.session.is_connected());
    pair.session.disconnect();
    pair.run_for(secs(10));
    assert!(!pair.is_open());
    assert_eq!(pair.broker.arrivals().len(), 2);
    assert_eq!(pair.broker.wills(), &[] as &[Vec<u8>]);
    pair.assert_sound();
}

#[test]
fn the_will_is_sent_if_the_link_breaks() {
    let mut pair = Pair::new(Config::new());
    pair.will = Some(b"gone".to_vec());
    pair.run_for(secs(1));
    pair.cut();
    assert_eq!(pair.broker.wills(), [b"gone"]);
}

#[test]
fn without_a_connection_it_is_over_at_once() {
    let mut script = Script::new(Config::new());
    script.session.disconnect();
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn a_cut_before_disconnect_is_sent_does_not_connect_again() {
    let mut script = Script::connected(Config::new());
    script.session.disconnect();
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn a_stop_is_not_taken_back_by_a_cycle() {
    let mut script = Script::connected(Config::new());
    let id = script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.disconnect();
    script.session.abandon(id);
    assert_eq!(script.transmit(), DISCONNECT);
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn a_stop_is_not_taken_back_by_a_packet_given_up_half_sent() {
    let mut script = Script::connected(Config::new());
    let id = script.enqueue(Item::numbered(1));
    script.stage_some(3);
    script.session.disconnect();
    script.session.abandon(id);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Never);
}

#[test]
fn input_after_disconnect_is_ignored() {
    let mut script = Script::connected(Config::new());
    script.session.disconnect();
    script.transmit();
    assert_eq!(script.receive(&[0xFF; 9]), Ok(vec![]));
}

#[test]
fn what_is_unacknowledged_stays_for_a_later_connection() {
    let mut pair = Pair::new(Config::new());
    pair.broker.ack_order = AckOrder::Held;
    pair.enqueue(Item::numbered(1));
    pair.run_for(secs(1));
    pair.session.disconnect();
    pair.run_for(secs(1));
    assert_eq!((pair.is_open(), pair.connections), (false, 1));
    pair.broker.ack_order = AckOrder::AsReceived;
    pair.reopen();
    pair.run_to_idle();
    assert_eq!(pair.tap.repeats(), 1);
    assert_eq!(pair.broker.published(), [b"1", b"1"]);
}

#[test]
fn a_disconnect_that_the_transport_does_not_take_is_given_up() {
    let mut script = Script::connected(Config::new());
    script.session.disconnect();
    script.stage();
    assert!(script.wait(secs(20)).is_err());
    assert_eq!(script.close(), Next::Never);
    script.connect(SessionPresent::Present);
}
