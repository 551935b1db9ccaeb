//! Messages from the broker: chunks, acknowledgements, limits.

use mqtt_codec::session::{AckToken, Config, Error, Event, Next, Oversized, Start};
use mqtt_codec::wire::{Dup, QoS, Retain, SessionPresent};
use testkit::{Brought, GrowingStorage, Item, Script};

use crate::{DISCONNECT, PINGRESP, config, millis, secs};

/// A PUBLISH to `topic`; an id makes it QoS 1.
fn message(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend(id.into_iter().flat_map(u16::to_be_bytes));
    body.extend(payload);
    let mut packet = vec![if id.is_some() { 0x32 } else { 0x30 }];
    let mut len = body.len();
    while len > 0x7F {
        packet.push(len as u8 | 0x80);
        len >>= 7;
    }
    packet.push(len as u8);
    packet.extend(body);
    packet
}

fn ack(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![0x40, 2, high, low]
}

fn receive_token(script: &mut Script, id: u16) -> AckToken {
    let brought = script.receive(&message("t", Some(id), b"x")).unwrap();
    brought[0].token().expect("at QoS 1")
}

/// Receive buffer of 64 bytes, messages of up to 1,000.
fn small() -> Config {
    config(|config| {
        config.receive_buffer = 64;
        config.max_incoming = 1_000;
    })
}

#[test]
fn mqtt_4_3_2_2_answers_with_a_puback_of_the_same_id() {
    let mut script = Script::connected(Config::new());
    let token = receive_token(&mut script, 0x1234);
    assert_eq!(script.transmit(), [], "not before it is processed");
    assert!(script.acknowledge(token));
    assert_eq!(script.transmit(), [0x40, 2, 0x12, 0x34]);
    // the id is free again: the same one is a new message, whatever its DUP
    let mut again = message("t", Some(0x1234), b"y");
    again[0] |= 0b1000;
    let brought = script.receive(&again).unwrap();
    assert!(matches!(
        &brought[0],
        Brought::Message {
            dup: Dup::Repeat,
            ..
        }
    ));
}

#[test]
fn mqtt_4_6_0_2_pubacks_leave_in_order_of_receipt() {
    let mut script = Script::connected(Config::new());
    let tokens = [5, 3, 9, 1, 7].map(|id| receive_token(&mut script, id));
    for n in [4, 1, 2] {
        assert!(script.acknowledge(tokens[n]));
        assert_eq!(script.transmit(), []);
    }
    assert!(script.acknowledge(tokens[0]));
    assert_eq!(script.transmit(), [ack(5), ack(3), ack(9)].concat());
    assert!(script.acknowledge(tokens[3]));
    assert_eq!(script.transmit(), [ack(1), ack(7)].concat());
}

#[test]
fn a_place_given_up_lets_later_pubacks_go() {
    let mut script = Script::connected(Config::new());
    let tokens = [1, 2, 3].map(|id| receive_token(&mut script, id));
    script.acknowledge(tokens[2]);
    script.acknowledge(tokens[1]);
    assert!(script.session.give_up(tokens[0]));
    assert!(!script.acknowledge(tokens[0]));
    assert_eq!(script.transmit(), [ack(2), ack(3)].concat());
}

/// Nobody else brings it again, and the broker's window is used up at some time.
#[test]
fn when_what_was_given_up_is_all_that_is_left_the_connection_is_cycled() {
    let mut script = Script::connected(config(|config| config.keep_alive = None));
    let tokens = [1, 2, 3].map(|id| receive_token(&mut script, id));
    assert!(script.session.give_up(tokens[1]));
    script.acknowledge(tokens[0]);
    script.wait(secs(1_000)).unwrap();
    assert_eq!(script.transmit(), ack(1), "the third is being handled");
    script.acknowledge(tokens[2]);
    assert_eq!(script.transmit(), ack(3));
    script.wait(millis(9_999)).unwrap();
    assert_eq!(script.transmit(), []);
    script.wait(millis(1)).unwrap();
    assert_eq!(script.transmit(), DISCONNECT);
    assert_eq!(script.close(), Next::Now);
    // a connection that has given up nothing stays
    script.connect(SessionPresent::Present);
    let token = receive_token(&mut script, 2);
    script.acknowledge(token);
    assert_eq!(script.transmit(), ack(2));
    script.wait(secs(1_000)).unwrap();
    assert_eq!(script.transmit(), []);
}

