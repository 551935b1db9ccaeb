//! Legal packets as bytes, beside what they mean.

use mqtt_codec::wire::{
    Binary, CleanSession, ClientId, ConnAck, Connect, ConnectRefusal, Delivery, Dup, Login, Packet,
    PacketId, Password, Publish, QoS, Retain, SessionPresent, TopicName, Utf8Str, Will,
};

pub(crate) struct Vector {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) packet: Packet<'static>,
}

pub(crate) fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

pub(crate) fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

pub(crate) fn client_id(id: &str) -> ClientId<'_> {
    ClientId::new(id).unwrap()
}

/// A packet of less than 128 bytes after its fixed header, legal or not.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
    assert!(body.len() < 128);
    packet.extend_from_slice(body);
    packet
}

/// Packets whose meaning can be written down without a buffer.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut vectors = connects();
    vectors.extend(publishes());
    vectors.extend(answers());
    vectors
}

/// Bytes of every legal packet here, lists included.
pub(crate) fn all_bytes() -> Vec<&'static [u8]> {
    let mut bytes: Vec<_> = vectors().iter().map(|vector| vector.bytes).collect();
    bytes.extend([SUBSCRIBE, SUBSCRIBE_ONE, SUBACK, SUBACK_ONE, UNSUBSCRIBE]);
    bytes
}

/// Id 10; `a/+` at QoS 1, `#` at QoS 2, `$SYS/x` at QoS 0.
pub(crate) const SUBSCRIBE: &[u8] =
    b"\x82\x15\x00\x0A\x00\x03a/+\x01\x00\x01#\x02\x00\x06$SYS/x\x00";
/// Id 65,535; `a` at QoS 0.
pub(crate) const SUBSCRIBE_ONE: &[u8] = b"\x82\x06\xFF\xFF\x00\x01a\x00";
/// Id 10; QoS 0, 1 and 2 granted, then a failure.
pub(crate) const SUBACK: &[u8] = b"\x90\x06\x00\x0A\x00\x01\x02\x80";
/// Id 256; QoS 1 granted.
pub(crate) const SUBACK_ONE: &[u8] = b"\x90\x03\x01\x00\x01";
/// Id 10; `a/+`, `$share/g/b`.
pub(crate) const UNSUBSCRIBE: &[u8] = b"\xA2\x13\x00\x0A\x00\x03a/+\x00\x0A$share/g/b";

fn connects() -> Vec<Vector> {
    let plain = Connect::new(client_id("c"), CleanSession::Clean).unwrap();
    let mut everything = Connect::new(client_id("gw1"), CleanSession::Persistent).unwrap();
    everything.keep_alive = 60;
    everything.will = Some(Will {
        topic: topic("w/t"),
        payload: Binary::new(b"\x00\xFF").unwrap(),
        qos: QoS::ExactlyOnce,
        retain: Retain::Yes,
    });
    everything.login = Some(Login {
        user_name: Utf8Str::new("user").unwrap(),
        password: Some(Password::new(b"pa\x00s").unwrap()),
    });
    let mut will_only = Connect::new(ClientId::EMPTY, CleanSession::Clean).unwrap();
    will_only.keep_alive = 65_535;
    will_only.will = Some(Will {
        topic: topic("w"),
        payload: Binary::EMPTY,
        qos: QoS::AtMostOnce,
        retain: Retain::No,
    });
    let mut user_only = Connect::new(client_id("c"), CleanSession::Persistent).unwrap();
    user_only.login = Some(Login {
        user_name: Utf8Str::EMPTY,
        password: None,
    });
    vec![
        Vector {
            name: "CONNECT, the least",
            bytes: b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c",
            packet: Packet::Connect(plain),
        },
        Vector {
            name: "CONNECT with everything",
            bytes: b"\x10\x24\x00\x04MQTT\x04\xF4\x00\x3C\x00\x03gw1\x00\x03w/t\x00\x02\x00\xFF\
                     \x00\x04user\x00\x04pa\x00s",
            packet: Packet::Connect(everything),
        },
        Vector {
            name: "CONNECT without client identifier, with an empty will",
            bytes: b"\x10\x11\x00\x04MQTT\x04\x06\xFF\xFF\x00\x00\x00\x01w\x00\x00",
            packet: Packet::Connect(will_only),
        },
        Vector {
            name: "CONNECT with an empty user name and no password",
            bytes: b"\x10\x0F\x00\x04MQTT\x04\x80\x00\x00\x00\x01c\x00\x00",
            packet: Packet::Connect(user_only),
        },
    ]
}

