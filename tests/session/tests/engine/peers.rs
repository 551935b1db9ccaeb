//! Faults that were found in other clients. None may be found here.

use mqtt_codec::session::{Config, EnqueueReason};
use mqtt_codec::wire::{PacketType, SessionPresent};
use testkit::{AckOrder, Brought, Frame, GrowingStorage, Item, Pair, Script};

use crate::{PINGREQ, PINGRESP, secs};

#[test]
fn rumqttc_sends_again_with_dup_0() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.close();
    script.connect(SessionPresent::Present);
    assert_eq!(script.transmit()[0], 0x3A);
}

#[test]
fn rumqttc_gives_subscribe_an_id_that_a_publish_in_flight_holds() {
    let mut script = Script::connected(Config::new());
    let publishes: Vec<_> = (0..16).map(|n| script.enqueue(Item::numbered(n))).collect();
    for _ in 0..4 {
        let subscribe = script.enqueue(Item::subscribe("a"));
        assert!(!publishes.contains(&subscribe));
    }
}

#[test]
fn rumqttc_never_sends_an_unacknowledged_subscribe_again() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::subscribe("a"));
    let first = script.transmit();
    script.close();
    script.connect(SessionPresent::Present);
    assert_eq!(script.transmit(), first);
}

#[test]
fn rumqttc_drops_the_unacknowledged_and_the_unsent_when_the_session_is_lost() {
    let mut pair = Pair::new(crate::config(|config| config.window = 1));
    pair.broker.ack_order = AckOrder::Held;
    for n in 0..3 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_for(secs(1));
    pair.broker.forget_session("c");
    pair.broker.ack_order = AckOrder::AsReceived;
    pair.run_to_idle();
    assert_eq!(pair.acknowledged(), [b"0", b"1", b"2"]);
}

#[test]
fn rumqttc_hangs_when_one_task_polls_and_publishes() {
    let mut pair = Pair::with_storage(Config::new(), GrowingStorage::fixed(3, 1, 1));
    let mut accepted = 0;
    while accepted < 9 {
        match pair.try_enqueue(Item::numbered(accepted)) {
            Ok(_) => accepted += 1,
            Err(reason) => {
                assert_eq!(reason, EnqueueReason::Full);
                pair.run_for(crate::millis(5));
            }
        }
    }
    pair.run_to_idle();
    assert_eq!(pair.acknowledged().len(), 9);
}

#[test]
fn mqtt_protocol_core_swallows_connack_after_a_connection_lost_within_a_packet() {
    for lost in [
        &[0x32][..],
        &[0x32, 0xFF],
        &[0x32, 100, 0, 1, b't', 0],
        &[0x90, 200],
    ] {
        let mut script = Script::connected(Config::new());
        script.receive(lost).unwrap();
        script.close();
        script.open();
        let brought = script.receive(&[0x20, 2, 1, 0]);
        let connected = Brought::Connected(SessionPresent::Present);
        assert_eq!(brought, Ok(vec![connected]));
    }
}

#[test]
fn mqtt5_sends_dup_1_on_messages_never_sent_before() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.close();
    script.connect(SessionPresent::Present);
    assert_eq!(script.transmit()[0], 0x32);
}

#[test]
fn mqtt5_accepts_without_bound() {
    let mut script = Script::new(Config::new());
    let full = (0..1_000).find_map(|n| script.refusal(Item::numbered(n)));
    assert_eq!(full, Some(EnqueueReason::Full));
}

#[test]
fn ntex_mqtt_never_pings_again_after_a_ping_during_a_streamed_publish() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::publish("t", [0; 60]));
    for _ in 0..62 {
        let n = script.stage_some(1).len();
        script.written(n);
        script.wait(secs(1)).unwrap();
    }
    script.transmit();
    for _ in 0..3 {
        script.wait(secs(1)).unwrap();
        assert_eq!(script.transmit(), PINGREQ);
        script.receive(&PINGRESP).unwrap();
        script.wait(secs(44)).unwrap();
    }
}

#[test]
fn ntex_mqtt_fails_other_sends_while_a_publish_streams() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::publish("big", [0; 500]));
    let mut sent = script.stage_some(100);
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    sent.extend(script.transmit());
    assert_eq!(Frame::all(&sent).len(), 3);
}

