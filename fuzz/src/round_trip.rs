//! Any valid packet: encoded, it decodes to itself.

use mqtt_codec::wire::{
    Binary, CleanSession, ClientId, ConnAck, Connect, ConnectRefusal, Delivery, Dup, EncodeError,
    Login, Packet, PacketId, Password, Publish, PublishHeader, QoS, Retain, SessionPresent, SubAck,
    SubAckCode, Subscribe, TopicFilter, TopicName, Unsubscribe, Utf8Str, Will,
};

use crate::source::Source;

/// The input is a packet type and fields, in an order of our own; see `examples/seeds.rs`.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    // The lists come as iterators of their own types, so these packets are encoded before they are `Packet`s.
    let encoded = match source.u8() % 14 {
        0 => connect(&mut source).map(|packet| encode(&Packet::Connect(packet))),
        1 => Some(encode(&Packet::ConnAck(connack(&mut source)))),
        2 => publish(&mut source).map(|packet| {
            judge_head(&packet);
            encode(&Packet::Publish(packet))
        }),
        3 => packet_id(&mut source).map(|id| encode(&Packet::PubAck(id))),
        4 => packet_id(&mut source).map(|id| encode(&Packet::PubRec(id))),
        5 => packet_id(&mut source).map(|id| encode(&Packet::PubRel(id))),
        6 => packet_id(&mut source).map(|id| encode(&Packet::PubComp(id))),
        7 => subscribe(&mut source),
        8 => suback(&mut source),
        9 => unsubscribe(&mut source),
        10 => packet_id(&mut source).map(|id| encode(&Packet::UnsubAck(id))),
        11 => Some(encode(&Packet::PingReq)),
        12 => Some(encode(&Packet::PingResp)),
        _ => Some(encode(&Packet::Disconnect)),
    };
    if let Some(encoded) = encoded {
        judge_bytes(&encoded);
    }
}

fn connect<'a>(source: &mut Source<'a>) -> Option<Connect<'a>> {
    let clean_session = source.pick([CleanSession::Clean, CleanSession::Persistent]);
    let mut connect = Connect::new(ClientId::new(source.str()).ok()?, clean_session).ok()?;
    connect.keep_alive = source.u16();
    if source.u8() & 1 == 1 {
        connect.will = Some(Will {
            qos: qos(source),
            retain: source.pick([Retain::No, Retain::Yes]),
            topic: TopicName::new(source.str()).ok()?,
            payload: Binary::new(source.binary())?,
        });
    }
    if source.u8() & 1 == 1 {
        connect.login = Some(Login {
            user_name: Utf8Str::new(source.str()).ok()?,
            password: match source.u8() & 1 {
                0 => None,
                _ => Some(Password::new(source.binary())?),
            },
        });
    }
    Some(connect)
}

fn connack(source: &mut Source<'_>) -> ConnAck {
    match ConnectRefusal::from_code(source.u8()) {
        Some(refusal) => ConnAck::Refused(refusal),
        None => ConnAck::Accepted {
            session: source.pick([SessionPresent::Absent, SessionPresent::Present]),
        },
    }
}

fn publish<'a>(source: &mut Source<'a>) -> Option<Publish<'a>> {
    let qos = qos(source);
    let dup = source.pick([Dup::First, Dup::Repeat]);
    let retain = source.pick([Retain::No, Retain::Yes]);
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce {
            id: packet_id(source)?,
            dup,
        },
        QoS::ExactlyOnce => Delivery::ExactlyOnce {
            id: packet_id(source)?,
            dup,
        },
    };
    Some(Publish {
        topic: TopicName::new(source.str()).ok()?,
        delivery,
        retain,
        payload: source.rest(),
    })
}

fn subscribe(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let id = packet_id(source)?;
    let mut filters = Vec::new();
    while !source.is_empty() {
        let qos = qos(source);
        filters.push((TopicFilter::new(source.str()).ok()?, qos));
    }
    let packet = Subscribe::new(id, filters.iter().copied())?;
    let encoded = encode_with(packet.encoded_len(), |out| packet.encode(out));
    let Ok(Some((Packet::Subscribe(decoded), len))) = Packet::decode(&encoded) else {
        panic!("not decoded as SUBSCRIBE: {encoded:02x?}");
    };
    assert_eq!((decoded.id(), len), (id, encoded.len()));
    assert!(decoded.filters().eq(filters));
    Some(encoded)
}

fn suback(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let id = packet_id(source)?;
    let codes: Vec<_> = source
        .rest()
        .iter()
        .map(|&byte| SubAckCode::from_byte(byte).unwrap_or(SubAckCode::Failure))
        .collect();
    let packet = SubAck::new(id, codes.iter().copied())?;
    let encoded = encode_with(packet.encoded_len(), |out| packet.encode(out));
    let Ok(Some((Packet::SubAck(decoded), len))) = Packet::decode(&encoded) else {
        panic!("not decoded as SUBACK: {encoded:02x?}");
    };
    assert_eq!((decoded.id(), len), (id, encoded.len()));
    assert!(decoded.codes().eq(codes));
    Some(encoded)
}

fn unsubscribe(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let id = packet_id(source)?;
    let mut filters = Vec::new();
    while !source.is_empty() {
        filters.push(TopicFilter::new(source.str()).ok()?);
    }
    let packet = Unsubscribe::new(id, filters.iter().copied())?;
    let encoded = encode_with(packet.encoded_len(), |out| packet.encode(out));
    let Ok(Some((Packet::Unsubscribe(decoded), len))) = Packet::decode(&encoded) else {
        panic!("not decoded as UNSUBSCRIBE: {encoded:02x?}");
    };
    assert_eq!((decoded.id(), len), (id, encoded.len()));
    assert!(decoded.filters().eq(filters));
    Some(encoded)
}

fn packet_id(source: &mut Source<'_>) -> Option<PacketId> {
    PacketId::new(source.u16())
}

fn qos(source: &mut Source<'_>) -> QoS {
    source.pick([QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    let encoded = encode_with(packet.encoded_len(), |out| packet.encode(out));
    assert_eq!(Packet::decode(&encoded), Ok(Some((*packet, encoded.len()))));
    encoded
}

fn encode_with(
    needed: Result<usize, EncodeError>,
    encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
) -> Vec<u8> {
    let needed = needed.expect("inputs are small");
    let mut encoded = vec![0; needed];
    assert_eq!(
        encode(&mut encoded[..needed - 1]),
        Err(EncodeError::BufferTooSmall { needed })
    );
    assert_eq!(encode(&mut encoded), Ok(needed));
    encoded
}

/// Header and payload apart are the same bytes as together.
fn judge_head(publish: &Publish<'_>) {
    let head = PublishHeader {
        topic: publish.topic,
        delivery: publish.delivery,
        retain: publish.retain,
        payload_len: publish.payload.len() as u32,
    };
    let mut apart = encode_with(head.encoded_len(), |out| head.encode(out));
    apart.extend(publish.payload);
    assert_eq!(apart, encode(&Packet::Publish(*publish)));
}

/// The packet is a packet whatever follows it, and none while a byte is missing.
fn judge_bytes(encoded: &[u8]) {
    let whole = Packet::decode(encoded);
    let mut followed = encoded.to_vec();
    followed.extend([0xFF, 0]);
    assert_eq!(Packet::decode(&followed), whole);
    for end in (0..encoded.len()).rev().take(64) {
        assert_eq!(Packet::decode(&encoded[..end]), Ok(None));
    }
}
