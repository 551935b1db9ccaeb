//! The three ways to start.

use mqtt_codec::session::{Config, Error, Identity, Next, OpenError, Start, Violation};
use mqtt_codec::wire::{
    Binary, ClientId, EncodeError, Login, PacketType, Password, QoS, Retain, SessionPresent,
    TopicName, Utf8Str, Will,
};
use testkit::{AckOrder, Brought, Item, Pair, Script};

use crate::{DISCONNECT, config, secs};

const CLEAN_SESSION: u8 = 0b10;
const WILL: u8 = 0b100;

fn starting(start: Start) -> Config {
    config(|config| config.start = start)
}

/// Clean Session and Will flags of each CONNECT.
fn connects(pair: &Pair) -> Vec<u8> {
    pair.broker
        .arrivals()
        .iter()
        .filter(|arrival| arrival.frame.packet_type() == PacketType::Connect)
        .map(|arrival| arrival.frame.bytes()[9] & (CLEAN_SESSION | WILL))
        .collect()
}

/// A broker with a session of an earlier run: a subscription, and a message that waits.
fn with_leftovers(start: Start) -> Pair {
    let mut earlier = Pair::new(starting(Start::Resume));
    earlier.declare("old");
    earlier.run_for(secs(1));
    earlier.session.disconnect();
    earlier.run_for(secs(1));
    let mut pair = Pair::new(starting(start));
    pair.broker = earlier.broker;
    pair.broker.publish("old", b"leftover", QoS::AtLeastOnce);
    pair.will = Some(b"gone".to_vec());
    pair
}

#[test]
fn mqtt_3_1_2_4_resume_goes_on_with_the_brokers_session_every_time() {
    let mut pair = with_leftovers(Start::Resume);
    pair.run_for(secs(1));
    pair.cut();
    pair.run_for(secs(1));
    assert_eq!(connects(&pair)[1..], [WILL, WILL]);
    assert_eq!(pair.received(), ["leftover"]);
    assert_eq!(pair.log[0], Brought::Connected(SessionPresent::Present));
}

#[test]
fn mqtt_3_1_2_6_a_clean_slate_discards_the_brokers_session_once() {
    let mut pair = with_leftovers(Start::CleanSlate);
    pair.declare("new");
    pair.run_for(secs(1));
    assert_eq!(connects(&pair)[1..], [CLEAN_SESSION, WILL]);
    assert_eq!(pair.received(), [""; 0]);
    assert_eq!(
        pair.broker.subscriptions("c"),
        [("new".to_string(), QoS::AtLeastOnce)]
    );
    // a later connection resumes
    pair.cut();
    pair.broker_publishes("new", "kept");
    pair.run_for(secs(1));
    assert_eq!(connects(&pair)[1..], [CLEAN_SESSION, WILL, WILL]);
    assert_eq!(pair.received(), ["kept"]);
    pair.assert_sound();
}

#[test]
fn a_clean_slate_cut_anywhere_is_repeated_until_it_is_done_and_only_then_resumed() {
    let whole = {
        let mut pair = with_leftovers(Start::CleanSlate);
        pair.declare("new");
        pair.enqueue(Item::numbered(1));
        pair.run_to_idle();
        pair
    };
    let run = |cut: fn(&mut Pair, usize), at: usize| {
        let mut pair = with_leftovers(Start::CleanSlate);
        pair.declare("new");
        pair.enqueue(Item::numbered(1));
        cut(&mut pair, at);
        pair.run_to_idle();
        pair.run_for(secs(1));
        pair.assert_sound();
        assert_eq!(pair.received(), [""; 0], "a leftover");
        assert_eq!(pair.acknowledged(), [b"1"]);
        let subscriptions = pair.broker.subscriptions("c");
        assert_eq!(subscriptions, [("new".to_string(), QoS::AtLeastOnce)]);
        assert_eq!(connects(&pair).last(), Some(&WILL));
        assert!(connects(&pair)[1..].contains(&CLEAN_SESSION));
    };
    for at in 1..whole.arrived_up {
        run(|pair, at| pair.network.cut_up_at = Some(at), at);
    }
    for at in 1..whole.arrived_down {
        run(|pair, at| pair.network.cut_down_at = Some(at), at);
    }
}

#[test]
fn the_clean_connection_of_a_clean_slate_carries_nothing_but_connect_and_disconnect() {
    let mut script = Script::new(starting(Start::CleanSlate));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    let connect = script.open();
    assert_eq!(connect[9], CLEAN_SESSION);
    assert_eq!(script.receive(&[0x20, 2, 0, 0]), Ok(vec![]));
    assert!(!script.session.is_connected());
    assert!(!script.session.wants_renewal());
    assert_eq!(script.transmit(), DISCONNECT);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Now);
    assert_eq!(script.open()[9], 0);
}