#[test]
fn ntex_mqtt_closes_on_acks_in_another_order() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    script.transmit();
    let brought = script.receive(&[0x40, 2, 0, 2, 0x40, 2, 0, 1]).unwrap();
    assert_eq!(brought.len(), 2);
}

#[test]
fn minimq_replays_subscribe_with_a_dup_flag() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::subscribe("a"));
    script.enqueue(Item::unsubscribe("b"));
    script.transmit();
    script.close();
    script.connect(SessionPresent::Present);
    let flags: Vec<u8> = script.transmit_frames().iter().map(Frame::flags).collect();
    assert_eq!(flags, [0b0010, 0b0010]);
}

#[test]
fn minimq_never_reconnects_with_a_full_outbox() {
    let mut pair = Pair::with_storage(Config::new(), GrowingStorage::fixed(2, 1, 1));
    pair.broker.ack_order = AckOrder::Held;
    pair.enqueue(Item::publish("n/1", vec![0; 10_000]));
    pair.enqueue(Item::publish("n/2", vec![0; 10_000]));
    pair.enqueue(Item::subscribe("a"));
    pair.run_for(secs(1));
    pair.cut();
    assert!(pair.session.is_full());
    pair.broker.ack_order = AckOrder::AsReceived;
    pair.run_to_idle();
    assert_eq!(pair.connections, 2);
    pair.assert_sound();
}

#[test]
fn minimq_judges_the_ping_deadline_before_it_reads() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    script.transmit();
    script.now = script.now + secs(100);
    script.receive(&PINGRESP).unwrap();
    assert_eq!(script.session.handle_timeout(script.now), Ok(()));
}

#[test]
fn minimq_searches_for_a_packet_id_for_ever_after_the_wrap() {
    let storage = GrowingStorage::fixed(3, 1, 1);
    let mut script = Script::with_storage(Config::new(), storage);
    let last = mqtt_codec::wire::PacketId::new(64_511).unwrap();
    script.session.restore([], last).unwrap();
    script.connect(SessionPresent::Present);
    let ids = [1, 2, 3].map(|n| script.enqueue(Item::numbered(n)).get());
    assert_eq!(ids, [64_511, 1, 2]);
    script.transmit();
    // the last two are acknowledged, the first is not: no id is free, and that is said at once
    script.receive(&[0x40, 2, 0, 1, 0x40, 2, 0, 2]).unwrap();
    assert_eq!(script.refusal(Item::numbered(4)), Some(EnqueueReason::Full));
    script.receive(&[0x40, 2, 0xFB, 0xFF]).unwrap();
    assert_eq!(script.enqueue(Item::numbered(4)).get(), 3);
}

#[test]
fn rust_mqtt_and_the_seed_lose_their_place_when_a_send_is_dropped() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::publish("topic", "payload"));
    script.enqueue(Item::numbered(2));
    // a future that was sending is dropped after each byte: the next goes on where it stopped
    let mut sent = Vec::new();
    loop {
        let byte = script.stage_some(1);
        if byte.is_empty() {
            break;
        }
        sent.extend(byte);
    }
    assert_eq!(Frame::all(&sent).len(), 2);
}

#[test]
fn the_seed_never_pings() {
    let mut pair = Pair::new(Config::new());
    pair.run_for(secs(600));
    let is_ping = |arrival: &&testkit::Arrival| arrival.frame.packet_type() == PacketType::PingReq;
    assert!(pair.broker.arrivals().iter().filter(is_ping).count() >= 10);
    assert_eq!(pair.connections, 1);
}

#[test]
fn the_seed_malforms_a_subscribe_over_122_bytes() {
    for len in [121, 122, 123, 126, 127, 128, 16_380, 20_000] {
        let mut script = Script::connected(Config::new());
        let filter = "f".repeat(len);
        script.enqueue(Item::subscribe(&filter));
        let sent = script.transmit_frames();
        assert_eq!(sent.len(), 1);
        match sent[0].packet() {
            mqtt_codec::wire::Packet::Subscribe(subscribe) => {
                let (of, _) = subscribe.filters().next().unwrap();
                assert_eq!(of.as_str(), filter);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_seed_ignores_session_present() {
    let mut pair = Pair::new(Config::new());
    pair.declare("m");
    pair.run_for(secs(1));
    pair.broker.forget_session("c");
    pair.run_for(secs(1));
    assert_eq!(pair.broker.subscriptions("c").len(), 1, "renewed");
}
