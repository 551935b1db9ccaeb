use mqtt_codec::wire::{
    DecodeError, Delivery, Dup, EncodeError, FixedHeader, PacketType, Publish, PublishHeader,
    RemainingLength, Retain,
};

use super::vectors::{id, topic};

fn header(flags: u8, remaining_length: u32) -> FixedHeader {
    FixedHeader {
        packet_type: PacketType::Publish,
        flags,
        remaining_length: RemainingLength::new(remaining_length).unwrap(),
    }
}

const AT_LEAST_ONCE: Delivery = Delivery::AtLeastOnce {
    id: match mqtt_codec::wire::PacketId::new(10) {
        Some(id) => id,
        None => unreachable!(),
    },
    dup: Dup::First,
};

#[test]
fn reads_what_comes_before_a_payload_that_has_not_arrived() {
    let expected = PublishHeader {
        topic: topic("a/b"),
        delivery: AT_LEAST_ONCE,
        retain: Retain::No,
        payload_len: 268_435_448,
    };
    let decoded = PublishHeader::decode(header(2, 268_435_455), b"\x00\x03a/b\x00\x0A");
    assert_eq!(decoded, Ok(Some((expected, 7))));
}

#[test]
fn needs_more_until_topic_and_id_are_complete() {
    let body = b"\x00\x03a/b\x00\x0Apayload";
    let fixed = header(2, body.len() as u32);
    for len in 0..7 {
        assert_eq!(
            PublishHeader::decode(fixed, &body[..len]),
            Ok(None),
            "{len}"
        );
    }
    for len in 7..=body.len() {
        let (publish, head_len) = PublishHeader::decode(fixed, &body[..len]).unwrap().unwrap();
        assert_eq!((publish.payload_len, head_len), (7, 7), "{len}");
    }
}

#[test]
fn does_not_read_beyond_its_packet() {
    let body = b"\x00\x03a/b\x00\x0A\x00\x0A\x30\x03\x00\x01a";
    let (publish, head_len) = PublishHeader::decode(header(0, 5), body).unwrap().unwrap();
    assert_eq!((publish.payload_len, head_len), (0, 5));
    let too_short = Err(DecodeError::PacketTooShort);
    assert_eq!(PublishHeader::decode(header(2, 6), body), too_short);
}

#[test]
fn finds_a_topic_that_cannot_fit_before_it_arrives_section_2_2_3() {
    let too_short = Err(DecodeError::PacketTooShort);
    assert_eq!(PublishHeader::decode(header(0, 1), b""), too_short);
    assert_eq!(PublishHeader::decode(header(2, 3), b""), too_short);
    assert_eq!(PublishHeader::decode(header(0, 5), b"\x00\x04"), too_short);
    assert_eq!(PublishHeader::decode(header(2, 6), b"\x00\x03"), too_short);
    assert_eq!(PublishHeader::decode(header(2, 7), b"\x00\x03"), Ok(None));
}

#[test]
fn gives_the_verdict_on_the_whole_packet_however_much_has_arrived() {
    for flags in [0, 1, 2, 4, 0b1010] {
        for body in [
            &b"\x00\x00"[..],
            b"\x00\x00\x00",
            b"\x00\x00\x00\x00",
            b"\x00\x01+\x00\x01",
            b"\x00\x01a\x00\x00",
            b"\x00\x01a\x00\x01x",
            b"\x00\x02\xC3\x28\x00\x01x",
            b"\x00\x05a\x00\x01x",
            b"\x00",
            b"",
        ] {
            let fixed = header(flags, body.len() as u32);
            let whole = Publish::decode(fixed, body);
            let head = PublishHeader::decode(fixed, body);
            assert_eq!(
                head.map(|_| ()),
                whole.map(|_| ()),
                "{flags:04b} {body:02x?}"
            );
            for len in 0..body.len() {
                match PublishHeader::decode(fixed, &body[..len]) {
                    Ok(None) => {}
                    early => assert_eq!(early.map(|_| ()), whole.map(|_| ()), "{body:02x?}"),
                }
            }
        }
    }
}

#[test]
fn refuses_flags_that_no_fixed_header_decodes_to() {
    let body = b"\x00\x01a\x00\x01";
    let qos_3 = Err(DecodeError::InvalidPublishQos);
    assert_eq!(PublishHeader::decode(header(6, 5), body), qos_3);
    let dup = Err(DecodeError::DupWithQos0);
    assert_eq!(PublishHeader::decode(header(8, 5), body), dup);
    let mut pubrel = header(2, 5);
    pubrel.packet_type = PacketType::PubRel;
    let unexpected = Err(DecodeError::UnexpectedPacketType);
    assert_eq!(PublishHeader::decode(pubrel, body), unexpected);
}

#[test]
fn writes_the_head_of_the_whole_packet() {
    let payload = [7; 200];
    for delivery in [
        Delivery::AtMostOnce,
        AT_LEAST_ONCE,
        Delivery::ExactlyOnce {
            id: id(65_535),
            dup: Dup::Repeat,
        },
    ] {
        for payload_len in [0, 1, 119, 120, 121, 122, 123, 124, 200] {
            let publish = Publish {
                topic: topic("a/b"),
                delivery,
                retain: Retain::Yes,
                payload: &payload[..payload_len],
            };
            let head = PublishHeader {
                topic: publish.topic,
                delivery,
                retain: publish.retain,
                payload_len: payload_len as u32,
            };
            let mut whole = [0; 256];
            let whole_len = publish.encode(&mut whole).unwrap();
            let head_len = whole_len - payload_len;
            let mut out = [0; 16];
            assert_eq!(head.encoded_len(), Ok(head_len));
            assert_eq!(head.encode(&mut out), Ok(head_len));
            assert_eq!(out[..head_len], whole[..head_len]);
            let too_small = Err(EncodeError::BufferTooSmall { needed: head_len });
            assert_eq!(head.encode(&mut out[..head_len - 1]), too_small);
        }
    }
}

#[test]
fn counts_the_payload_against_the_limit_section_2_2_3() {
    let mut head = PublishHeader {
        topic: topic("a"),
        delivery: Delivery::AtMostOnce,
        retain: Retain::No,
        payload_len: 268_435_452,
    };
    let mut out = [0; 16];
    assert_eq!(head.encoded_len(), Ok(8));
    assert_eq!(head.encode(&mut out), Ok(8));
    assert_eq!(&out[..8], b"\x30\xFF\xFF\xFF\x7F\x00\x01a");
    for payload_len in [268_435_453, u32::MAX] {
        head.payload_len = payload_len;
        assert_eq!(head.encoded_len(), Err(EncodeError::PacketTooLong));
        assert_eq!(head.encode(&mut out), Err(EncodeError::PacketTooLong));
    }
}
