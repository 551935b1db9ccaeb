//! Each malformed or illegal packet that a server can send: closed with the rule's id.

use mqtt_codec::session::{Config, Error, Next, Violation};
use mqtt_codec::wire::{ConnectRefusal, PacketType, SessionPresent};
use testkit::{Brought, Item, Random, Script};

use crate::config;

/// What a connected client has in flight here: PUBLISH 1, SUBSCRIBE 64,512 with two filters, UNSUBSCRIBE 64,513.
fn connected() -> Script {
    let mut script = Script::connected(config(|config| config.receive_buffer = 256));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::Subscribe(vec![
        ("a".into(), mqtt_codec::wire::QoS::AtMostOnce),
        ("b".into(), mqtt_codec::wire::QoS::AtLeastOnce),
    ]));
    script.enqueue(Item::unsubscribe("c"));
    script.transmit();
    script
}

fn connecting() -> Script {
    let mut script = Script::new(Config::new());
    script.open();
    script
}

type Row = (&'static [u8], &'static str);

/// Instead of CONNACK.
const OPENINGS: &[Row] = &[
    (&[0x20, 2, 2, 0], "section 3.2.2.1"),
    (&[0x20, 2, 0x81, 0], "section 3.2.2.1"),
    (&[0x20, 2, 0, 6], "section 3.2.2.3"),
    (&[0x20, 2, 0, 255], "section 3.2.2.3"),
    (&[0x20, 2, 1, 5], "MQTT-3.2.2-4"),
    (&[0x20, 3], "section 2.2.3"),
    (&[0x20, 1], "section 2.2.3"),
    (&[0x20, 0], "section 2.2.3"),
    (&[0x20, 0x80, 0x80, 0x80, 0x80], "section 2.2.3"),
    (&[0x21], "MQTT-2.2.2-2"),
    (&[0x00], "section 2.2.1"),
    (&[0xF0], "section 2.2.1"),
    (&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], "MQTT-3.2.0-1"),
    (&[0x30, 3, 0, 1, b't'], "MQTT-3.2.0-1"),
    (&[0x40, 2, 0, 1], "MQTT-3.2.0-1"),
    (&[0x90, 3, 0, 1, 0], "MQTT-3.2.0-1"),
    (&[0xD0, 0], "MQTT-3.2.0-1"),
    (&[0x10, 0], "MQTT-3.2.0-1"),
];

