//! The judges are judged: what the broker model does, and that it notices what is against the rules.

use mqtt_codec::wire::{Dup, QoS};
use testkit::{AckOrder, Broker, Frame, LinkId, Tap};

const CONNACK_ABSENT: [u8; 4] = [0x20, 2, 0, 0];
const CONNACK_PRESENT: [u8; 4] = [0x20, 2, 1, 0];
const CLEAN: u8 = 0b10;

fn connect(broker: &mut Broker, client: u8, flags: u8) -> LinkId {
    let link = broker.open();
    let head = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 0, 0, 1];
    broker.handle_input(link, &[&head[..], &[client]].concat());
    link
}

/// SUBSCRIBE to `t` at QoS 1, answered.
fn subscribe(broker: &mut Broker, link: LinkId) {
    broker.handle_input(link, &[0x82, 6, 0, 9, 0, 1, b't', 1]);
    assert!(broker.take_output(link).ends_with(&[0x90, 3, 0, 9, 1]));
}

fn publish(id: u8) -> [u8; 8] {
    [0x32, 6, 0, 1, b't', 0, id, b'x']
}

fn complaint(broker: &Broker) -> &str {
    broker.complaints().first().map_or("", String::as_str)
}

#[test]
fn routes_between_clients_and_acknowledges() {
    let mut broker = Broker::default();
    let reader = connect(&mut broker, b'r', 0);
    assert_eq!(broker.take_output(reader), CONNACK_ABSENT);
    subscribe(&mut broker, reader);
    let writer = connect(&mut broker, b'w', CLEAN);
    broker.take_output(writer);
    broker.handle_input(writer, &publish(5));
    assert_eq!(broker.take_output(writer), [0x40, 2, 0, 5]);
    assert_eq!(broker.take_output(reader), publish(1));
    assert_eq!(broker.complaints(), &[] as &[String]);
}

#[test]
fn keeps_a_persistent_session_and_sends_again_with_dup() {
    let mut broker = Broker::default();
    let link = connect(&mut broker, b'r', 0);
    subscribe(&mut broker, link);
    broker.publish("t", b"x", QoS::AtLeastOnce);
    broker.handle_closed(link);
    broker.publish("t", b"x", QoS::AtLeastOnce);
    broker.publish("t", b"x", QoS::AtMostOnce);
    assert_eq!(broker.undelivered("r"), 2);
    let link = connect(&mut broker, b'r', 0);
    let mut again = publish(1);
    again[0] |= 0b1000;
    let expected = [&CONNACK_PRESENT[..], &again, &publish(2)].concat();
    assert_eq!(broker.take_output(link), expected);
}

#[test]
fn forgets_a_clean_session_with_its_connection_and_any_other_on_demand() {
    let mut broker = Broker::default();
    let link = connect(&mut broker, b'r', CLEAN);
    subscribe(&mut broker, link);
    broker.handle_closed(link);
    let link = connect(&mut broker, b'r', 0);
    assert_eq!(broker.take_output(link), CONNACK_ABSENT);
    broker.forget_session("r");
    assert!(broker.is_closed(link));
    let link = connect(&mut broker, b'r', 0);
    assert_eq!(broker.take_output(link), CONNACK_ABSENT);
}

#[test]
fn a_second_connection_takes_the_session_over() {
    let mut broker = Broker::default();
    let first = connect(&mut broker, b'r', 0);
    let second = connect(&mut broker, b'r', 0);
    assert!(broker.is_closed(first));
    assert_eq!(broker.take_output(second), CONNACK_PRESENT);
}

#[test]
fn sends_a_window_of_messages_and_no_more() {
    let mut broker = Broker::default();
    broker.max_in_flight = 2;
    let link = connect(&mut broker, b'r', 0);
    subscribe(&mut broker, link);
    for _ in 0..3 {
        broker.publish("t", b"x", QoS::AtLeastOnce);
    }
    assert_eq!(Frame::all(&broker.take_output(link)).len(), 2);
    broker.handle_input(link, &[0x40, 2, 0, 1]);
    assert_eq!(Frame::all(&broker.take_output(link)).len(), 1);
}

#[test]
fn complains_about_each_rule_that_a_client_breaks() {
    let rows: [(&[u8], &str); 7] = [
        (&[0xC0, 0], ""),
        (
            &[
                0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, b'c',
            ],
            "MQTT-3.1.0-2",
        ),
        (&[0x8A, 6, 0, 9, 0, 1, b't', 1], "MQTT-3.8.1-1"),
        (&[0x40, 2, 0, 2, 0x40, 2, 0, 1], "MQTT-4.6.0-2"),
        (&[0x40, 2, 0, 7], "MQTT-2.3.1-6"),
        (&[0xE0, 0, 0xC0, 0], "MQTT-3.14.4-2"),
        (&[0x20, 2, 0, 0], "does not send"),
    ];
    for (bytes, expected) in rows {
        let mut broker = Broker::default();
        let link = connect(&mut broker, b'c', 0);
        subscribe(&mut broker, link);
        broker.publish("t", b"x", QoS::AtLeastOnce);
        broker.publish("t", b"x", QoS::AtLeastOnce);
        broker.handle_input(link, bytes);
        assert!(complaint(&broker).contains(expected), "{bytes:x?}");
        assert_eq!(complaint(&broker).is_empty(), expected.is_empty());
    }
    let mut broker = Broker::default();
    let link = broker.open();
    broker.handle_input(link, &publish(1));
    assert!(complaint(&broker).contains("MQTT-3.1.0-1"));
}

#[test]
fn complains_about_an_id_that_is_in_use() {
    let mut broker = Broker::default();
    broker.ack_order = AckOrder::Held;
    let link = connect(&mut broker, b'c', 0);
    broker.handle_input(link, &publish(1));
    broker.handle_input(link, &publish(1));
    assert!(complaint(&broker).contains("MQTT-2.3.1-2"));
}

#[test]
fn publishes_the_will_unless_disconnect_came() {
    for (last, wills) in [(&[0xC0, 0], 1), (&[0xE0, 0], 0)] {
        let mut broker = Broker::default();
        let link = broker.open();
        let connect = [
            0x10, 19, 0, 4, b'M', b'Q', b'T', b'T', 4, 0b110, 0, 0, 0, 1, b'c', 0, 1, b'w', 0, 1,
            b'x',
        ];
        broker.handle_input(link, &connect);
        broker.handle_input(link, last);
        broker.handle_closed(link);
        assert_eq!(broker.wills().len(), wills);
    }
}

fn tap_after(written: usize) -> Tap {
    let mut tap = Tap::default();
    tap.handle_opened(10);
    tap.handle_begin(b"n/1", Dup::First);
    tap.handle_staged(20);
    tap.handle_written(written);
    tap.handle_opened(10);
    tap
}

#[test]
fn the_tap_accepts_the_right_dup() {
    tap_after(10).handle_begin(b"n/1", Dup::First);
    tap_after(11).handle_begin(b"n/1", Dup::Repeat);
    let mut forgotten = tap_after(11);
    forgotten.handle_session_absent();
    forgotten.handle_begin(b"n/1", Dup::First);
}

#[test]
#[should_panic(expected = "DUP")]
fn the_tap_notices_dup_0_on_what_was_touched() {
    tap_after(11).handle_begin(b"n/1", Dup::First);
}

#[test]
#[should_panic(expected = "DUP")]
fn the_tap_notices_dup_1_on_what_was_not() {
    tap_after(10).handle_begin(b"n/1", Dup::Repeat);
}
