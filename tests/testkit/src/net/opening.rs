use mqtt_codec::wire::PacketType;

use Place::{Connected, First, FirstIfClean, Subscribed};

use super::step::{PeerScript, script};

/// Something that a server must not send, and the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What it is.
    pub name: &'static str,
    /// Normative id or section of MQTT 3.1.1, as the client's error names it.
    pub rule: &'static str,
    /// When it is sent.
    pub place: Place,
    /// The bytes.
    pub bytes: &'static [u8],
}

/// When an [`Opening`] is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In place of CONNACK.
    First,
    /// In place of CONNACK, to a client that has asked for a clean session.
    FirstIfClean,
    /// After a CONNACK that accepts.
    Connected,
    /// After a CONNACK that accepts and a SUBSCRIBE of one filter, the first of the client: its packet id is 0xFC00.
    Subscribed,
}

impl Opening {
    /// A script that sends it and then expects the client to close.
    #[must_use]
    pub fn script(&self) -> PeerScript {
        let opened = match self.place {
            First | FirstIfClean => script().expect(PacketType::Connect),
            Connected => script().accept(),
            Subscribed => script().accept().expect(PacketType::Subscribe),
        };
        opened.send(self.bytes).expect_close()
    }
}

/// At least one for each rule that a server can break, by packet type.
///
/// What ends the session for good is not among them: refusals, and whatever belongs to QoS 2.
#[must_use]
pub fn openings() -> &'static [Opening] {
    OPENINGS
}

const fn row(
    name: &'static str,
    rule: &'static str,
    place: Place,
    bytes: &'static [u8],
) -> Opening {
    Opening {
        name,
        rule,
        place,
        bytes,
    }
}