/// Once connected.
const PACKETS: &[Row] = &[
    // fixed header
    (&[0x00], "section 2.2.1"),
    (&[0xF3], "section 2.2.1"),
    (&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], "section 2.2.3"),
    // CONNACK
    (&[0x20, 2, 0, 0], "section 3.2"),
    // PUBLISH
    (&[0x36], "MQTT-3.3.1-4"),
    (&[0x38], "MQTT-3.3.1-2"),
    (&[0x30, 0], "section 2.2.3"),
    (&[0x30, 1, 0], "section 2.2.3"),
    (&[0x30, 3, 0, 2, b't'], "section 2.2.3"),
    (&[0x32, 4, 0, 1, b't', 0], "section 2.2.3"),
    (&[0x32, 5, 0, 1, b't', 0, 0], "MQTT-2.3.1-1"),
    (&[0x30, 2, 0, 0], "MQTT-4.7.3-1"),
    (&[0x30, 3, 0, 1, b'+'], "MQTT-3.3.2-2"),
    (&[0x30, 4, 0, 2, b'a', b'#'], "MQTT-3.3.2-2"),
    (&[0x30, 3, 0, 1, 0], "MQTT-1.5.3-2"),
    (&[0x30, 3, 0, 1, 0xFF], "MQTT-1.5.3-1"),
    (&[0x30, 5, 0, 3, 0xED, 0xA0, 0x80], "MQTT-1.5.3-1"),
    // a large PUBLISH, judged before it is whole
    (&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'+'], "MQTT-3.3.2-2"),
    (
        &[0x32, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b't', 0, 0],
        "MQTT-2.3.1-1",
    ),
    (&[0x32, 0x80, 0x02, 0xFF, 0xFF], "section 2.2.3"),
    // PUBACK
    (&[0x41], "MQTT-2.2.2-2"),
    (&[0x40, 3], "section 2.2.3"),
    (&[0x40, 1], "section 2.2.3"),
    (&[0x40, 2, 0, 0], "MQTT-2.3.1-6"),
    (&[0x40, 2, 0xFC, 0], "section 4.3"),
    (&[0x40, 2, 0xFC, 1], "section 4.3"),
    // PUBREC, PUBCOMP: no message of ours is at QoS 2
    (&[0x50, 2, 0, 1], "section 4.3"),
    (&[0x70, 2, 0, 1], "section 4.3"),
    (&[0x52], "MQTT-2.2.2-2"),
    (&[0x60], "MQTT-3.6.1-1"),
    // SUBACK
    (&[0x91], "MQTT-2.2.2-2"),
    (&[0x90, 2], "section 2.2.3"),
    (&[0x90, 0xFC, 0x01], "section 2.2.3"),
    (&[0x90, 0xFF, 0xFF, 0xFF, 0x7F], "section 2.2.3"),
    (&[0x90, 3, 0, 0, 0], "MQTT-2.3.1-7"),
    (&[0x90, 4, 0xFC, 0, 0, 3], "MQTT-3.9.3-2"),
    (&[0x90, 4, 0xFC, 0, 0x81, 0], "MQTT-3.9.3-2"),
    (&[0x90, 3, 0xFC, 0, 0], "MQTT-3.8.4-5"),
    (&[0x90, 5, 0xFC, 0, 0, 0, 0], "MQTT-3.8.4-5"),
    (&[0x90, 3, 0, 1, 0], "section 4.3"),
    (&[0x90, 3, 0xFC, 1, 0], "section 4.3"),
    // UNSUBACK
    (&[0xB2], "MQTT-2.2.2-2"),
    (&[0xB0, 3], "section 2.2.3"),
    (&[0xB0, 2, 0, 0], "MQTT-2.3.1-7"),
    (&[0xB0, 2, 0, 1], "section 4.3"),
    (&[0xB0, 2, 0xFC, 0], "section 4.3"),
    // PINGRESP
    (&[0xD1], "MQTT-2.2.2-2"),
    (&[0xD0, 1], "section 2.2.3"),
    // packets of a client
    (&[0x10, 12], "section 2.2.1"),
    (&[0x82, 6], "section 2.2.1"),
    (&[0xA2, 5], "section 2.2.1"),
    (&[0x80, 6], "MQTT-3.8.1-1"),
    (&[0xA0, 5], "MQTT-3.10.1-1"),
    (&[0xC0, 0], "section 2.2.1"),
    (&[0xE0, 0], "section 2.2.1"),
    (&[0xE1, 0], "MQTT-3.14.1-1"),
];

fn assert_rows(rows: &[Row], start: fn() -> Script) {
    for (bytes, id) in rows {
        for at_once in [true, false] {
            let mut script = start();
            let mut result = Ok(());
            for piece in bytes.chunks(if at_once { bytes.len() } else { 1 }) {
                result = result.and(script.receive(piece).map(drop));
            }
            match result {
                Err(error @ Error::Protocol(violation)) => {
                    assert_eq!(violation.id(), *id, "{bytes:02x?}: {error}");
                    assert!(error.to_string().contains(id), "{error}");
                    assert!(!error.is_terminal());
                }
                other => panic!("{bytes:02x?}: {other:?}"),
            }
            assert_eq!(script.close(), Next::AfterBackoff);
            script.connect(SessionPresent::Present);
        }
    }
}

#[test]
fn mqtt_4_8_0_1_closes_on_each_illegal_opening_and_connects_again() {
    assert_rows(OPENINGS, connecting);
}

#[test]
fn mqtt_4_8_0_1_closes_on_each_illegal_packet_and_connects_again() {
    assert_rows(PACKETS, connected);
}

#[test]
fn each_refusal_is_told_with_its_meaning() {
    let refusals = [
        (1, ConnectRefusal::UnacceptableProtocolVersion, true),
        (2, ConnectRefusal::IdentifierRejected, true),
        (3, ConnectRefusal::ServerUnavailable, false),
        (4, ConnectRefusal::BadUserNameOrPassword, false),
        (5, ConnectRefusal::NotAuthorized, false),
    ];
    for (code, refusal, is_terminal) in refusals {
        let error = Error::Refused(refusal);
        assert_eq!(connecting().receive(&[0x20, 2, 0, code]), Err(error));
        assert_eq!(error.is_terminal(), is_terminal);
    }
}