#[test]
fn a_stall_while_the_connection_is_being_cycled_is_due_once() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    let token = receive_token(&mut script, 1);
    assert!(script.session.give_up(token));
    assert_eq!(script.transmit(), []);
    script.session.handle_paused();
    // DISCONNECT does not get out; nothing may be due again and again
    script.wait(secs(15)).unwrap();
    assert!(matches!(script.event(), Some(Event::ReadOn)));
}

#[test]
fn a_message_that_comes_puts_cycling_off() {
    let mut script = Script::connected(Config::new());
    let token = receive_token(&mut script, 1);
    script.session.give_up(token);
    script.transmit();
    for id in 2..10 {
        script.wait(secs(9)).unwrap();
        let token = receive_token(&mut script, id);
        script.wait(secs(1)).unwrap();
        script.acknowledge(token);
        assert_eq!(script.transmit(), ack(id));
    }
}

/// There is no next connection of the session to bring it again.
#[test]
fn a_transient_session_acknowledges_what_is_given_up() {
    let mut script = Script::connected(config(|config| config.start = Start::Transient));
    let tokens = [1, 2].map(|id| receive_token(&mut script, id));
    assert!(script.session.give_up(tokens[1]));
    assert_eq!(script.transmit(), []);
    assert!(script.session.give_up(tokens[0]));
    assert!(!script.session.give_up(tokens[0]));
    assert_eq!(script.transmit(), [ack(1), ack(2)].concat());
    script.wait(secs(20)).unwrap();
    assert_eq!(script.transmit(), []);
}

#[test]
fn a_token_works_once() {
    let mut script = Script::connected(Config::new());
    let token = receive_token(&mut script, 1);
    assert!(script.acknowledge(token));
    assert!(!script.acknowledge(token));
    assert!(!script.session.give_up(token));
    assert_eq!(script.transmit(), ack(1));
    assert!(!script.acknowledge(token));
    assert_eq!(script.transmit(), []);
}

#[test]
fn a_token_of_an_earlier_connection_is_ignored() {
    let mut script = Script::connected(Config::new());
    let stale = receive_token(&mut script, 1);
    script.close();
    assert!(!script.acknowledge(stale));
    script.connect(SessionPresent::Present);
    let fresh = receive_token(&mut script, 1);
    assert!(!script.acknowledge(stale));
    assert!(!script.session.give_up(stale));
    assert_eq!(script.transmit(), []);
    assert!(script.acknowledge(fresh));
    assert_eq!(script.transmit(), ack(1));
}

#[test]
fn flags_and_fields_are_told() {
    let mut script = Script::connected(Config::new());
    let mut bytes = message("a/b", Some(1), b"payload");
    bytes[0] = 0b0011_1011;
    match &script.receive(&bytes).unwrap()[..] {
        [
            Brought::Message {
                topic,
                payload,
                payload_len,
                qos,
                retain,
                dup,
                token,
            },
        ] => {
            assert_eq!(
                (topic.as_str(), &payload[..], *payload_len),
                ("a/b", &b"payload"[..], 7)
            );
            assert_eq!(
                (*qos, *retain, *dup),
                (QoS::AtLeastOnce, Retain::Yes, Dup::Repeat)
            );
            assert!(token.is_some());
        }
        other => panic!("{other:?}"),
    }
}

/// The same, with the chunks of each payload joined and without tokens.
fn joined(all: Vec<Brought>) -> Vec<Brought> {
    let mut joined: Vec<Brought> = Vec::new();
    for mut brought in all {
        if let Brought::Message { token, .. } = &mut brought {
            *token = None;
        }
        match (&brought, joined.last_mut()) {
            (Brought::Payload { bytes, .. }, Some(Brought::Message { payload, .. })) => {
                payload.extend(bytes);
            }
            _ => joined.push(brought),
        }
    }
    joined
}

