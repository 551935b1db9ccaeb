//! Writes the seed corpora: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("decode", decode()),
        ("round_trip", round_trip()),
        ("chunking", chunking()),
        ("session_ops", session_ops()),
        ("topic_match", topic_match()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn named<const N: usize>(seeds: [(&str, &[u8]); N]) -> Seeds {
    seeds
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect()
}

/// A packet of each type, and openings that break a rule.
fn decode() -> Seeds {
    let mut all = named([
        ("connect", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"),
        (
            "connect_with_everything",
            b"\x10\x25\x00\x04MQTT\x04\xee\x00\x3c\x00\x03abc\x00\x04will\x00\x04gone\x00\x04user\x00\x02pw",
        ),
        ("connack", b"\x20\x02\x01\x00"),
        ("connack_refused", b"\x20\x02\x00\x05"),
        ("publish_qos_0", b"\x31\x09\x00\x03a/bdata"),
        ("publish_qos_1", b"\x3a\x0b\x00\x03a/b\x00\x0adata"),
        ("publish_qos_2", b"\x34\x0b\x00\x03a/b\x00\x0adata"),
        ("publish_utf_8", "\x30\x0a\x00\x06\u{e9}\u{20ac}ahi".as_bytes()),
        ("puback", b"\x40\x02\x00\x0a"),
        ("pubrec_pubrel_pubcomp", b"\x50\x02\x00\x0a\x62\x02\x00\x0a\x70\x02\x00\x0a"),
        ("subscribe", b"\x82\x0e\x00\x0a\x00\x03a/#\x01\x00\x03+/b\x00"),
        ("suback", b"\x90\x04\x00\x0a\x01\x80"),
        ("unsubscribe", b"\xa2\x0c\x00\x0a\x00\x03a/#\x00\x03+/b"),
        ("unsuback", b"\xb0\x02\x00\x0a"),
        ("ping", b"\xc0\x00\xd0\x00"),
        ("disconnect", b"\xe0\x00"),
        ("longer_length", b"\x40\x82\x80\x00\x00\x0a"),
    ]);
    all.extend(hostile());
    all
}

fn hostile() -> Seeds {
    named([
        ("hostile_type_0", b"\x00\x00"),
        ("hostile_type_15", b"\xf0\x00"),
        ("hostile_length_of_five_bytes", b"\x30\xff\xff\xff\xff\x7f"),
        ("hostile_largest_length", b"\x30\xff\xff\xff\x7f"),
        ("hostile_qos_3", b"\x36\x05\x00\x01a\x00\x01"),
        ("hostile_dup_at_qos_0", b"\x38\x03\x00\x01a"),
        ("hostile_id_0", b"\x32\x05\x00\x01a\x00\x00"),
        ("hostile_topic_past_end", b"\x30\x04\x00\x09ab"),
        ("hostile_topic_empty", b"\x30\x02\x00\x00"),
        ("hostile_topic_wildcard", b"\x30\x05\x00\x03a/#"),
        ("hostile_topic_nul", b"\x30\x05\x00\x03a\x00b"),
        ("hostile_topic_surrogate", b"\x30\x05\x00\x03\xed\xa0\x80"),
        ("hostile_puback_flags", b"\x42\x02\x00\x0a"),
        ("hostile_puback_long", b"\x40\x03\x00\x0a\x00"),
        ("hostile_suback_code", b"\x90\x03\x00\x0a\x03"),
        ("hostile_suback_empty", b"\x90\x02\x00\x0a"),
        ("hostile_connack_flags", b"\x20\x02\x02\x00"),
        ("hostile_connack_session_in_refusal", b"\x20\x02\x01\x05"),
        ("hostile_filter", b"\x82\x08\x00\x0a\x00\x03a#b\x01"),
    ])
}

/// The number of the packet type, then its fields; strings with a length of two bytes.
fn round_trip() -> Seeds {
    named([
        ("connect", b"\x00\x00\x00\x01c\x00\x3c\x00\x00"),
        (
            "connect_with_everything",
            b"\x00\x01\x00\x03abc\x00\x3c\x01\x02\x01\x00\x04will\x00\x04gone\x01\x00\x04user\x01\x00\x02pw",
        ),
        ("connack", b"\x01\x00\x01"),
        ("connack_refused", b"\x01\x05"),
        ("publish_qos_0", b"\x02\x00\x00\x01\x00\x03a/bdata"),
        ("publish_qos_1", b"\x02\x01\x01\x00\x00\x0a\x00\x03a/bdata"),
        ("publish_qos_2", b"\x02\x02\x00\x00\x00\x0a\x00\x03a/b"),
        ("puback", b"\x03\x00\x0a"),
        ("pubrec", b"\x04\x00\x0a"),
        ("pubrel", b"\x05\x00\x0a"),
        ("pubcomp", b"\x06\x00\x0a"),
        ("subscribe", b"\x07\x00\x0a\x01\x00\x03a/#\x00\x00\x03+/b"),
        ("suback", b"\x08\x00\x0a\x01\x80\x00"),
        ("unsubscribe", b"\x09\x00\x0a\x00\x03a/#\x00\x03+/b"),
        ("unsuback", b"\x0a\x00\x0a"),
        ("pingreq", b"\x0b"),
        ("pingresp", b"\x0c"),
        ("disconnect", b"\x0d"),
    ])
}

/// Receive buffer, limit and policy; the number of pieces and their lengths; then the broker's bytes.
fn chunking() -> Seeds {
    const CONNACK: &[u8] = b"\x20\x02\x00\x00";
    let long_message = |first: u8, id: &[u8]| {
        let payload = vec![b'x'; 150];
        let length = (3 + id.len() + payload.len()) as u8;
        let mut packet = vec![first, length & 0x7F | 0x80, length >> 7, 0, 1, b't'];
        packet.extend(id);
        packet.extend(payload);
        packet
    };
    let long_topic = |first: u8| {
        let mut packet = vec![first, 54, 0, 50];
        packet.extend([b't'; 50]);
        packet.extend([0, 7]);
        packet
    };
    let mut all = Seeds::new();
    let mut add = |name: &str, settings: [u8; 3], packets: &[&[u8]]| {
        let mut seed = settings.to_vec();
        seed.extend([3, 1, 7, 3]);
        seed.extend(CONNACK);
        seed.extend(packets.concat());
        all.push((name.to_owned(), seed));
    };
    let whole = [2, 0, 0];
    let small = [0, 0, 0];
    let after = b"\x30\x04\x00\x01tz";
    add(
        "messages",
        whole,
        &[b"\x30\x04\x00\x01ta", b"\x32\x06\x00\x01t\x00\x07b", after],
    );
    add(
        "acknowledgements",
        whole,
        &[
            b"\x90\x04\xfc\x00\x01\x80",
            b"\x40\x02\x00\x01\x40\x02\x00\x02",
            b"\xb0\x02\xfc\x01",
        ],
    );
    add(
        "streamed",
        whole,
        &[
            &long_message(0x30, b""),
            &long_message(0x32, b"\x00\x07"),
            after,
        ],
    );
    add(
        "streamed_small_buffer",
        small,
        &[&long_message(0x3A, b"\x00\x07"), after],
    );
    add(
        "oversized",
        [0, 1, 0],
        &[&long_message(0x32, b"\x00\x07"), after],
    );
    add(
        "oversized_closes",
        [0, 1, 1],
        &[&long_message(0x32, b"\x00\x07"), after],
    );
    add(
        "endless_topic",
        small,
        &[&long_topic(0x32), after, &long_topic(0x30), after],
    );
    add("pings", whole, &[b"\xd0\x00\xd0\x00", after]);
    add("session_present", whole, &[b"\x20\x02\x01\x00"]);
    for (name, bytes) in hostile() {
        add(&name, small, &[after, &bytes, after]);
    }
    all
}

/// Settings, then operations by their number in `session_ops::step`.
fn session_ops() -> Seeds {
    const DEFAULTS: [u8; 8] = [0; 8];
    const PUBLISH: &[u8] = &[0, 0, 3];
    const OPEN: &[u8] = &[4];
    const ACCEPT: &[u8] = &[5];
    const DELIVER: &[u8] = &[12, 255];
    const RENEWED: &[u8] = &[24, 0];
    const TRANSMIT: &[u8] = &[13, 255];
    const WRITE: &[u8] = &[14, 255];
    const CUT: &[u8] = &[17];
    const EXCHANGE: &[u8] = &[25, 3];
    let connect = [OPEN, WRITE, ACCEPT, DELIVER, RENEWED].concat();
    let connect = connect.as_slice();
    let publish_1 = [8, 0b010, 5];
    let publish_1_long = [8, 0b010, 200];
    let mut all = Seeds::new();
    let mut add = |name: &str, settings: [u8; 8], steps: &[&[u8]]| {
        let mut seed = settings.to_vec();
        seed.extend(steps.concat());
        all.push((name.to_owned(), seed));
    };
    add(
        "publish",
        DEFAULTS,
        &[connect, PUBLISH, TRANSMIT, WRITE, &[9, 0], DELIVER],
    );
    add(
        "resume",
        DEFAULTS,
        &[
            connect, PUBLISH, PUBLISH, TRANSMIT, WRITE, CUT, connect, TRANSMIT, WRITE,
        ],
    );
    add(
        "cut_within_publish",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            PUBLISH,
            &[13, 12],
            &[14, 10],
            CUT,
            connect,
        ],
    );
    add(
        "forgotten_session",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            TRANSMIT,
            WRITE,
            CUT,
            &[7],
            connect,
            EXCHANGE,
        ],
    );
    add(
        "window_of_one",
        [0, 0, 1, 0, 0, 0, 0, 0],
        &[PUBLISH, PUBLISH, connect, EXCHANGE, EXCHANGE],
    );
    add(
        "renewal",
        DEFAULTS,
        &[
            OPEN,
            WRITE,
            ACCEPT,
            DELIVER,
            &[24, 1, 2],
            RENEWED,
            TRANSMIT,
            WRITE,
            &[9, 0],
            DELIVER,
        ],
    );
    add(
        "subscribe_unsubscribe",
        DEFAULTS,
        &[connect, &[1, 2, 2, 1], EXCHANGE],
    );
    add(
        "receive_out_of_order",
        DEFAULTS,
        &[
            connect,
            &publish_1,
            &publish_1,
            DELIVER,
            &[18, 1],
            TRANSMIT,
            &[18, 0],
            TRANSMIT,
        ],
    );
    add(
        "give_up",
        DEFAULTS,
        &[
            connect,
            &publish_1,
            &publish_1,
            DELIVER,
            &[19, 0, 18, 1],
            TRANSMIT,
        ],
    );
    add(
        "blocked",
        DEFAULTS,
        &[
            connect,
            &publish_1,
            &publish_1,
            &publish_1,
            &publish_1,
            DELIVER,
            &[18, 0],
            TRANSMIT,
            DELIVER,
        ],
    );
    add(
        "streamed",
        DEFAULTS,
        &[
            connect,
            &publish_1_long,
            &[12, 100, 18, 0],
            TRANSMIT,
            DELIVER,
            TRANSMIT,
        ],
    );
    add(
        "oversized",
        [0, 0, 0, 0, 1, 0, 0, 0],
        &[connect, &publish_1_long, DELIVER, TRANSMIT],
    );
    add(
        "small_buffer",
        [0, 0, 0, 1, 0, 0, 0, 0],
        &[connect, &[8, 0b011, 40], DELIVER, TRANSMIT],
    );
    add(
        "at_most_once",
        DEFAULTS,
        &[connect, &[3, 20, 13, 9], PUBLISH, TRANSMIT, WRITE],
    );
    add(
        "clean_slate",
        [1, 0, 0, 0, 0, 0, 0, 0],
        &[
            PUBLISH, OPEN, WRITE, ACCEPT, DELIVER, TRANSMIT, WRITE, connect, EXCHANGE,
        ],
    );
    add(
        "transient",
        [2, 0, 0, 0, 0, 0, 0, 0],
        &[PUBLISH, connect, TRANSMIT, WRITE, CUT, connect, EXCHANGE],
    );
    add(
        "poison",
        [0, 0, 0, 0, 0, 0, 1, 0],
        &[
            PUBLISH, PUBLISH, connect, TRANSMIT, WRITE, CUT, connect, EXCHANGE,
        ],
    );
    add(
        "abandon_half_sent",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            PUBLISH,
            &[13, 5, 23, 0],
            connect,
            EXCHANGE,
        ],
    );
    add(
        "abandon_sent",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            PUBLISH,
            TRANSMIT,
            WRITE,
            &[23, 0],
            EXCHANGE,
            EXCHANGE,
            EXCHANGE,
        ],
    );
    add(
        "pings",
        [0, 1, 0, 0, 0, 0, 0, 0],
        &[
            connect,
            &[15, 0, 80],
            TRANSMIT,
            WRITE,
            &[10],
            DELIVER,
            &[16, 0, 80],
        ],
    );
    add(
        "dead_link",
        [0, 1, 0, 0, 0, 0, 0, 0],
        &[connect, &[16, 0, 80, 16, 0, 60]],
    );
    add(
        "ack_timeout",
        [0, 0, 0, 0, 0, 0, 0, 1],
        &[connect, PUBLISH, TRANSMIT, WRITE, &[15, 0, 0, 15, 2, 0]],
    );
    add(
        "stall",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            TRANSMIT,
            WRITE,
            &[20, 15, 0, 0, 15, 4, 0],
            &publish_1,
            DELIVER,
            &[25, 2],
            EXCHANGE,
        ],
    );
    add(
        "disconnect",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            &[13, 5, 22],
            TRANSMIT,
            WRITE,
            connect,
            EXCHANGE,
        ],
    );
    add(
        "restart",
        DEFAULTS,
        &[
            connect,
            PUBLISH,
            PUBLISH,
            TRANSMIT,
            WRITE,
            &[9, 0],
            DELIVER,
            &[25, 0],
            connect,
            EXCHANGE,
        ],
    );
    for (name, bytes) in hostile() {
        let raw = [&[11, bytes.len() as u8], bytes.as_slice()].concat();
        add(
            &name,
            DEFAULTS,
            &[connect, PUBLISH, TRANSMIT, WRITE, &raw, DELIVER],
        );
    }
    all
}

fn topic_match() -> Seeds {
    named([
        ("exact", b"sport/tennis/player1\nsport/tennis/player1"),
        (
            "multi_level",
            b"sport/tennis/player1/#\nsport/tennis/player1/ranking",
        ),
        ("multi_level_parent", b"sport/#\nsport"),
        ("single_level", b"sport/+\nsport/"),
        ("single_level_middle", b"+/+/a\n/finance/a"),
        ("leading_separator", b"/+\n/finance"),
        ("dollar", b"+/monitor/Clients\n$SYS/monitor/Clients"),
        ("dollar_exact", b"$SYS/#\n$SYS/monitor"),
        ("shared", b"$share/group/a/+\na/b"),
        ("shared_empty_name", b"$share//a\na"),
        ("shared_no_filter", b"$share/group\na"),
        ("misplaced_multi", b"a/#/b\na/c/b"),
        ("misplaced_single", b"a+/b\na/b"),
        ("empty_levels", b"a//+/\na//b/"),
        ("nul", b"a\0b\na"),
        ("utf_8", "caf\u{e9}/+\ncaf\u{e9}/\u{20ac}".as_bytes()),
    ])
}
