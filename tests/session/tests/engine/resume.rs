//! A connection ends, another goes on with the session: nothing is lost, repeated wrongly or out of order.

use mqtt_codec::session::{Config, Duration};
use mqtt_codec::wire::{PacketId, PacketType, Retain, SessionPresent};
use testkit::{AckOrder, Frame, Item, Pair, Script};

use crate::{millis, secs};

fn bytes(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(Frame::bytes).collect()
}

#[test]
fn mqtt_4_4_0_1_resends_unacknowledged_publish_with_its_id() {
    let mut script = Script::connected(Config::new());
    for n in 1..=3 {
        script.enqueue(Item::numbered(n));
    }
    let first = script.transmit();
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    script.close();
    script.enqueue(Item::numbered(4));
    script.connect(SessionPresent::Present);
    let again = script.transmit_frames();
    let mut expected: Vec<Vec<u8>> = bytes(&Frame::all(&first))
        .iter()
        .map(|b| b.to_vec())
        .collect();
    expected.remove(1);
    // the same bytes, but for DUP [MQTT-3.3.1-1]; before anything new [MQTT-4.6.0-1]
    for packet in &mut expected {
        packet[0] |= 0b1000;
    }
    expected.push([&[0x32, 8, 0, 3][..], b"n/4", &[0, 4], b"4"].concat());
    assert_eq!(bytes(&again), expected);
}

#[test]
fn mqtt_2_3_1_3_resends_subscribe_and_unsubscribe_with_ids_and_flags() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::subscribe("a/+"));
    script.enqueue(Item::unsubscribe("b"));
    script.enqueue(Item::subscribe("c"));
    let first = script.transmit();
    assert_eq!(first[0], 0x82);
    script.receive(&[0x90, 3, 0xFC, 2, 1]).unwrap();
    script.close();
    script.connect(SessionPresent::Present);
    let again = script.transmit_frames();
    assert_eq!(bytes(&again), bytes(&Frame::all(&first)[..2]));
}

#[test]
fn unacknowledged_subscriptions_go_before_messages_and_renewals_between() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    script.transmit();
    script.close();
    script.open();
    script.receive(&[0x20, 2, 0, 0]).unwrap();
    let first = script.transmit_frames();
    assert_eq!(first.len(), 1, "publishing waits for the renewal");
    assert!(script.session.wants_renewal());
    script.session.renew(Some(Item::subscribe("b"))).unwrap();
    assert_eq!(
        script.transmit_frames()[0].packet_type(),
        PacketType::Subscribe
    );
    script.session.renew(None).unwrap();
    assert_eq!(
        script.transmit_frames()[0].packet_type(),
        PacketType::Publish
    );
}

#[test]
fn a_renewal_larger_than_its_room_goes_on_as_answers_come() {
    let mut pair = Pair::with_storage(Config::new(), testkit::GrowingStorage::fixed(4, 2, 4));
    for n in 0..9 {
        pair.declare(&format!("d/{n}"));
    }
    pair.enqueue(Item::numbered(1));
    pair.run_to_idle();
    pair.assert_sound();
    let kinds: Vec<_> = pair
        .broker
        .arrivals()
        .iter()
        .map(|arrival| arrival.frame.packet_type())
        .collect();
    assert_eq!(kinds[1..10], [PacketType::Subscribe; 9]);
    assert_eq!(kinds[10..], [PacketType::Publish]);
}

#[test]
fn a_lost_session_renews_subscriptions_before_any_publish_and_sends_messages_as_new() {
    let mut pair = Pair::new(Config::new());
    pair.declare("m");
    pair.declare("n/#");
    pair.broker.ack_order = AckOrder::Held;
    for n in 0..5 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_for(secs(1));
    pair.broker.forget_session("c");
    pair.broker.ack_order = AckOrder::AsReceived;
    pair.run_to_idle();
    pair.run_for(secs(1));
    pair.assert_sound();
    let second = pair.link().unwrap();
    let frames: Vec<_> = pair
        .broker
        .arrivals()
        .iter()
        .filter(|arrival| arrival.link == second)
        .map(|arrival| (arrival.frame.packet_type(), arrival.frame.flags()))
        .collect();
    assert_eq!(frames[1..3], [(PacketType::Subscribe, 0b0010); 2]);
    assert_eq!(frames[3..8], [(PacketType::Publish, 0b0010); 5]);
    assert_eq!(pair.broker.subscriptions("c").len(), 2);
}

