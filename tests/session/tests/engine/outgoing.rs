//! What leaves, byte for byte, in whatever portions it is taken.

use mqtt_codec::session::{Config, Content, FixedStorage, Instant, Outgoing, Session, publish_len};
use mqtt_codec::wire::{
    Delivery, Dup, EncodeError, Packet, PacketId, PacketType, PublishHeader, QoS, Retain,
    SessionPresent, TopicFilter, TopicName,
};
use testkit::{AckOrder, Frame, Item, Pair, Script};

use crate::{PINGREQ, config, connect, secs};

fn types(frames: &[Frame]) -> Vec<PacketType> {
    frames.iter().map(Frame::packet_type).collect()
}

/// One packet of each kind that waits for an acknowledgement, with its bytes.
fn packets() -> [(Item, Vec<u8>); 5] {
    let subscribe = Item::Subscribe(vec![
        ("a/+".into(), QoS::AtMostOnce),
        ("b".into(), QoS::AtLeastOnce),
        ("$share/g/c/#".into(), QoS::AtLeastOnce),
    ]);
    let retained = Item::Publish {
        topic: "t".into(),
        payload: vec![9; 200],
        retain: Retain::Yes,
    };
    [
        (
            Item::publish("topic", "payload"),
            [&[0x32, 16, 0, 5][..], b"topic", &[0, 1], b"payload"].concat(),
        ),
        (Item::publish("t", ""), vec![0x32, 5, 0, 1, b't', 0, 1]),
        (
            retained,
            [&[0x33, 0xCD, 1, 0, 1, b't', 0, 1][..], &[9; 200]].concat(),
        ),
        (
            subscribe,
            [
                &[0x82, 27, 0xFC, 0, 0, 3][..],
                b"a/+",
                &[0, 0, 1, b'b', 1, 0, 12],
                b"$share/g/c/#",
                &[1],
            ]
            .concat(),
        ),
        (
            Item::Unsubscribe(vec!["a/+".into(), "b".into()]),
            [&[0xA2, 10, 0xFC, 0, 0, 3][..], b"a/+", &[0, 1, b'b']].concat(),
        ),
    ]
}

#[test]
fn packets_leave_exactly_in_portions_of_any_size() {
    for (item, expected) in packets() {
        for portion in 1..=expected.len() {
            let mut script = Script::connected(Config::new());
            script.enqueue(item.clone());
            let mut sent = Vec::new();
            loop {
                let bytes = script.stage_some(portion);
                if bytes.is_empty() {
                    break;
                }
                sent.extend(bytes);
            }
            assert_eq!(sent, expected, "{item:?} by {portion}");
        }
    }
}

#[test]
fn asking_again_without_advance_gives_the_same() {
    for (item, expected) in packets() {
        let mut script = Script::connected(Config::new());
        script.enqueue(item);
        for at in 0..expected.len() {
            for _ in 0..2 {
                let transmit = script.session.poll_transmit().expect("not at the end");
                let payload = transmit.payload.map(|range| {
                    &range.handle.payload()[range.offset as usize..][..range.len as usize]
                });
                let step = [transmit.bytes.concat(), payload.unwrap_or_default().into()].concat();
                assert_eq!(step, expected[at..at + step.len()]);
            }
            script.session.advance(1);
        }
        assert!(script.session.poll_transmit().is_none());
    }
}

#[test]
fn the_beginning_of_a_publish_is_told_at_its_first_byte_only() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::publish("topic", "payload"));
    let mut begins = Vec::new();
    while let Some(transmit) = script.session.poll_transmit() {
        begins.extend(transmit.begins);
        script.session.advance(1);
    }
    assert_eq!(begins, [Dup::First]);
    script.written(1);
    script.close();
    script.connect(SessionPresent::Present);
    assert_eq!(
        script.session.poll_transmit().unwrap().begins,
        Some(Dup::Repeat)
    );
}

/// A payload that is nowhere in memory.
#[derive(Debug)]
struct Virtual(u32);