#[test]
fn any_chunking_gives_the_same_events_and_answers() {
    let long_topic = "l".repeat(200);
    let stream = [
        message("small", None, b"1"),
        message("small", Some(7), b"2"),
        ack(1),
        message("streamed", None, &[3; 300]),
        message("streamed", Some(300), &[4; 64]),
        PINGRESP.to_vec(),
        message("over", Some(8), &[5; 1_100]),
        message("over", None, &[6; 2_000]),
        message(&long_topic, Some(0x0102), b"7"),
        message(&long_topic, None, b"8"),
        message(&long_topic, Some(9), b""),
        message("last", Some(10), b""),
    ]
    .concat();
    let run = |chunk: usize| {
        let mut script = Script::with_storage(small(), GrowingStorage::fixed(4, 1, 8));
        script.connect(SessionPresent::Absent);
        script.enqueue(Item::numbered(1));
        script.transmit();
        let mut all = Vec::new();
        let mut answers = Vec::new();
        for piece in stream.chunks(chunk) {
            // no more at once than the receive buffer holds
            for piece in piece.chunks(48) {
                for brought in script.receive(piece).unwrap() {
                    if let Some(token) = brought.token() {
                        assert!(script.acknowledge(token));
                    }
                    all.push(brought);
                }
                answers.extend(script.transmit());
            }
        }
        (joined(all), answers)
    };
    let whole = run(48);
    assert_eq!(whole.0.len(), 12);
    let pubacks = [7, 300, 8, 0x0102, 9, 10].map(ack).concat();
    assert_eq!(whole.1, pubacks);
    for chunk in 1..48 {
        assert_eq!(run(chunk), whole, "chunks of {chunk}");
    }
}

#[test]
fn a_packet_as_large_as_the_receive_buffer_comes_whole() {
    let mut script = Script::connected(small());
    let packet = message("t", Some(1), &[1; 57]);
    assert_eq!(packet.len(), 64);
    assert_eq!(script.receive(&packet[..63]), Ok(vec![]));
    let brought = script.receive(&packet[63..]).unwrap();
    assert_eq!(brought[0].payload().unwrap().len(), 57);
}

#[test]
fn a_larger_packet_comes_in_chunks_without_gaps() {
    let mut script = Script::connected(small());
    let packet = message("t", Some(1), &[1; 58]);
    let brought = script.receive(&packet[..20]).unwrap();
    match &brought[..] {
        [
            Brought::Message {
                payload,
                payload_len: 58,
                ..
            },
        ] => assert_eq!(payload.len(), 13),
        other => panic!("{other:?}"),
    }
    let brought = script.receive(&packet[20..30]).unwrap();
    assert_eq!(
        brought,
        [Brought::Payload {
            bytes: vec![1; 10],
            left: 35
        }]
    );
    let brought = script.receive(&packet[30..]).unwrap();
    assert_eq!(
        brought,
        [Brought::Payload {
            bytes: vec![1; 35],
            left: 0
        }]
    );
}

#[test]
fn a_message_still_arriving_is_acknowledged_after_its_last_byte() {
    let mut script = Script::connected(small());
    let packet = message("t", Some(1), &[1; 100]);
    let token = script.receive(&packet[..60]).unwrap()[0].token().unwrap();
    assert!(script.acknowledge(token));
    assert_eq!(script.transmit(), []);
    script.receive(&packet[60..packet.len() - 1]).unwrap();
    assert_eq!(script.transmit(), []);
    script.receive(&packet[packet.len() - 1..]).unwrap();
    assert_eq!(script.transmit(), ack(1));
}

#[test]
fn a_large_qos0_message_still_arriving_does_not_hold_back_a_puback() {
    let mut script = Script::connected(small());
    let token = receive_token(&mut script, 1);
    script
        .receive(&message("t", None, &[1; 100])[..60])
        .unwrap();
    script.acknowledge(token);
    assert_eq!(script.transmit(), ack(1));
    script.receive(&[1; 45]).unwrap();
    let token = receive_token(&mut script, 2);
    script
        .receive(&message("over", None, &[1; 1_100])[..60])
        .unwrap();
    script.acknowledge(token);
    assert_eq!(script.transmit(), ack(2));
}

