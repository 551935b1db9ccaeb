use mqtt_codec::wire::{
    Binary, CleanSession, ClientId, ClientIdRequired, ConnAck, Connect, ConnectRefusal, Login,
    Packet, Password, QoS, Retain, Utf8Str, Will,
};

use super::vectors::{client_id, topic};

#[test]
fn a_persistent_session_needs_a_client_id_mqtt_3_1_3_7() {
    let refused = Connect::new(ClientId::EMPTY, CleanSession::Persistent);
    assert_eq!(refused, Err(ClientIdRequired));
    assert!(refused.unwrap_err().to_string().contains("MQTT-3.1.3-7"));
    assert!(Connect::new(ClientId::EMPTY, CleanSession::Clean).is_ok());
    assert!(Connect::new(client_id("c"), CleanSession::Persistent).is_ok());
}

#[test]
fn debug_does_not_show_the_password() {
    let mut connect = Connect::new(client_id("c"), CleanSession::Clean).unwrap();
    connect.login = Some(Login {
        user_name: Utf8Str::new("somebody").unwrap(),
        password: Password::new(b"sesame"),
    });
    for shown in [
        format!("{connect:?}"),
        format!("{connect:#?}"),
        format!("{:?}", Packet::Connect(connect)),
    ] {
        assert!(shown.contains("somebody"), "{shown}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(!shown.contains("115, 101, 115"), "{shown}");
    }
}

#[test]
fn every_legal_combination_of_connect_flags_survives_mqtt_3_1_2_3() {
    let mut seen = Vec::new();
    for clean_session in [CleanSession::Clean, CleanSession::Persistent] {
        for will in wills() {
            for login in logins() {
                let mut connect = Connect::new(client_id("c"), clean_session).unwrap();
                connect.will = will;
                connect.login = login;
                let mut out = [0; 64];
                let len = connect.encode(&mut out).unwrap();
                assert_eq!(connect.encoded_len(), Ok(len));
                let expected = Ok(Some((Packet::Connect(connect), len)));
                assert_eq!(Packet::decode(&out[..len]), expected);
                seen.push(out[9]);
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2 * 7 * 3);
}

fn wills() -> Vec<Option<Will<'static>>> {
    let mut wills = vec![None];
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for retain in [Retain::No, Retain::Yes] {
            wills.push(Some(Will {
                topic: topic("w"),
                payload: Binary::new(b"gone").unwrap(),
                qos,
                retain,
            }));
        }
    }
    wills
}

fn logins() -> [Option<Login<'static>>; 3] {
    let user_name = Utf8Str::new("u").unwrap();
    let login = |password| Login {
        user_name,
        password,
    };
    [None, Some(login(None)), Some(login(Password::new(b"")))]
}

#[test]
fn fields_of_the_greatest_length_survive() {
    let long = "x".repeat(65_535);
    let mut connect = Connect::new(client_id(&long), CleanSession::Clean).unwrap();
    connect.will = Some(Will {
        topic: topic(&long),
        payload: Binary::new(long.as_bytes()).unwrap(),
        qos: QoS::AtMostOnce,
        retain: Retain::No,
    });
    connect.login = Some(Login {
        user_name: Utf8Str::new(&long).unwrap(),
        password: Password::new(long.as_bytes()),
    });
    let mut out = vec![0; connect.encoded_len().unwrap()];
    assert_eq!(out.len(), 1 + 3 + 10 + 5 * 65_537);
    assert_eq!(connect.encode(&mut out), Ok(out.len()));
    let expected = Ok(Some((Packet::Connect(connect), out.len())));
    assert_eq!(Packet::decode(&out), expected);
}

#[test]
fn return_codes_have_a_meaning_table_3_1() {
    for code in 0..=255 {
        let refusal = ConnectRefusal::from_code(code);
        assert_eq!(refusal.is_some(), (1..=5).contains(&code), "{code}");
        if let Some(refusal) = refusal {
            assert_eq!(refusal.code(), code);
            assert!(!refusal.to_string().is_empty());
            assert_eq!(ConnAck::Refused(refusal).to_bytes(), [0x20, 2, 0, code]);
        }
    }
}