#[test]
fn a_present_session_is_not_renewed() {
    let mut pair = Pair::new(Config::new());
    pair.declare("m");
    pair.run_for(secs(1));
    pair.cut();
    pair.run_for(secs(1));
    let subscribes = pair
        .broker
        .arrivals()
        .iter()
        .filter(|arrival| arrival.frame.packet_type() == PacketType::Subscribe);
    assert_eq!(subscribes.count(), 1);
}

/// Subscribes, publishes, receives and unsubscribes, once each and interleaved.
fn scenario(prepare: impl Fn(&mut Pair)) -> Pair {
    let mut pair = Pair::new(Config::new());
    pair.network.latency = millis(3);
    pair.declare("n/#");
    pair.declare("m");
    prepare(&mut pair);
    pair.enqueue(Item::numbered(1));
    pair.enqueue(Item::subscribe("other"));
    pair.run_for(millis(20));
    for n in 2..=4 {
        pair.enqueue(Item::numbered(n));
    }
    pair.broker_publishes("m", "hello");
    pair.run_for(millis(4));
    pair.enqueue(Item::unsubscribe("other"));
    pair.enqueue(Item::numbered(5));
    pair.run_to_idle();
    pair.run_for(secs(2));
    pair
}

fn assert_exact(pair: &Pair, what: &str) {
    pair.assert_sound();
    let all: Vec<Vec<u8>> = (1..=5).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(pair.broker.first_deliveries()[..], all, "{what}");
    let mut acknowledged = pair.acknowledged();
    assert!(acknowledged.is_sorted(), "{what}");
    acknowledged.dedup();
    assert_eq!(acknowledged, all, "{what}");
    let filters: Vec<String> = pair
        .broker
        .subscriptions("c")
        .into_iter()
        .map(|(filter, _)| filter)
        .collect();
    assert_eq!(filters, ["n/#", "m"], "{what}");
    assert_eq!(pair.broker.undelivered("c"), 0, "{what}");
}

/// A transport that takes all at once, and a faster one that takes a byte at a time.
const TRANSPORTS: [(usize, Duration); 2] =
    [(usize::MAX, millis(3)), (1, Duration::from_micros(50))];

#[test]
fn a_cut_at_every_byte_towards_the_broker_loses_and_reorders_nothing() {
    for (room, latency) in TRANSPORTS {
        let through = |pair: &mut Pair| {
            pair.network.room = room;
            pair.network.latency = latency;
        };
        let whole = scenario(through);
        assert_exact(&whole, "without a cut");
        assert_eq!(whole.received().len(), 6);
        let mut repeats = 0;
        for at in 1..=whole.arrived_up {
            let pair = scenario(|pair| {
                through(pair);
                pair.network.cut_up_at = Some(at);
            });
            assert_eq!(pair.connections, 2);
            assert_exact(&pair, &format!("cut up at {at}, room {room}"));
            // CONNECT and the SUBSCRIBEs have 45 bytes: from there on the broker keeps the message
            let kept = at >= 45;
            assert!(!kept || pair.received().contains(&"hello".into()), "{at}");
            repeats += pair.tap.repeats();
        }
        assert!(repeats > 40, "of {}: {repeats}", whole.arrived_up);
    }
}

#[test]
fn a_cut_at_every_byte_towards_the_client_loses_and_reorders_nothing() {
    for chunk in [usize::MAX, 1] {
        let whole = scenario(|pair| pair.network.chunk = chunk);
        let mut repeats = 0;
        for at in 1..=whole.arrived_down {
            let pair = scenario(|pair| {
                pair.network.chunk = chunk;
                pair.network.cut_down_at = Some(at);
            });
            assert_eq!(pair.connections, 2);
            assert_exact(&pair, &format!("cut down at {at}, chunk {chunk}"));
            repeats += pair.tap.repeats();
        }
        assert!(repeats > 50, "of {}: {repeats}", whole.arrived_down);
    }
}

#[test]
fn a_cut_at_every_byte_with_the_session_lost_loses_nothing() {
    for at in 1..=scenario(|_| {}).arrived_up {
        let mut pair = scenario_with_lost_session(at);
        pair.run_to_idle();
        pair.run_for(secs(1));
        pair.assert_sound();
        let mut delivered = pair.broker.published();
        delivered.sort();
        delivered.dedup();
        assert_eq!(delivered.len(), 5, "{at}");
        let mut acknowledged = pair.acknowledged();
        acknowledged.dedup();
        assert_eq!(acknowledged.len(), 5, "{at}");
        assert_eq!(pair.broker.subscriptions("c").len(), 2, "{at}");
    }
}