#[test]
fn mqtt_4_5_0_2_an_oversized_message_is_reported_and_acknowledged_after_its_last_byte() {
    let mut script = Script::connected(small());
    let packet = message("over", Some(5), &[1; 1_000]);
    let oversized = Brought::Oversized {
        topic: Some("over".into()),
        remaining_length: 1_008,
    };
    assert_eq!(script.receive(&packet[..20]), Ok(vec![oversized]));
    assert_eq!(script.receive(&packet[20..packet.len() - 1]), Ok(vec![]));
    assert_eq!(script.transmit(), []);
    assert_eq!(script.receive(&packet[packet.len() - 1..]), Ok(vec![]));
    assert_eq!(script.transmit(), ack(5));
    receive_token(&mut script, 6);
}

#[test]
fn a_topic_over_the_receive_buffer_is_acknowledged_after_the_last_byte_at_every_split() {
    let packet = message(&"l".repeat(100), Some(0x0A0B), b"end");
    for split in 64..packet.len() {
        let mut script = Script::connected(small());
        let oversized = Brought::Oversized {
            topic: None,
            remaining_length: 107,
        };
        assert_eq!(script.receive(&packet[..64]), Ok(vec![oversized]));
        assert_eq!(script.receive(&packet[64..split]), Ok(vec![]));
        assert_eq!(script.transmit(), []);
        assert_eq!(script.receive(&packet[split..]), Ok(vec![]));
        assert_eq!(script.transmit(), ack(0x0A0B));
        receive_token(&mut script, 6);
    }
}

#[test]
fn a_topic_over_the_receive_buffer_waits_for_a_place_for_its_acknowledgement() {
    let mut script = Script::with_storage(small(), GrowingStorage::fixed(1, 1, 1));
    script.connect(SessionPresent::Absent);
    let token = receive_token(&mut script, 1);
    let packet = message(&"l".repeat(100), Some(2), b"end");
    script.receive(&packet[..64]).unwrap();
    assert_eq!(script.receive(&packet[64..]), Ok(vec![Brought::Blocked]));
    script.acknowledge(token);
    assert_eq!(script.transmit(), ack(1));
    assert_eq!(script.receive(&[]), Ok(vec![]));
    assert_eq!(script.transmit(), ack(2));
}

#[test]
fn closes_on_an_oversized_message_if_chosen() {
    let close = || {
        let mut config = small();
        config.oversized = Oversized::Close;
        Script::connected(config)
    };
    let remaining_length = 1_008;
    assert_eq!(
        close().receive(&message("over", Some(5), &[1; 1_000])[..3]),
        Err(Error::Oversized { remaining_length })
    );
    let remaining_length = 105;
    assert_eq!(
        close().receive(&message(&"l".repeat(100), Some(1), b"1")[..64]),
        Err(Error::Oversized { remaining_length })
    );
}

#[test]
fn a_session_that_delivers_qos2_ends_the_matter_and_says_how_to_clear_it() {
    let mut qos2 = message("t", Some(5), b"x");
    qos2[0] = 0x34;
    let mut large = message("t", Some(5), &[0; 200]);
    large[0] = 0x34;
    let mut endless = message(&"l".repeat(200), Some(5), b"x");
    endless[0] = 0x34;
    for bytes in [&qos2[..], &large[..64], &endless[..64], &[0x62, 2, 0, 5]] {
        let mut script = Script::connected(small());
        assert_eq!(script.receive(bytes), Err(Error::QoS2Session), "{bytes:x?}");
    }
    assert!(Error::QoS2Session.is_terminal());
    let help = Error::QoS2Session.to_string();
    assert!(help.contains("clean slate") && help.contains("client id"));
}

#[test]
fn a_message_right_behind_connack_comes_with_it() {
    let mut script = Script::new(Config::new());
    script.open();
    let bytes = [vec![0x20, 2, 1, 0], message("t", Some(1), b"x")].concat();
    let brought = script.receive(&bytes).unwrap();
    assert!(matches!(
        brought[..],
        [Brought::Connected(_), Brought::Message { .. }]
    ));
}

#[test]
fn a_half_received_packet_is_forgotten_with_its_connection() {
    let mut script = Script::connected(small());
    script
        .receive(&message("t", Some(1), &[1; 500])[..60])
        .unwrap();
    script.close();
    script.connect(SessionPresent::Present);
    let token = receive_token(&mut script, 1);
    script.acknowledge(token);
    assert_eq!(script.transmit(), ack(1));
}