impl Outgoing for Virtual {
    fn content(&self) -> Content<'_> {
        Content::Publish {
            topic: TopicName::new("big").unwrap(),
            retain: Retain::No,
            payload_len: self.0,
        }
    }

    fn filter(&self, _: usize) -> Option<(TopicFilter<'_>, QoS)> {
        None
    }
}

#[test]
fn a_payload_of_the_largest_size_streams_without_gaps_and_again_after_a_cut() {
    let most = 268_435_455 - 2 - 3 - 2;
    let mut session = Session::new(Config::new(), FixedStorage::<_, 1, 0, 0>::new());
    session.enqueue(Virtual(most)).ok().unwrap();
    let now = Instant::ZERO;
    for cut_after in [most / 2, most] {
        connect(&mut session, 1);
        session.renew(None).unwrap();
        let mut sent = 0;
        while let Some(transmit) = session.poll_transmit() {
            let mut n = transmit.bytes.concat().len() as u32;
            if let Some(range) = transmit.payload {
                assert_eq!((range.offset, range.len), (sent, most - sent));
                assert_eq!(range.id.get(), 1);
                // odd portions, the first with a part of the engine's own bytes
                let part = range.len.min(1_000_003);
                sent += part;
                n += part;
            }
            session.advance(n as usize);
            session.handle_written(now, n as usize);
            if sent >= cut_after {
                break;
            }
        }
        assert!(sent >= cut_after);
        if cut_after < most {
            session.handle_closed();
        }
    }
    assert!(session.poll_transmit().is_none());
    let (_, input) = session.handle_input(now, &[0x40, 2, 0, 1]).unwrap();
    assert!(matches!(
        input,
        Some(mqtt_codec::session::Input::Acknowledged { .. })
    ));
}

#[test]
fn a_cut_at_every_byte_of_a_streamed_publish_begins_it_anew() {
    let item = Item::publish("n/1", (0..=255).collect::<Vec<u8>>());
    for at in 16..=290 {
        let mut pair = Pair::new(Config::new());
        pair.step_limit = 7;
        pair.stage_limit = 20;
        pair.network.room = 10;
        pair.network.cut_up_at = Some(at);
        pair.enqueue(item.clone());
        pair.run_to_idle();
        pair.assert_sound();
        assert_eq!(pair.broker.first_deliveries(), [item.payload()]);
    }
}

#[test]
fn a_window_of_messages_is_in_flight_and_no_more() {
    let mut script = Script::connected(config(|config| config.window = 3));
    for n in 1..=7 {
        script.enqueue(Item::numbered(n));
    }
    assert_eq!(script.transmit_frames().len(), 3);
    assert_eq!(
        (script.session.in_flight(), script.session.waiting()),
        (3, 4)
    );
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    assert_eq!(script.transmit_frames().len(), 1);
    script.receive(&[0x40, 2, 0, 1, 0x40, 2, 0, 3]).unwrap();
    assert_eq!(script.transmit_frames().len(), 2);
    assert_eq!(
        (script.session.in_flight(), script.session.waiting()),
        (3, 1)
    );
}

#[test]
fn a_window_of_zero_counts_as_one() {
    let mut script = Script::connected(config(|config| config.window = 0));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    assert_eq!(script.transmit_frames().len(), 1);
}

#[test]
fn control_packets_pings_and_acks_do_not_wait_for_the_window() {
    let mut script = Script::connected(config(|config| config.window = 1));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    script.transmit();
    script.enqueue(Item::subscribe("a"));
    script.enqueue(Item::unsubscribe("b"));
    let brought = script.receive(&[0x32, 5, 0, 1, b't', 0, 9]).unwrap();
    script.acknowledge(brought[0].token().unwrap());
    script.wait(secs(45)).unwrap();
    let sent = script.transmit_frames();
    assert_eq!(
        types(&sent),
        [
            PacketType::PubAck,
            PacketType::PingReq,
            PacketType::Subscribe,
            PacketType::Unsubscribe
        ]
    );
}