fn scenario_with_lost_session(cut_at: usize) -> Pair {
    let mut pair = Pair::new(Config::new());
    pair.declare("n/#");
    pair.declare("m");
    pair.network.cut_up_at = Some(cut_at);
    for n in 1..=5 {
        pair.enqueue(Item::numbered(n));
    }
    for _ in 0..100 {
        pair.run_for(millis(1));
        if !pair.is_open() {
            pair.broker.forget_session("c");
        }
    }
    pair
}

#[test]
fn dup_is_set_exactly_if_a_byte_reached_the_transport() {
    for written in 0..=20 {
        let mut script = Script::connected(Config::new());
        assert_dup_follows_written_bytes(&mut script, written);
    }
}

/// The engine counts them modulo 2³²: here the count wraps before, within and after two messages.
#[test]
fn dup_is_right_where_the_count_of_bytes_wraps() {
    for before_wrap in 0..=22 {
        for written in 0..=20 {
            let mut script = Script::new(Config::new());
            let connect = script.open().len() as u64;
            script.close();
            script.connect(SessionPresent::Absent);
            pass_at_most_once(&mut script, (1 << 32) - before_wrap - connect);
            assert_dup_follows_written_bytes(&mut script, written);
        }
    }
}

fn assert_dup_follows_written_bytes(script: &mut Script, written: usize) {
    script.enqueue(Item::numbered(1)); // ten bytes each
    script.enqueue(Item::numbered(2));
    assert_eq!(script.stage().len(), 20);
    for _ in 0..written {
        script.written(1);
    }
    script.close();
    script.connect(SessionPresent::Present);
    let flags: Vec<u8> = script.transmit_frames().iter().map(Frame::flags).collect();
    let dup = |began: bool| if began { 0b1010 } else { 0b0010 };
    assert_eq!(flags, [dup(written > 0), dup(written > 10)], "{written}");
}

/// Has that many bytes pass in QoS 0 messages, whose payloads exist nowhere.
fn pass_at_most_once(script: &mut Script, bytes: u64) {
    const MESSAGES: u64 = 17;
    const HEADER: u64 = 8;
    for n in 0..MESSAGES {
        let len = bytes * (n + 1) / MESSAGES - bytes * n / MESSAGES;
        let topic = "t".try_into().unwrap();
        let payload_len = (len - HEADER) as u32;
        let header = script
            .session
            .publish_at_most_once(topic, Retain::No, payload_len, &mut [0; HEADER as usize])
            .unwrap();
        assert_eq!(header, Some(HEADER as usize));
        script.session.advance(len as usize);
        script.written(len as usize);
    }
}

#[test]
fn what_was_touched_stays_touched_through_connections_that_carry_nothing() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    for _ in 0..3 {
        script.close();
        script.open();
    }
    script.close();
    script.connect(SessionPresent::Present);
    assert_eq!(script.transmit()[0], 0x3A);
}

#[test]
fn a_replay_respects_the_window_and_stays_before_new_messages() {
    let mut script = Script::connected(crate::config(|config| config.window = 3));
    for n in 1..=8 {
        script.enqueue(Item::numbered(n));
    }
    assert_eq!(script.transmit_frames().len(), 3);
    script.receive(&[0x40, 2, 0, 1]).unwrap();
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    assert_eq!(script.transmit_frames().len(), 2);
    script.receive(&[0x40, 2, 0, 4]).unwrap();
    script.close();
    script.connect(SessionPresent::Present);
    let ids = |script: &mut Script| -> Vec<(u16, u8)> {
        let of = |frame: &Frame| match frame.packet() {
            mqtt_codec::wire::Packet::Publish(publish) => (
                publish.delivery.packet_id().map_or(0, PacketId::get),
                frame.flags() >> 3,
            ),
            _ => panic!("a PUBLISH"),
        };
        script.transmit_frames().iter().map(of).collect()
    };
    assert_eq!(ids(&mut script), [(3, 1), (5, 1), (6, 0)]);
    script.receive(&[0x40, 2, 0, 3]).unwrap();
    assert_eq!(ids(&mut script), [(7, 0)]);
}
