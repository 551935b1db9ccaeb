use mqtt_codec::wire::{DecodeError, EncodeError, FixedHeader, PacketType, RemainingLength};

fn pingreq(length: u32) -> FixedHeader {
    FixedHeader {
        packet_type: PacketType::PingReq,
        flags: 0,
        remaining_length: RemainingLength::new(length).unwrap(),
    }
}

/// Table 2.4 and its neighbours: every length at which the encoding grows.
const LENGTHS: [(u32, &[u8]); 9] = [
    (0, b"\x00"),
    (64, b"\x40"),
    (127, b"\x7F"),
    (128, b"\x80\x01"),
    (16_383, b"\xFF\x7F"),
    (16_384, b"\x80\x80\x01"),
    (2_097_151, b"\xFF\xFF\x7F"),
    (2_097_152, b"\x80\x80\x80\x01"),
    (268_435_455, b"\xFF\xFF\xFF\x7F"),
];

#[test]
fn writes_the_shortest_remaining_length_and_reads_it() {
    for (length, encoded) in LENGTHS {
        let header = pingreq(length);
        let expected = [b"\xC0", encoded].concat();
        let mut out = [0; FixedHeader::MAX_LEN];
        assert_eq!(header.encode(&mut out), Ok(expected.len()), "{length}");
        assert_eq!(out[..expected.len()], expected, "{length}");
        assert_eq!(header.encoded_len(), expected.len(), "{length}");
        let decoded = FixedHeader::decode(&expected);
        assert_eq!(decoded, Ok(Some((header, expected.len()))));
        for len in 0..expected.len() {
            assert_eq!(FixedHeader::decode(&expected[..len]), Ok(None), "{length}");
            let needed = expected.len();
            let too_small = Err(EncodeError::BufferTooSmall { needed });
            assert_eq!(header.encode(&mut out[..len]), too_small, "{length}");
        }
    }
}

#[test]
fn accepts_every_longer_form_of_remaining_length_section_2_2_3() {
    for (encoded, length) in [
        (&b"\x80\x00"[..], 0),
        (b"\x80\x80\x80\x00", 0),
        (b"\x85\x80\x00", 5),
        (b"\xFF\x80\x80\x00", 127),
    ] {
        let input = [b"\xC0", encoded].concat();
        let expected = Ok(Some((pingreq(length), input.len())));
        assert_eq!(FixedHeader::decode(&input), expected);
    }
}

#[test]
fn rejects_a_fifth_byte_of_remaining_length_section_2_2_3() {
    let malformed = Err(DecodeError::MalformedRemainingLength);
    assert_eq!(FixedHeader::decode(b"\xC0\x80\x80\x80\x80"), malformed);
    assert_eq!(FixedHeader::decode(b"\x30\xFF\xFF\xFF\xFF\x01"), malformed);
}

#[test]
fn waits_for_a_large_packet_without_more_than_its_header() {
    let header = FixedHeader::decode(b"\x30\xFF\xFF\xFF\x7F").unwrap();
    let (header, len) = header.unwrap();
    assert_eq!(len, 5);
    assert_eq!(header.remaining_length, RemainingLength::MAX);
}

#[test]
fn remaining_length_ends_at_268_435_455() {
    assert_eq!(RemainingLength::new(268_435_456), None);
    assert_eq!(RemainingLength::new(0), Some(RemainingLength::ZERO));
}

#[test]
fn first_byte_alone_decides_on_type_and_flags_mqtt_2_2_2_2() {
    for first in 0..=255_u8 {
        let (packet_type, flags) = (first >> 4, first & 0x0F);
        let expected = match (packet_type, flags) {
            (0 | 15, _) => Err("section 2.2.1"),
            (3, 6 | 7 | 14 | 15) => Err("MQTT-3.3.1-4"),
            (3, 8 | 9) => Err("MQTT-3.3.1-2"),
            (3, _) | (6 | 8 | 10, 2) => Ok(()),
            (6, _) => Err("MQTT-3.6.1-1"),
            (8, _) => Err("MQTT-3.8.1-1"),
            (10, _) => Err("MQTT-3.10.1-1"),
            (_, 0) => Ok(()),
            (14, _) => Err("MQTT-3.14.1-1"),
            _ => Err("MQTT-2.2.2-2"),
        };
        let at_once = FixedHeader::decode(&[first]);
        assert_eq!(
            at_once.map(|header| assert_eq!(header, None)),
            at_once.map(|_| ())
        );
        assert_eq!(at_once.map(|_| ()).map_err(DecodeError::id), expected);
        let decoded = FixedHeader::decode(&[first, 5]);
        let decoded = decoded.map(|header| {
            let (header, len) = header.unwrap();
            assert_eq!(
                (header.packet_type as u8, header.flags, len),
                (packet_type, flags, 2)
            );
        });
        assert_eq!(decoded.map_err(DecodeError::id), expected, "{first:02x}");
    }
}