#[test]
fn transient_is_clean_every_time_and_delivers_again_as_new() {
    let mut pair = with_leftovers(Start::Transient);
    pair.declare("new");
    pair.broker.ack_order = AckOrder::Held;
    pair.enqueue(Item::numbered(1));
    pair.run_for(secs(1));
    pair.broker.ack_order = AckOrder::AsReceived;
    pair.cut();
    pair.run_to_idle();
    pair.assert_sound();
    let clean_with_will = CLEAN_SESSION | WILL;
    assert_eq!(connects(&pair)[1..], [clean_with_will, clean_with_will]);
    assert_eq!(
        pair.broker.published(),
        [b"leftover".to_vec(), b"1".into(), b"1".into()][1..]
    );
    assert_eq!(pair.tap.repeats(), 0);
    assert_eq!(pair.broker.subscriptions("c").len(), 1);
}

#[test]
fn mqtt_3_2_2_1_a_session_after_a_clean_connect_is_a_violation() {
    for start in [Start::CleanSlate, Start::Transient] {
        let mut script = Script::new(starting(start));
        script.open();
        let error = Error::Protocol(Violation::SessionAfterClean);
        assert_eq!(script.receive(&[0x20, 2, 1, 0]), Err(error));
    }
}

/// Its CONNACK may have been lost, and with it the news that the session is another one.
#[test]
fn a_session_that_is_present_may_be_new_behind_a_connect_without_answer() {
    let present = [0x20, 2, 1, 0];
    let mut script = Script::connected(starting(Start::Resume));
    script.close();
    script.connect(SessionPresent::Present);
    assert!(!script.session.may_be_new());
    script.close();
    script.open();
    script.close();
    // an attempt that is refused takes no doubt away
    script.open();
    script.receive(&[0x20, 2, 0, 3]).unwrap_err();
    script.close();
    script.open();
    script.receive(&present).unwrap();
    assert!(script.session.may_be_new());
    script.close();
    script.open();
    script.receive(&[0x20, 2, 0, 3]).unwrap_err();
    script.close();
    script.connect(SessionPresent::Present);
    assert!(!script.session.may_be_new());
}

fn anonymous() -> Identity<'static> {
    Identity {
        client_id: ClientId::EMPTY,
        login: None,
        will: None,
    }
}

#[test]
fn mqtt_3_1_3_7_without_client_id_only_a_transient_session_connects() {
    let mut script = Script::new(starting(Start::Resume));
    let now = script.now;
    let result = script.session.open(now, &anonymous(), &mut [0; 64]);
    assert_eq!(result, Err(OpenError::ClientIdRequired));
    let mut script = Script::new(starting(Start::Transient));
    script.open_as(&anonymous());
}

#[test]
fn a_buffer_too_small_for_connect_is_told_and_nothing_has_begun() {
    let mut script = Script::new(Config::new());
    let identity = Identity {
        client_id: ClientId::new("c").unwrap(),
        ..anonymous()
    };
    let now = script.now;
    let result = script.session.open(now, &identity, &mut [0; 14]);
    let needed = 15;
    assert_eq!(
        result,
        Err(OpenError::Encode(EncodeError::BufferTooSmall { needed }))
    );
    assert_eq!(script.session.poll_timeout(script.now), None);
    script.connect(SessionPresent::Absent);
}

#[test]
fn mqtt_3_1_0_1_nothing_is_sent_between_connect_and_connack() {
    let mut script = Script::new(Config::new());
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::subscribe("a"));
    let connect = script.open();
    assert_eq!(
        connect[..10],
        [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0]
    );
    assert_eq!(connect[10..], [0, 60, 0, 1, b'c']);
    script.wait(secs(9)).unwrap();
    assert_eq!(script.transmit(), []);
    assert!(!script.session.accepts_at_most_once());
}

#[test]
fn connect_is_as_long_as_was_told_before() {
    let will = Will {
        topic: TopicName::new("will").unwrap(),
        payload: Binary::new(&[7; 200]).unwrap(),
        qos: QoS::AtMostOnce,
        retain: Retain::No,
    };
    let login = Login {
        user_name: Utf8Str::new("user").unwrap(),
        password: Password::new(b"secret"),
    };
    for (login, will) in [(None, None), (Some(login), None), (Some(login), Some(will))] {
        let identity = Identity {
            client_id: ClientId::new("c").unwrap(),
            login,
            will,
        };
        let connect = Script::new(Config::new()).open_as(&identity);
        assert_eq!(connect.len(), identity.connect_len());
    }
}