#[rustfmt::skip]
const OPENINGS: &[Opening] = &[
    row("packet type 0", "section 2.2.1", First, &[0x00, 0]),
    row("packet type 15", "section 2.2.1", Connected, &[0xF0, 0]),
    row("remaining length of five bytes", "section 2.2.3", Connected, &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
    row("remaining length of five bytes, CONNACK", "section 2.2.3", First, &[0x20, 0x82, 0x80, 0x80, 0x80, 0x00]),
    row("another protocol", "MQTT-2.2.2-2", First, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    row("a TLS alert", "MQTT-2.2.2-2", First, &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]),

    row("CONNACK with flags in its header", "MQTT-2.2.2-2", First, &[0x21, 2, 0, 0]),
    row("CONNACK with a reserved flag", "section 3.2.2.1", First, &[0x20, 2, 0x02, 0]),
    row("CONNACK with a reserved code", "section 3.2.2.3", First, &[0x20, 2, 0, 6]),
    row("CONNACK with the last code", "section 3.2.2.3", First, &[0x20, 2, 0, 0xFF]),
    row("CONNACK that refuses with a session", "MQTT-3.2.2-4", First, &[0x20, 2, 1, 5]),
    row("CONNACK with a session after a clean start", "MQTT-3.2.2-1", FirstIfClean, &[0x20, 2, 1, 0]),
    row("CONNACK too short", "section 2.2.3", First, &[0x20, 1, 0]),
    row("CONNACK too long", "section 2.2.3", First, &[0x20, 3, 0, 0, 0]),
    row("CONNACK twice", "section 3.2", Connected, &[0x20, 2, 0, 0]),

    row("PUBLISH before CONNACK", "MQTT-3.2.0-1", First, b"\x30\x04\x00\x01tm"),
    row("PUBACK before CONNACK", "MQTT-3.2.0-1", First, &[0x40, 2, 0, 1]),
    row("SUBACK before CONNACK", "MQTT-3.2.0-1", First, &[0x90, 3, 0, 1, 0]),
    row("UNSUBACK before CONNACK", "MQTT-3.2.0-1", First, &[0xB0, 2, 0, 1]),
    row("PINGRESP before CONNACK", "MQTT-3.2.0-1", First, &[0xD0, 0]),
    row("DISCONNECT before CONNACK", "MQTT-3.2.0-1", First, &[0xE0, 0]),

    row("CONNECT from a server", "section 2.2.1", Connected, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"),
    row("SUBSCRIBE from a server", "section 2.2.1", Connected, b"\x82\x06\x00\x01\x00\x01t\x01"),
    row("UNSUBSCRIBE from a server", "section 2.2.1", Connected, b"\xa2\x05\x00\x01\x00\x01t"),
    row("PINGREQ from a server", "section 2.2.1", Connected, &[0xC0, 0]),
    row("DISCONNECT from a server", "section 2.2.1", Connected, &[0xE0, 0]),
    row("SUBSCRIBE with other flags", "MQTT-3.8.1-1", Connected, b"\x80\x06\x00\x01\x00\x01t\x01"),
    row("UNSUBSCRIBE with other flags", "MQTT-3.10.1-1", Connected, b"\xa0\x05\x00\x01\x00\x01t"),
    row("DISCONNECT with flags", "MQTT-3.14.1-1", Connected, &[0xE1, 0]),

    row("PUBLISH of QoS 3", "MQTT-3.3.1-4", Connected, b"\x36\x06\x00\x01t\x00\x01m"),
    row("PUBLISH with DUP at QoS 0", "MQTT-3.3.1-2", Connected, b"\x38\x04\x00\x01tm"),
    row("PUBLISH with packet id 0", "MQTT-2.3.1-1", Connected, b"\x32\x06\x00\x01t\x00\x00m"),
    row("PUBLISH without topic", "section 2.2.3", Connected, &[0x30, 0]),
    row("PUBLISH with an empty topic", "MQTT-4.7.3-1", Connected, b"\x30\x03\x00\x00m"),
    row("PUBLISH to `+`", "MQTT-3.3.2-2", Connected, b"\x30\x06\x00\x03a/+m"),
    row("PUBLISH to `#`", "MQTT-3.3.2-2", Connected, b"\x30\x06\x00\x03a/#m"),
    row("PUBLISH to U+0000", "MQTT-1.5.3-2", Connected, b"\x30\x06\x00\x03a\x00bm"),
    row("PUBLISH to a surrogate", "MQTT-1.5.3-1", Connected, b"\x30\x06\x00\x03\xed\xa0\x80m"),
    row("PUBLISH to an overlong slash", "MQTT-1.5.3-1", Connected, b"\x30\x05\x00\x02\xc0\xafm"),
    row("PUBLISH to half a character", "MQTT-1.5.3-1", Connected, b"\x30\x04\x00\x01\xc3m"),
    row("PUBLISH with a topic beyond its end", "section 2.2.3", Connected, b"\x30\x04\x00\x09tm"),
    row("PUBLISH of QoS 1 without packet id", "section 2.2.3", Connected, b"\x32\x04\x00\x01t\x00"),
    row("PUBLISH of the largest length with an empty topic", "MQTT-4.7.3-1", Connected, &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0]),
    row("PUBLISH of the largest length to `#`", "MQTT-3.3.2-2", Connected, b"\x30\xff\xff\xff\x7f\x00\x01#"),

    row("PUBACK with flags", "MQTT-2.2.2-2", Connected, &[0x42, 2, 0, 1]),
    row("PUBACK with packet id 0", "MQTT-2.3.1-6", Connected, &[0x40, 2, 0, 0]),
    row("PUBACK too short", "section 2.2.3", Connected, &[0x40, 1, 0]),
    row("PUBACK too long", "section 2.2.3", Connected, &[0x40, 3, 0, 1, 0]),
    row("PUBACK for a SUBSCRIBE", "section 4.3", Subscribed, &[0x40, 2, 0xFC, 0]),
    row("PUBREC with flags", "MQTT-2.2.2-2", Connected, &[0x52, 2, 0, 1]),
    row("PUBREC although nothing has QoS 2", "section 4.3", Connected, &[0x50, 2, 0, 1]),
    row("PUBREL with other flags", "MQTT-3.6.1-1", Connected, &[0x60, 2, 0, 1]),
    row("PUBCOMP with flags", "MQTT-2.2.2-2", Connected, &[0x72, 2, 0, 1]),
    row("PUBCOMP although nothing has QoS 2", "section 4.3", Connected, &[0x70, 2, 0, 1]),

    row("SUBACK with flags", "MQTT-2.2.2-2", Subscribed, &[0x92, 3, 0xFC, 0, 0]),
    row("SUBACK with packet id 0", "MQTT-2.3.1-7", Subscribed, &[0x90, 3, 0, 0, 0]),
    row("SUBACK without code", "section 2.2.3", Subscribed, &[0x90, 2, 0xFC, 0]),
    row("SUBACK with a reserved code", "MQTT-3.9.3-2", Subscribed, &[0x90, 3, 0xFC, 0, 3]),
    row("SUBACK with a code too many", "MQTT-3.8.4-5", Subscribed, &[0x90, 4, 0xFC, 0, 1, 1]),
    row("SUBACK of the largest length", "section 2.2.3", Subscribed, &[0x90, 0xFF, 0xFF, 0xFF, 0x7F]),
    row("UNSUBACK with flags", "MQTT-2.2.2-2", Subscribed, &[0xB1, 2, 0xFC, 0]),
    row("UNSUBACK with packet id 0", "MQTT-2.3.1-7", Subscribed, &[0xB0, 2, 0, 0]),
    row("UNSUBACK too long", "section 2.2.3", Subscribed, &[0xB0, 3, 0xFC, 0, 0]),
    row("UNSUBACK for a SUBSCRIBE", "section 4.3", Subscribed, &[0xB0, 2, 0xFC, 0]),
    row("PINGRESP with flags", "MQTT-2.2.2-2", Connected, &[0xD8, 0]),
    row("PINGRESP with a body", "section 2.2.3", Connected, &[0xD0, 1, 0]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mqtt_codec::session::{Config, Error, Start};
    use mqtt_codec::wire::SessionPresent;

    use super::*;
    use crate::{Item, Script};

    fn engine_error(opening: &Opening) -> Option<Error> {
        let mut config = Config::new();
        if opening.place == FirstIfClean {
            config.start = Start::Transient;
        }
        let mut engine = Script::new(config);
        match opening.place {
            First | FirstIfClean => drop(engine.open()),
            Connected => engine.connect(SessionPresent::Absent),
            Subscribed => {
                engine.connect(SessionPresent::Absent);
                engine.enqueue(Item::subscribe("a"));
                assert_eq!(engine.transmit()[2..4], [0xFC, 0]);
            }
        }
        engine.receive(opening.bytes).err()
    }

    #[test]
    fn each_breaks_the_rule_that_it_names() {
        for opening in openings() {
            match engine_error(opening) {
                Some(Error::Protocol(violation)) => {
                    assert_eq!(violation.id(), opening.rule, "{}", opening.name);
                }
                other => panic!("{}: {other:?}", opening.name),
            }
        }
    }

    #[test]
    fn each_has_a_name_of_its_own() {
        let names: HashSet<_> = openings().iter().map(|opening| opening.name).collect();
        assert_eq!(names.len(), openings().len());
    }
}
