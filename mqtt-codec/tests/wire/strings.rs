use mqtt_codec::wire::{
    Binary, ClientId, PacketId, Password, QoS, StringError, TopicError, TopicName, Utf8Str,
};

#[test]
fn topic_names_are_one_to_65_535_bytes_mqtt_4_7_3_1_and_4_7_3_3() {
    let longest = "a".repeat(65_535);
    let too_long = "a".repeat(65_536);
    assert_eq!(TopicName::new(""), Err(TopicError::Empty));
    assert_eq!(TopicName::new(&longest).unwrap().as_str(), longest);
    assert_eq!(TopicName::new(&too_long), Err(TopicError::TooLong));
    for name in [
        " ",
        "/",
        "//",
        "a",
        "$SYS/x",
        "ä/€/😀",
        "\u{FEFF}a",
        "\u{1}",
    ] {
        assert_eq!(TopicName::new(name).unwrap().as_str(), name);
        assert_eq!(TopicName::new(name).unwrap().as_bytes(), name.as_bytes());
        assert_eq!(TopicName::new(name).unwrap().to_string(), name);
    }
}

#[test]
fn finds_forbidden_characters_wherever_they_are_mqtt_4_7_1_1_and_4_7_3_2() {
    for filler in ["a", "\x7F", "\x01", "*", "\"", "$", ",", "ä", "\u{80}"] {
        for len in 0..40 {
            for position in 0..=len {
                for (forbidden, error) in [
                    ("\0", TopicError::Nul),
                    ("+", TopicError::Wildcard),
                    ("#", TopicError::Wildcard),
                ] {
                    let before = filler.repeat(position);
                    let after = filler.repeat(len - position);
                    let name = format!("{before}{forbidden}{after}");
                    assert_eq!(TopicName::new(&name), Err(error), "{name:?}");
                }
            }
        }
    }
}

#[test]
fn every_other_byte_is_allowed_in_a_topic_name() {
    for character in ('\u{1}'..='\u{17F}').filter(|c| !"+#".contains(*c)) {
        for len in 1..20 {
            let name = character.to_string().repeat(len);
            assert_eq!(TopicName::new(&name).map(TopicName::as_str), Ok(&*name));
        }
    }
}

#[test]
fn topic_errors_name_their_rule() {
    for (error, id) in [
        (TopicError::Empty, "MQTT-4.7.3-1"),
        (TopicError::TooLong, "MQTT-4.7.3-3"),
        (TopicError::Nul, "MQTT-4.7.3-2"),
        (TopicError::Wildcard, "MQTT-4.7.1-1"),
    ] {
        assert_eq!(error.id(), id);
        assert!(error.to_string().ends_with(&format!(" [{id}]")));
    }
}

#[test]
fn strings_are_up_to_65_535_bytes_without_nul_mqtt_1_5_3_2() {
    let longest = "a".repeat(65_535);
    let too_long = "a".repeat(65_536);
    assert_eq!(Utf8Str::new("").map(Utf8Str::as_str), Ok(""));
    assert_eq!(Utf8Str::new(&longest).map(Utf8Str::as_str), Ok(&*longest));
    assert_eq!(Utf8Str::new(&too_long), Err(StringError::TooLong));
    assert_eq!(Utf8Str::new("a\0"), Err(StringError::Nul));
    assert_eq!(ClientId::new("a\0"), Err(StringError::Nul));
    assert_eq!(ClientId::new(&too_long), Err(StringError::TooLong));
    assert_eq!(ClientId::new("gw 1/ä").map(ClientId::as_str), Ok("gw 1/ä"));
    assert!(ClientId::new("").unwrap().is_empty());
    assert!(StringError::Nul.to_string().ends_with("[MQTT-1.5.3-2]"));
    assert!(
        StringError::TooLong
            .to_string()
            .ends_with("[section 1.5.3]")
    );
}

#[test]
fn byte_strings_are_up_to_65_535_bytes() {
    let bytes = vec![0; 65_536];
    assert_eq!(Binary::new(&bytes), None);
    assert_eq!(Password::new(&bytes), None);
    assert!(Binary::new(&bytes[1..]).is_some());
    assert!(Password::new(&bytes[1..]).is_some());
}

#[test]
fn packet_ids_are_never_zero_mqtt_2_3_1_1() {
    assert_eq!(PacketId::new(0), None);
    for value in [1, 255, 256, 65_535] {
        assert_eq!(PacketId::new(value).map(PacketId::get), Some(value));
    }
}

#[test]
fn there_is_no_qos_3_mqtt_3_3_1_4() {
    for bits in 0..=255 {
        assert_eq!(QoS::from_bits(bits).is_some(), bits < 3);
    }
    assert!(QoS::AtMostOnce < QoS::AtLeastOnce && QoS::AtLeastOnce < QoS::ExactlyOnce);
}