#[test]
fn a_subscribe_overtakes_messages_that_wait() {
    let mut script = Script::connected(Config::new());
    for n in 1..=3 {
        script.enqueue(Item::numbered(n));
    }
    let mut sent = script.stage_some(3);
    script.enqueue(Item::subscribe("a"));
    sent.extend(script.transmit());
    use PacketType::{Publish, Subscribe};
    assert_eq!(
        types(&Frame::all(&sent)),
        [Publish, Subscribe, Publish, Publish]
    );
}

#[test]
fn many_pubacks_leave_together() {
    let mut script = Script::connected(Config::new());
    for id in 1..=8 {
        let brought = script.receive(&[0x32, 5, 0, 1, b't', 0, id]).unwrap();
        script.acknowledge(brought[0].token().unwrap());
    }
    assert_eq!(script.stage_some(usize::MAX).len(), 16);
    assert_eq!(script.stage_some(usize::MAX).len(), 16);
    assert_eq!(script.stage(), []);
}

#[test]
fn mqtt_4_3_1_1_qos0_leaves_without_id_and_without_dup() {
    let mut pair = Pair::new(Config::new());
    pair.run_for(secs(1));
    assert!(pair.publish_at_most_once("t", b"x"));
    pair.run_for(secs(1));
    let last = pair.broker.arrivals().last().unwrap();
    assert_eq!(last.frame.bytes(), [0x30, 4, 0, 1, b't', b'x']);
}

fn begin(
    script: &mut Script,
    payload_len: u32,
    out: &mut [u8],
) -> Result<Option<usize>, EncodeError> {
    let topic = TopicName::new("t").unwrap();
    script
        .session
        .publish_at_most_once(topic, Retain::Yes, payload_len, out)
}

#[test]
fn nothing_leaves_within_a_qos0_message() {
    let mut script = Script::connected(Config::new());
    let mut out = [0; 16];
    assert_eq!(begin(&mut script, 100, &mut out), Ok(Some(5)));
    assert_eq!(out[..5], [0x31, 103, 0, 1, b't']);
    script.enqueue(Item::numbered(1));
    script.session.advance(5);
    for _ in 0..100 {
        assert!(script.session.poll_transmit().is_none());
        assert_eq!(begin(&mut script, 0, &mut out), Ok(None));
        script.session.advance(1);
    }
    assert_eq!(script.transmit_frames().len(), 1);
    assert!(script.session.accepts_at_most_once());
}

#[test]
fn qos0_waits_for_connection_renewal_and_packet_boundary() {
    let mut script = Script::new(Config::new());
    let mut out = [0; 16];
    assert_eq!(begin(&mut script, 0, &mut out), Ok(None));
    script.open();
    assert_eq!(begin(&mut script, 0, &mut out), Ok(None));
    script.receive(&[0x20, 2, 0, 0]).unwrap();
    assert_eq!(begin(&mut script, 0, &mut out), Ok(None));
    script.session.renew(None).unwrap();
    script.enqueue(Item::numbered(1));
    script.stage_some(1);
    assert_eq!(begin(&mut script, 0, &mut out), Ok(None));
    script.transmit();
    assert_eq!(begin(&mut script, 0, &mut out), Ok(Some(5)));
}

#[test]
fn qos0_that_cannot_be_encoded_is_told_and_changes_nothing() {
    let mut script = Script::connected(Config::new());
    let needed = 5;
    assert_eq!(
        begin(&mut script, 0, &mut [0; 4]),
        Err(EncodeError::BufferTooSmall { needed })
    );
    assert_eq!(
        begin(&mut script, u32::MAX, &mut [0; 64]),
        Err(EncodeError::PacketTooLong)
    );
    assert!(script.session.accepts_at_most_once());
}

#[test]
fn a_qos0_message_half_sent_is_gone_with_its_connection() {
    let mut script = Script::connected(Config::new());
    begin(&mut script, 100, &mut [0; 16]).unwrap();
    script.session.advance(5);
    script.close();
    script.connect(SessionPresent::Present);
    script.enqueue(Item::numbered(1));
    assert_eq!(script.transmit_frames().len(), 1);
}

