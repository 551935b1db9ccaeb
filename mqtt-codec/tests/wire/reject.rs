//! One illegal packet at least for each rule that a packet can break.

use mqtt_codec::wire::{
    Ack, ConnAck, Connect, DecodeError, Empty, FixedHeader, Packet, Publish, SubAck, Subscribe,
    Unsubscribe,
};

use super::vectors::{all_bytes, frame};

/// The packet is refused by that rule, and no part of it is taken for something else.
fn assert_rejected(packet: &[u8], error: DecodeError, id: &str) {
    assert_eq!(Packet::decode(packet), Err(error), "{packet:02x?}");
    assert_eq!(error.id(), id);
    let shown = error.to_string();
    assert!(shown.ends_with(&format!(" [{id}]")), "{shown}");
    for len in 0..packet.len() {
        let cut = Packet::decode(&packet[..len]);
        assert!(cut == Ok(None) || cut == Err(error), "{cut:?} after {len}");
    }
}

macro_rules! rejects {
    ($($test:ident: $id:literal, $error:ident, [$($packet:expr),+ $(,)?];)+) => {
        $(
            #[test]
            fn $test() {
                for packet in [$(frame($packet.0, $packet.1)),+] {
                    assert_rejected(&packet, DecodeError::$error, $id);
                }
            }
        )+
    };
}