#[test]
fn a_connack_in_a_longer_form_is_accepted() {
    let brought = connecting().receive(&[0x20, 0x82, 0x80, 0x80, 0, 0, 0]);
    assert_eq!(
        brought,
        Ok(vec![Brought::Connected(SessionPresent::Absent)])
    );
}

#[test]
fn acknowledgements_of_unknown_ids_are_counted_and_ignored() {
    let rows: [(&[u8], _); 4] = [
        (&[0x40, 2, 0, 9], PacketType::PubAck),
        (&[0x90, 3, 0, 9, 0], PacketType::SubAck),
        (&[0xB0, 2, 0xFF, 0xFF], PacketType::UnsubAck),
        (&[0xD0, 0], PacketType::PingResp),
    ];
    for (bytes, packet_type) in rows {
        let mut script = connected();
        let unexpected = Brought::Unexpected(packet_type);
        assert_eq!(script.receive(bytes), Ok(vec![unexpected]));
    }
}

#[test]
fn an_acknowledgement_of_what_this_connection_has_not_sent_yet_is_ignored() {
    let mut script = Script::new(config(|config| config.window = 1));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    script.connect(SessionPresent::Present);
    let unexpected = Ok(vec![Brought::Unexpected(PacketType::PubAck)]);
    assert_eq!(script.receive(&[0x40, 2, 0, 1]), unexpected);
    // half of it is sent: nobody can have received it
    script.stage_some(4);
    assert_eq!(script.receive(&[0x40, 2, 0, 1]), unexpected);
    script.transmit();
    assert_eq!(
        script.receive(&[0x40, 2, 0, 2]),
        unexpected,
        "beyond the window"
    );
    let brought = script.receive(&[0x40, 2, 0, 1]).unwrap();
    assert!(matches!(brought[..], [Brought::Acknowledged(..)]));
    assert_eq!(script.receive(&[0x40, 2, 0, 1]), unexpected, "twice");
}

#[test]
fn an_early_suback_of_a_half_sent_subscribe_is_ignored() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::subscribe("a"));
    script.stage_some(3);
    let unexpected = Ok(vec![Brought::Unexpected(PacketType::SubAck)]);
    assert_eq!(script.receive(&[0x90, 3, 0xFC, 0, 1]), unexpected);
    script.transmit();
    let brought = script.receive(&[0x90, 3, 0xFC, 0, 1]).unwrap();
    assert!(matches!(brought[..], [Brought::Subscribed(..)]));
}

#[test]
fn every_violation_has_words_and_an_id() {
    let all = [
        Violation::FirstPacketNotConnAck,
        Violation::SecondConnAck,
        Violation::SessionAfterClean,
        Violation::PacketOfClient,
        Violation::AckOfWrongKind,
        Violation::SubAckCount,
        Violation::ImpossibleLength,
    ];
    for violation in all {
        assert!(
            violation
                .to_string()
                .ends_with(&format!("[{}]", violation.id()))
        );
    }
}

/// Frames that are often nearly legal.
fn noise(random: &mut Random) -> Vec<u8> {
    const STARTS: [&[u8]; 10] = [
        &[0x20, 2, 0, 0],
        &[0x30, 5, 0, 1, b't'],
        &[0x32, 0xFF, 1, 0, 1, b't'],
        &[0x32, 0xFF, 0xFF, 3, 0, 200],
        &[0x40, 2, 0, 1],
        &[0x90, 4, 0xFC, 0],
        &[0xB0, 2, 0xFC, 1],
        &[0xD0, 0],
        &[0x32, 7, 0, 1, b't', 0, 5],
        &[],
    ];
    let mut bytes = STARTS[random.below(STARTS.len())].to_vec();
    bytes.extend((0..random.below(40)).map(|_| random.next_u64() as u8));
    if random.one_in(3) && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
    bytes
}

#[test]
fn no_bytes_of_a_peer_make_it_panic_or_hang() {
    let mut random = Random::new(0x5EED);
    for _ in 0..8_000 {
        let mut script = connected();
        if random.one_in(4) {
            script.close();
            script.open();
        }
        for _ in 0..random.below(6) {
            let bytes = noise(&mut random);
            match script.receive(&bytes) {
                Ok(brought) => {
                    for token in brought.iter().filter_map(Brought::token) {
                        script.acknowledge(token);
                    }
                }
                Err(_) => {
                    script.close();
                    script.connect(SessionPresent::Present);
                }
            }
            script.transmit();
            script.session.poll_timeout(script.now);
        }
    }
}