#[test]
fn a_ping_leaves_between_packets() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    script.enqueue(Item::numbered(1));
    let sent = script.transmit();
    assert!(sent.starts_with(&PINGREQ));
    assert_eq!(Frame::all(&sent).len(), 2);
}

#[test]
fn acknowledgements_in_any_order_settle_their_messages() {
    let mut pair = Pair::new(Config::new());
    pair.broker.ack_order = AckOrder::Held;
    for n in 0..4 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_for(secs(1));
    let link = pair.link().unwrap();
    pair.broker.release_acks(link, &[2, 0, 3, 1]);
    pair.run_to_idle();
    pair.assert_sound();
    assert_eq!(pair.acknowledged(), [b"2", b"0", b"3", b"1"]);
    let frames = pair.broker.arrivals().iter();
    let publishes = frames.filter(|arrival| matches!(arrival.frame.packet(), Packet::Publish(_)));
    assert_eq!(publishes.count(), 4);
}

#[test]
fn a_publish_that_is_postponed_lets_what_is_urgent_pass_and_keeps_its_place() {
    let mut script = Script::connected(Config::new());
    let first = script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    assert!(script.session.poll_transmit().unwrap().begins.is_some());
    script.session.postpone();
    assert_eq!(
        (script.session.in_flight(), script.session.waiting()),
        (0, 2)
    );
    script.enqueue(Item::subscribe("a"));
    script.wait(secs(45)).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let bytes = script.session.poll_transmit().unwrap().bytes.concat();
        kinds.push(bytes[0]);
        script.session.advance(bytes.len());
    }
    assert_eq!(kinds, [0xC0, 0x82], "PINGREQ, SUBSCRIBE");
    let begins = script.session.poll_transmit().unwrap();
    assert_eq!(begins.payload.unwrap().id, first);
    assert_eq!(begins.begins, Some(Dup::First));
    script.session.advance(1);
    script.session.postpone();
    assert_eq!(script.session.in_flight(), 1, "it has begun");
}

#[cfg(debug_assertions)]
#[test]
#[should_panic = "another packet than the one accepted"]
fn a_handle_that_becomes_too_long_is_noticed() {
    use std::{cell::Cell, rc::Rc};

    #[derive(Debug)]
    struct Fickle(Rc<Cell<u32>>);

    impl Outgoing for Fickle {
        fn content(&self) -> Content<'_> {
            Content::Publish {
                topic: TopicName::new("t").unwrap(),
                retain: Retain::No,
                payload_len: self.0.get(),
            }
        }

        fn filter(&self, _: usize) -> Option<(TopicFilter<'_>, QoS)> {
            None
        }
    }

    let mut session = Session::new(Config::new(), FixedStorage::<_, 1, 1, 1>::new());
    connect(&mut session, 0);
    session.renew(None).unwrap();
    let len = Rc::new(Cell::new(1));
    session.enqueue(Fickle(Rc::clone(&len))).unwrap();
    len.set(u32::MAX);
    session.poll_transmit();
}

#[test]
fn the_length_of_a_publish_is_known_beforehand() {
    const LONGEST: u32 = 268_435_455;
    let topic = TopicName::new("out").unwrap();
    for (qos, delivery, head) in [
        (QoS::AtMostOnce, Delivery::AtMostOnce, 5),
        (
            QoS::AtLeastOnce,
            Delivery::AtLeastOnce {
                id: PacketId::MIN,
                dup: Dup::First,
            },
            7,
        ),
    ] {
        for payload_len in [0, 127 - head, 128 - head, 16_383, LONGEST - head] {
            let header = PublishHeader {
                topic,
                delivery,
                retain: Retain::No,
                payload_len,
            };
            let len = header.encoded_len().unwrap() as u32 + payload_len;
            assert_eq!(publish_len(topic, qos, payload_len), Some(len));
        }
        for payload_len in [LONGEST - head + 1, u32::MAX] {
            assert_eq!(publish_len(topic, qos, payload_len), None);
        }
    }
}