rejects! {
    rejects_reserved_packet_types_section_2_2_1: "section 2.2.1", ReservedPacketType, [
        (0x00, b""),
        (0x0F, b""),
        (0xF0, b""),
        (0xF2, b"\x00\x01"),
    ];
    rejects_invalid_flags_mqtt_2_2_2_2: "MQTT-2.2.2-2", InvalidFlags, [
        (0x11, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"),
        (0x21, b"\x00\x00"),
        (0x42, b"\x00\x01"),
        (0x58, b"\x00\x01"),
        (0x74, b"\x00\x01"),
        (0x92, b"\x00\x01\x00"),
        (0xB2, b"\x00\x01"),
        (0xC1, b""),
        (0xDF, b""),
    ];
    rejects_pubrel_flags_mqtt_3_6_1_1: "MQTT-3.6.1-1", InvalidPubRelFlags, [
        (0x60, b"\x00\x01"),
        (0x63, b"\x00\x01"),
    ];
    rejects_subscribe_flags_mqtt_3_8_1_1: "MQTT-3.8.1-1", InvalidSubscribeFlags, [
        (0x80, b"\x00\x01\x00\x01a\x00"),
        (0x8A, b"\x00\x01\x00\x01a\x00"),
    ];
    rejects_unsubscribe_flags_mqtt_3_10_1_1: "MQTT-3.10.1-1", InvalidUnsubscribeFlags, [
        (0xA0, b"\x00\x01\x00\x01a"),
        (0xAA, b"\x00\x01\x00\x01a"),
    ];
    rejects_disconnect_flags_mqtt_3_14_1_1: "MQTT-3.14.1-1", InvalidDisconnectFlags, [
        (0xE1, b""),
        (0xE2, b""),
    ];
    rejects_publish_with_both_qos_bits_mqtt_3_3_1_4: "MQTT-3.3.1-4", InvalidPublishQos, [
        (0x36, b"\x00\x01a\x00\x01"),
        (0x3F, b"\x00\x01a\x00\x01"),
    ];
    rejects_dup_at_qos_0_mqtt_3_3_1_2: "MQTT-3.3.1-2", DupWithQos0, [
        (0x38, b"\x00\x01a"),
        (0x39, b"\x00\x01a"),
    ];
    rejects_fields_past_the_end_section_2_2_3: "section 2.2.3", PacketTooShort, [
        (0x10, b""),
        (0x10, b"\x00\x04MQTT\x04\x02\x00\x00"),
        (0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x02c"),
        (0x10, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01w"),
        (0x10, b"\x00\x04MQTT\x04\xC2\x00\x00\x00\x01c\x00\x01u"),
        (0x20, b""),
        (0x20, b"\x00"),
        (0x30, b""),
        (0x30, b"\x00"),
        (0x30, b"\x00\x02a"),
        (0x30, b"\xFF\xFFa"),
        (0x32, b"\x00\x01a"),
        (0x32, b"\x00\x01a\x00"),
        (0x34, b"\x00\x01a\x00"),
        (0x40, b""),
        (0x50, b"\x00"),
        (0x62, b"\x00"),
        (0x70, b"\x01"),
        (0x82, b"\x00"),
        (0x82, b"\x00\x01\x00\x02a"),
        (0x82, b"\x00\x01\x00\x01a"),
        (0x82, b"\x00\x01\x00\x01a\x00\x00"),
        (0x90, b"\x00"),
        (0xA2, b""),
        (0xA2, b"\x00\x01\x00"),
        (0xA2, b"\x00\x01\x00\x02a"),
        (0xB0, b"\x00"),
    ];
    rejects_bytes_after_the_last_field_section_2_2_3: "section 2.2.3", TrailingBytes, [
        (0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01c\x00"),
        (0x20, b"\x00\x00\x00"),
        (0x40, b"\x00\x01\x00"),
        (0x50, b"\x00\x01\x00"),
        (0x62, b"\x00\x01\x00"),
        (0x70, b"\x00\x01\x00"),
        (0xB0, b"\x00\x01\x00"),
        (0xC0, b"\x00"),
        (0xD0, b"\x00"),
        (0xE0, b"\x00"),
    ];
    rejects_ill_formed_utf8_mqtt_1_5_3_1: "MQTT-1.5.3-1", IllFormedUtf8, [
        (0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01\xFF"),
        (0x10, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01\x80\x00\x00"),
        (0x10, b"\x00\x04MQTT\x04\x82\x00\x00\x00\x01c\x00\x01\xC3"),
        (0x30, b"\x00\x01\xC3"),
        (0x30, b"\x00\x02\xC0\x80"),
        (0x30, b"\x00\x03\xED\xA0\x80"),
        (0x30, b"\x00\x04\xF4\x90\x80\x80"),
        (0x30, b"\x00\x0Along/topi\xFF"),
        (0x32, b"\x00\x03+#\xFF\x00\x01"),
        (0x82, b"\x00\x01\x00\x01\xFF\x00"),
        (0xA2, b"\x00\x01\x00\x01\xFF"),
    ];
    rejects_nul_in_strings_mqtt_1_5_3_2: "MQTT-1.5.3-2", NulInString, [
        (0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x00"),
        (0x10, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x02w\x00\x00\x00"),
        (0x10, b"\x00\x04MQTT\x04\x82\x00\x00\x00\x01c\x00\x02u\x00"),
        (0x30, b"\x00\x01\x00"),
        (0x30, b"\x00\x0Along\x00topic"),
        (0x32, b"\x00\x03\xC3\xA4\x00\x00\x01"),
        (0x82, b"\x00\x01\x00\x02a\x00\x00"),
        (0xA2, b"\x00\x01\x00\x02a\x00"),
    ];
    rejects_packet_id_0_mqtt_2_3_1_1: "MQTT-2.3.1-1", ZeroPacketId, [
        (0x32, b"\x00\x01a\x00\x00"),
        (0x3C, b"\x00\x01a\x00\x00payload"),
        (0x82, b"\x00\x00\x00\x01a\x00"),
        (0xA2, b"\x00\x00\x00\x01a"),
    ];
    rejects_packet_id_0_mqtt_2_3_1_6: "MQTT-2.3.1-6", ZeroPacketIdInPublishAck, [
        (0x40, b"\x00\x00"),
        (0x50, b"\x00\x00"),
        (0x62, b"\x00\x00"),
    ];
    rejects_packet_id_0_mqtt_4_3_3_2: "MQTT-4.3.3-2", ZeroPacketIdInPubComp, [
        (0x70, b"\x00\x00"),
    ];
    rejects_packet_id_0_mqtt_2_3_1_7: "MQTT-2.3.1-7", ZeroPacketIdInSubscribeAck, [
        (0x90, b"\x00\x00\x00"),
        (0xB0, b"\x00\x00"),
    ];
    rejects_empty_topics_mqtt_4_7_3_1: "MQTT-4.7.3-1", EmptyTopic, [
        (0x10, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x00\x00\x00"),
        (0x30, b"\x00\x00"),
        (0x30, b"\x00\x00payload"),
        (0x32, b"\x00\x00\x00\x01"),
        (0x82, b"\x00\x01\x00\x00\x00"),
        (0xA2, b"\x00\x01\x00\x00"),
    ];
    rejects_wildcards_in_publish_mqtt_3_3_2_2: "MQTT-3.3.2-2", WildcardInTopicName, [
        (0x30, b"\x00\x01#"),
        (0x30, b"\x00\x01+"),
        (0x32, b"\x00\x0Csensors/+/te\x00\x01"),
        (0x34, b"\x00\x03\xC3\xA4#\x00\x01"),
    ];
    rejects_wildcards_in_the_will_topic_mqtt_4_7_1_1: "MQTT-4.7.1-1", WildcardInWillTopic, [
        (0x10, b"\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01#\x00\x00"),
    ];
    rejects_misplaced_hash_mqtt_4_7_1_2: "MQTT-4.7.1-2", MisplacedMultiLevelWildcard, [
        (0x82, b"\x00\x01\x00\x02a#\x00"),
        (0x82, b"\x00\x01\x00\x01a\x00\x00\x03#/a\x00"),
        (0xA2, b"\x00\x01\x00\x02##"),
    ];
    rejects_misplaced_plus_mqtt_4_7_1_3: "MQTT-4.7.1-3", MisplacedSingleLevelWildcard, [
        (0x82, b"\x00\x01\x00\x02a+\x00"),
        (0xA2, b"\x00\x01\x00\x02++"),
    ];
    rejects_malformed_shared_subscriptions_mqtt_5_section_4_8_2:
        "MQTT 5.0 section 4.8.2", MalformedSharedSubscription, [
        (0x82, b"\x00\x01\x00\x08$share/g\x00"),
        (0xA2, b"\x00\x01\x00\x09$share//a"),
    ];
    rejects_another_protocol_name_mqtt_3_1_2_1: "MQTT-3.1.2-1", UnknownProtocolName, [
        (0x10, b"\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c"),
        (0x10, b"\x00\x04mqtt\x04\x02\x00\x00\x00\x01c"),
        (0x10, b"\x00\x00\x04\x02\x00\x00\x00\x01c"),
    ];
    rejects_another_protocol_level_mqtt_3_1_2_2: "MQTT-3.1.2-2", UnacceptableProtocolLevel, [
        (0x10, b"\x00\x04MQTT\x03\x02\x00\x00\x00\x01c"),
        (0x10, b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c"),
        (0x10, b"\x00\x04MQTT\x84\x02\x00\x00\x00\x01c"),
    ];
    rejects_the_reserved_connect_flag_mqtt_3_1_2_3: "MQTT-3.1.2-3", ReservedConnectFlag, [
        (0x10, b"\x00\x04MQTT\x04\x03\x00\x00\x00\x01c"),
    ];
    rejects_will_qos_without_will_mqtt_3_1_2_13: "MQTT-3.1.2-13", WillQosWithoutWill, [
        (0x10, b"\x00\x04MQTT\x04\x0A\x00\x00\x00\x01c"),
        (0x10, b"\x00\x04MQTT\x04\x12\x00\x00\x00\x01c"),
    ];
    rejects_will_qos_3_mqtt_3_1_2_14: "MQTT-3.1.2-14", InvalidWillQos, [
        (0x10, b"\x00\x04MQTT\x04\x1E\x00\x00\x00\x01c\x00\x01w\x00\x00"),
    ];
    rejects_will_retain_without_will_mqtt_3_1_2_15: "MQTT-3.1.2-15", WillRetainWithoutWill, [
        (0x10, b"\x00\x04MQTT\x04\x22\x00\x00\x00\x01c"),
    ];
    rejects_a_password_without_user_name_mqtt_3_1_2_22: "MQTT-3.1.2-22", PasswordWithoutUserName, [
        (0x10, b"\x00\x04MQTT\x04\x42\x00\x00\x00\x01c\x00\x01p"),
    ];
    rejects_a_persistent_session_without_client_id_mqtt_3_1_3_8:
        "MQTT-3.1.3-8", EmptyClientIdWithPersistentSession, [
        (0x10, b"\x00\x04MQTT\x04\x00\x00\x00\x00\x00"),
    ];
    rejects_reserved_connack_flags_section_3_2_2_1: "section 3.2.2.1", ReservedConnAckFlags, [
        (0x20, b"\x02\x00"),
        (0x20, b"\x03\x00"),
        (0x20, b"\x80\x05"),
    ];
    rejects_reserved_return_codes_section_3_2_2_3: "section 3.2.2.3", ReservedConnectReturnCode, [
        (0x20, b"\x00\x06"),
        (0x20, b"\x01\x06"),
        (0x20, b"\x00\xFF"),
    ];
    rejects_session_present_in_a_refusal_mqtt_3_2_2_4: "MQTT-3.2.2-4", SessionPresentInRefusal, [
        (0x20, b"\x01\x01"),
        (0x20, b"\x01\x05"),
    ];
    rejects_subscribe_without_filter_mqtt_3_8_3_3: "MQTT-3.8.3-3", EmptySubscribe, [
        (0x82, b"\x00\x01"),
    ];
    rejects_an_invalid_requested_qos_mqtt_3_8_3_4: "MQTT-3-8.3-4", InvalidRequestedQos, [
        (0x82, b"\x00\x01\x00\x01a\x03"),
        (0x82, b"\x00\x01\x00\x01a\x80"),
        (0x82, b"\x00\x01\x00\x01a\x01\x00\x01b\x05"),
    ];
    rejects_suback_without_code_mqtt_3_8_4_5: "MQTT-3.8.4-5", EmptySubAck, [
        (0x90, b"\x00\x01"),
    ];
    rejects_reserved_suback_codes_mqtt_3_9_3_2: "MQTT-3.9.3-2", ReservedSubAckCode, [
        (0x90, b"\x00\x01\x03"),
        (0x90, b"\x00\x01\x00\x7F"),
        (0x90, b"\x00\x01\x81\x00"),
        (0x90, b"\x00\x01\xFF"),
    ];
    rejects_unsubscribe_without_filter_mqtt_3_10_3_2: "MQTT-3.10.3-2", EmptyUnsubscribe, [
        (0xA2, b"\x00\x01"),
    ];
}

#[test]
fn rejects_ill_formed_utf8_wherever_it_is_in_a_topic_mqtt_1_5_3_1() {
    for len in 1..=20_u8 {
        for position in 0..usize::from(len) {
            for lone in 0x80..=0xFF {
                let mut body = [&[0, len][..], &b"a".repeat(len.into())].concat();
                body[2 + position] = lone;
                let decoded = Packet::decode(&frame(0x30, &body)).map(|_| ());
                assert_eq!(decoded, Err(DecodeError::IllFormedUtf8), "{body:02x?}");
            }
        }
    }
}

#[test]
fn rejects_a_header_of_another_packet_or_length() {
    for bytes in all_bytes() {
        let (header, len) = FixedHeader::decode(bytes).unwrap().unwrap();
        let body = &bytes[len..];
        let verdicts = |header, body| {
            [
                Connect::decode(header, body).err(),
                ConnAck::decode(header, body).err(),
                Publish::decode(header, body).err(),
                Ack::decode(header, body).err(),
                Subscribe::decode(header, body).err(),
                SubAck::decode(header, body).err(),
                Unsubscribe::decode(header, body).err(),
                Empty::decode(header, body).err(),
            ]
        };
        let count = |header, body, error| {
            let verdicts = verdicts(header, body);
            verdicts.iter().filter(|verdict| **verdict == error).count()
        };
        let unexpected = Some(DecodeError::UnexpectedPacketType);
        assert_eq!(count(header, body, unexpected), 7, "{bytes:02x?}");
        assert_eq!(count(header, body, None), 1, "{bytes:02x?}");
        let longer = [body, b"\x00"].concat();
        let trailing = Some(DecodeError::TrailingBytes);
        assert_eq!(count(header, &longer, trailing), 1, "{bytes:02x?}");
        if let Some((_, shorter)) = body.split_last() {
            let too_short = Some(DecodeError::PacketTooShort);
            assert_eq!(count(header, shorter, too_short), 1, "{bytes:02x?}");
        }
    }
}

/// A broken byte anywhere gives a verdict, never a panic, and what is accepted is written back
/// to the same meaning.
#[test]
fn survives_every_value_of_every_byte() {
    for bytes in all_bytes() {
        for position in 0..bytes.len() {
            for value in 0..=255 {
                let mut broken = bytes.to_vec();
                broken[position] = value;
                if let Ok(Some((packet, _))) = Packet::decode(&broken) {
                    let mut out = vec![0; packet.encoded_len().unwrap()];
                    packet.encode(&mut out).unwrap();
                    assert_eq!(Packet::decode(&out), Ok(Some((packet, out.len()))));
                }
            }
        }
    }
}