fn publishes() -> Vec<Vector> {
    vec![
        Vector {
            name: "PUBLISH at QoS 0 without payload",
            bytes: b"\x30\x03\x00\x01a",
            packet: Packet::Publish(Publish {
                topic: topic("a"),
                delivery: Delivery::AtMostOnce,
                retain: Retain::No,
                payload: b"",
            }),
        },
        Vector {
            name: "PUBLISH at QoS 1",
            bytes: b"\x32\x14\x00\x0Esensors/1/temp\x00\x0A21",
            packet: Packet::Publish(Publish {
                topic: topic("sensors/1/temp"),
                delivery: Delivery::AtLeastOnce {
                    id: id(10),
                    dup: Dup::First,
                },
                retain: Retain::No,
                payload: b"21",
            }),
        },
        Vector {
            name: "PUBLISH at QoS 1, repeated and retained",
            bytes: b"\x3B\x08\x00\x03a/b\xFF\xFF\x00",
            packet: Packet::Publish(Publish {
                topic: topic("a/b"),
                delivery: Delivery::AtLeastOnce {
                    id: id(65_535),
                    dup: Dup::Repeat,
                },
                retain: Retain::Yes,
                payload: b"\x00",
            }),
        },
        Vector {
            name: "PUBLISH at QoS 2, repeated, with a topic beyond ASCII",
            bytes: b"\x3C\x0C\x00\x06\xC3\xA4/\xE2\x82\xAC\x01\x00\xC0\xAF",
            packet: Packet::Publish(Publish {
                topic: topic("ä/€"),
                delivery: Delivery::ExactlyOnce {
                    id: id(256),
                    dup: Dup::Repeat,
                },
                retain: Retain::No,
                payload: b"\xC0\xAF",
            }),
        },
    ]
}

fn answers() -> Vec<Vector> {
    let accepted = |session| Packet::ConnAck(ConnAck::Accepted { session });
    let refused = |refusal| Packet::ConnAck(ConnAck::Refused(refusal));
    let rows: [(_, &'static [u8], _); 15] = [
        (
            "CONNACK, accepted",
            b"\x20\x02\x00\x00",
            accepted(SessionPresent::Absent),
        ),
        (
            "CONNACK, accepted with session",
            b"\x20\x02\x01\x00",
            accepted(SessionPresent::Present),
        ),
        (
            "CONNACK 1",
            b"\x20\x02\x00\x01",
            refused(ConnectRefusal::UnacceptableProtocolVersion),
        ),
        (
            "CONNACK 2",
            b"\x20\x02\x00\x02",
            refused(ConnectRefusal::IdentifierRejected),
        ),
        (
            "CONNACK 3",
            b"\x20\x02\x00\x03",
            refused(ConnectRefusal::ServerUnavailable),
        ),
        (
            "CONNACK 4",
            b"\x20\x02\x00\x04",
            refused(ConnectRefusal::BadUserNameOrPassword),
        ),
        (
            "CONNACK 5",
            b"\x20\x02\x00\x05",
            refused(ConnectRefusal::NotAuthorized),
        ),
        ("PUBACK", b"\x40\x02\x00\x01", Packet::PubAck(id(1))),
        ("PUBREC", b"\x50\x02\x01\x00", Packet::PubRec(id(256))),
        ("PUBREL", b"\x62\x02\x12\x34", Packet::PubRel(id(0x1234))),
        (
            "PUBCOMP",
            b"\x70\x02\xFF\xFF",
            Packet::PubComp(PacketId::MAX),
        ),
        ("UNSUBACK", b"\xB0\x02\x00\x0A", Packet::UnsubAck(id(10))),
        ("PINGREQ", b"\xC0\x00", Packet::PingReq),
        ("PINGRESP", b"\xD0\x00", Packet::PingResp),
        ("DISCONNECT", b"\xE0\x00", Packet::Disconnect),
    ];
    rows.into_iter()
        .map(|(name, bytes, packet)| Vector {
            name,
            bytes,
            packet,
        })
        .collect()
}
