use mqtt_codec::wire::{FixedHeader, Packet, PacketType};

use super::vectors::{SUBACK, all_bytes, vectors};

#[test]
fn decodes_every_vector_to_its_meaning() {
    for vector in vectors() {
        let decoded = Packet::decode(vector.bytes);
        let expected = Ok(Some((vector.packet, vector.bytes.len())));
        assert_eq!(decoded, expected, "{}", vector.name);
    }
}

#[test]
fn names_the_type_of_every_vector() {
    for vector in vectors() {
        let (header, _) = FixedHeader::decode(vector.bytes).unwrap().unwrap();
        assert_eq!(
            vector.packet.packet_type(),
            header.packet_type,
            "{}",
            vector.name
        );
    }
}

#[test]
fn needs_more_bytes_after_every_truncation() {
    for bytes in all_bytes() {
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            assert_eq!(Packet::decode(cut), Ok(None), "{cut:02x?} of {bytes:02x?}");
        }
    }
}

#[test]
fn takes_one_packet_and_leaves_the_next() {
    for bytes in all_bytes() {
        let alone = Packet::decode(bytes);
        for next in [&b"\xC0\x00"[..], b"\xFF\xFF\xFF\xFF\xFF\xFF"] {
            let followed = [bytes, next].concat();
            assert_eq!(Packet::decode(&followed), alone, "{followed:02x?}");
        }
    }
}

#[test]
fn rejects_every_packet_that_won_a_byte_section_2_2_3() {
    for bytes in all_bytes() {
        let mut longer = [bytes, b"\xFF"].concat();
        longer[1] += 1;
        let is_publish = bytes[0] >> 4 == PacketType::Publish as u8;
        let is_rejected = Packet::decode(&longer).is_err();
        // The payload of a PUBLISH is what is left of it.
        assert_eq!(is_rejected, !is_publish, "{longer:02x?}");
    }
}

#[test]
fn rejects_every_packet_that_lost_its_last_byte_section_2_2_3() {
    for bytes in all_bytes() {
        let mut shorter = bytes[..bytes.len() - 1].to_vec();
        let Some(length) = shorter.get_mut(1) else {
            continue;
        };
        *length -= 1;
        let is_rejected = Packet::decode(&shorter).is_err();
        // A payload may have any length, and so may a list of codes above one.
        let is_shorter_packet = match bytes[0] >> 4 {
            3 => vectors().iter().any(|vector| {
                let Packet::Publish(publish) = vector.packet else {
                    return false;
                };
                vector.bytes == bytes && !publish.payload.is_empty()
            }),
            9 => bytes == SUBACK,
            _ => false,
        };
        assert_eq!(is_rejected, !is_shorter_packet, "{shorter:02x?}");
    }
}
