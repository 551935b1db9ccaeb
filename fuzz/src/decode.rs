//! Any bytes as a stream of packets: no panic, and what decodes is encoded to the same bytes.

use mqtt_codec::wire::{FixedHeader, Packet, PacketType, Publish, PublishHeader};

/// The input is the stream.
pub fn run(data: &[u8]) {
    let mut rest = data;
    loop {
        judge_prefixes(rest);
        let Ok(Some((packet, len))) = Packet::decode(rest) else {
            return;
        };
        let (bytes, behind) = rest.split_at(len);
        judge(packet, bytes);
        rest = behind;
    }
}

fn judge(packet: Packet<'_>, bytes: &[u8]) {
    let needed = packet.encoded_len().expect("was received");
    assert!(needed <= bytes.len(), "the shortest form is longer");
    let mut encoded = vec![0; needed];
    assert_eq!(packet.encode(&mut encoded), Ok(needed));
    assert_eq!(Packet::decode(&encoded), Ok(Some((packet, needed))));

    let (header, header_len) = FixedHeader::decode(bytes).unwrap().unwrap();
    assert_eq!(header.packet_type, packet.packet_type());
    let body = &bytes[header_len..];
    assert_eq!(encoded[0], bytes[0]);
    // Only the Remaining Length may have been received in a longer form.
    assert_eq!(&encoded[needed - body.len()..], body);
    if let Packet::Publish(publish) = packet {
        judge_head(publish, header, body);
    }
}

fn judge_head(publish: Publish<'_>, header: FixedHeader, body: &[u8]) {
    assert_eq!(header.packet_type, PacketType::Publish);
    let (head, head_len) = PublishHeader::decode(header, body).unwrap().unwrap();
    assert_eq!(head.topic, publish.topic);
    assert_eq!(head.delivery, publish.delivery);
    assert_eq!(head.retain, publish.retain);
    assert_eq!(head.payload_len as usize, publish.payload.len());
    assert_eq!(&body[head_len..], publish.payload);
    for end in (0..head_len).take(LONGEST_PREFIX) {
        assert_eq!(PublishHeader::decode(header, &body[..end]), Ok(None));
    }
    assert_eq!(
        PublishHeader::decode(header, &body[..head_len]),
        Ok(Some((head, head_len)))
    );
}

/// Too little is never an error, and an error stays the same however much follows.
fn judge_prefixes(bytes: &[u8]) {
    let whole = Packet::decode(bytes);
    for end in 0..bytes.len().min(LONGEST_PREFIX) {
        match Packet::decode(&bytes[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole),
        }
    }
}

const LONGEST_PREFIX: usize = 64;
