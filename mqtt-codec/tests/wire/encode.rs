use mqtt_codec::wire::{Delivery, EncodeError, Packet, Publish, RemainingLength, Retain};

use super::vectors::{Vector, all_bytes, topic, vectors};

#[test]
fn encodes_every_vector_to_its_bytes() {
    for Vector {
        name,
        bytes,
        packet,
    } in vectors()
    {
        let mut out = [0xEE; 64];
        assert_eq!(packet.encode(&mut out), Ok(bytes.len()), "{name}");
        assert_eq!(&out[..bytes.len()], bytes, "{name}");
        assert!(
            out[bytes.len()..].iter().all(|&byte| byte == 0xEE),
            "{name}"
        );
    }
}

#[test]
fn encodes_what_it_decoded_to_the_same_bytes() {
    for bytes in all_bytes() {
        let (packet, _) = Packet::decode(bytes).unwrap().unwrap();
        let mut out = [0; 64];
        let len = packet.encode(&mut out).unwrap();
        assert_eq!(&out[..len], bytes);
    }
}

#[test]
fn tells_the_exact_length_first() {
    for bytes in all_bytes() {
        let (packet, _) = Packet::decode(bytes).unwrap().unwrap();
        assert_eq!(packet.encoded_len(), Ok(bytes.len()));
        assert_eq!(packet.encode(&mut vec![0; bytes.len()]), Ok(bytes.len()));
    }
}

#[test]
fn says_how_many_bytes_it_needs_and_writes_none() {
    for bytes in all_bytes() {
        let (packet, _) = Packet::decode(bytes).unwrap().unwrap();
        for len in 0..bytes.len() {
            let mut out = vec![0xEE; len];
            let needed = bytes.len();
            let expected = Err(EncodeError::BufferTooSmall { needed });
            assert_eq!(packet.encode(&mut out), expected);
            assert!(out.iter().all(|&byte| byte == 0xEE), "{bytes:02x?}");
        }
    }
}

#[test]
fn payloads_of_every_short_length_survive() {
    let payload: Vec<u8> = (0..=255).cycle().take(300).collect();
    let name: String = ('a'..='z').cycle().take(300).collect();
    for len in 1..300 {
        let publish = Publish {
            topic: topic(&name[..len]),
            delivery: Delivery::AtMostOnce,
            retain: Retain::No,
            payload: &payload[..len],
        };
        let mut out = [0; 700];
        let written = publish.encode(&mut out).unwrap();
        assert_eq!(publish.encoded_len(), Ok(written));
        let expected = Ok(Some((Packet::Publish(publish), written)));
        assert_eq!(Packet::decode(&out), expected);
    }
}

#[test]
fn refuses_a_packet_over_the_remaining_length_limit_section_2_2_3() {
    let limit = RemainingLength::MAX.get() as usize;
    let payload = vec![0; limit - 2];
    let mut publish = Publish {
        topic: topic("a"),
        delivery: Delivery::AtMostOnce,
        retain: Retain::No,
        payload: &payload,
    };
    assert_eq!(publish.encoded_len(), Err(EncodeError::PacketTooLong));
    assert_eq!(publish.encode(&mut []), Err(EncodeError::PacketTooLong));
    publish.payload = &payload[1..];
    assert_eq!(publish.encoded_len(), Ok(5 + limit));
    let needed = 5 + limit;
    let too_small = Err(EncodeError::BufferTooSmall { needed });
    assert_eq!(publish.encode(&mut []), too_small);
}
