use mqtt_codec::wire::{FilterError, TopicFilter};

use super::vectors::topic;

/// Filter, topics that it matches, topics that it does not.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const MATCHING: [Row; 22] = [
    ("a", &["a"], &["b", "A", "aa", "a/", "/a", "a/b"]),
    ("a/b", &["a/b"], &["a", "a/b/c", "a/B", "a/b/"]),
    // Section 4.7.1.2.
    (
        "sport/tennis/player1/#",
        &[
            "sport/tennis/player1",
            "sport/tennis/player1/ranking",
            "sport/tennis/player1/score/wimbledon",
            "sport/tennis/player1/",
        ],
        &[
            "sport/tennis/player2",
            "sport/tennis",
            "sport/tennis/player11",
        ],
    ),
    (
        "sport/#",
        &["sport", "sport/", "sport/a/b"],
        &["sports", "/sport"],
    ),
    ("#", &["a", "/", "a/b", "//"], &["$SYS", "$SYS/a", "$"]),
    // Section 4.7.1.3.
    (
        "sport/tennis/+",
        &["sport/tennis/player1", "sport/tennis/"],
        &["sport/tennis", "sport/tennis/player1/ranking"],
    ),
    ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/"]),
    ("+", &["finance", "a"], &["/finance", "a/", "$SYS"]),
    (
        "+/+",
        &["/finance", "/", "a/b"],
        &["finance", "a/b/c", "$a/b"],
    ),
    ("/+", &["/finance", "/"], &["finance", "a/b", "/a/b"]),
    (
        "+/tennis/#",
        &["a/tennis", "/tennis/x"],
        &["$a/tennis", "tennis"],
    ),
    ("a/+/c", &["a/b/c", "a//c", "a/$x/c"], &["a/c", "a/b/b/c"]),
    ("/", &["/"], &["", "//", "a/"]),
    ("a//b", &["a//b"], &["a/b", "a/x/b"]),
    ("+/+/#", &["a/b", "/", "a/b/c/d"], &["a"]),
    // Section 4.7.2.
    ("$SYS/#", &["$SYS", "$SYS/a/b"], &["SYS", "$SYSTEM", "a"]),
    (
        "$SYS/monitor/+",
        &["$SYS/monitor/Clients"],
        &["$SYS/monitor"],
    ),
    (
        "+/monitor/Clients",
        &["a/monitor/Clients"],
        &["$SYS/monitor/Clients"],
    ),
    ("$SYS/+/#", &["$SYS/a", "$SYS/a/b", "$SYS/"], &["$SYS"]),
    // Shared subscriptions.
    ("$share/g/a/+", &["a/b"], &["$share/g/a/b", "a", "b/b"]),
    ("$share/g/#", &["a", "a/b"], &["$share/g/a", "$SYS/a"]),
    ("$share/g/$SYS/#", &["$SYS/a"], &["a"]),
];

#[test]
fn matches_the_topics_of_the_table_mqtt_4_7_1_2_and_4_7_1_3_and_4_7_2_1() {
    for (filter, matched, unmatched) in MATCHING {
        let subscription = TopicFilter::new(filter).unwrap();
        assert_eq!(subscription.as_str(), filter);
        for name in matched {
            assert!(subscription.matches(topic(name)), "{filter} on {name}");
        }
        for name in unmatched.iter().filter(|name| !name.is_empty()) {
            assert!(!subscription.matches(topic(name)), "{filter} on {name}");
        }
    }
}

#[test]
fn accepts_wildcards_that_are_whole_levels() {
    for filter in [
        "+",
        "#",
        "+/#",
        "/#",
        "/+",
        "+/",
        "a/+/b/+/#",
        "+/+/+",
        "$share",
        "$shared/+",
        "$SHARE/+/#",
        "$share/g/+",
        "$share/g//",
        "ä/€/+",
        " ",
        "//",
        "/",
    ] {
        assert!(TopicFilter::new(filter).is_ok(), "{filter}");
    }
}

#[test]
fn rejects_malformed_filters_by_rule() {
    use FilterError::{Empty, MultiLevelWildcard, Nul, SharedSubscription, SingleLevelWildcard};
    for (filter, error, id) in [
        ("", Empty, "MQTT-4.7.3-1"),
        ("a\0", Nul, "MQTT-4.7.3-2"),
        ("\0", Nul, "MQTT-4.7.3-2"),
        ("sport/tennis#", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("sport/tennis/#/ranking", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("#/", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("##", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("#a", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("+#", MultiLevelWildcard, "MQTT-4.7.1-2"),
        ("sport+", SingleLevelWildcard, "MQTT-4.7.1-3"),
        ("a/+b/c", SingleLevelWildcard, "MQTT-4.7.1-3"),
        ("++", SingleLevelWildcard, "MQTT-4.7.1-3"),
        ("$share/", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share/g", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share/g/", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share//a", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share/+/a", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share/g#/a", SharedSubscription, "MQTT 5.0 section 4.8.2"),
        ("$share/g/a+", SingleLevelWildcard, "MQTT-4.7.1-3"),
        ("$share/g/#/a", MultiLevelWildcard, "MQTT-4.7.1-2"),
    ] {
        assert_eq!(TopicFilter::new(filter), Err(error), "{filter:?}");
        assert_eq!(error.id(), id, "{filter:?}");
        assert!(error.to_string().ends_with(&format!(" [{id}]")));
    }
}

#[test]
fn rejects_filters_over_65_535_bytes_mqtt_4_7_3_3() {
    let longest = "a".repeat(65_535);
    let too_long = "a".repeat(65_536);
    assert!(TopicFilter::new(&longest).is_ok());
    let refused = TopicFilter::new(&too_long).unwrap_err();
    assert_eq!(
        (refused, refused.id()),
        (FilterError::TooLong, "MQTT-4.7.3-3")
    );
}
