//! Slow consumers: reading pauses, goes on when an answer is awaited, and makes good for what it discarded.

use mqtt_codec::session::{Config, Event, Next, Start};
use mqtt_codec::wire::SessionPresent;
use testkit::{Acknowledging, Brought, Item, Pair, Script};

use crate::{DISCONNECT, config, millis, secs};

/// A QoS 1 PUBLISH to `t`.
fn message(id: u8) -> [u8; 7] {
    [0x32, 5, 0, 1, b't', 0, id]
}

const MESSAGE_QOS0: [u8; 5] = [0x30, 3, 0, 1, b't'];
const DISCARDED: Brought = Brought::Discarded {
    remaining_length: 5,
};

/// A session that has read on after a stall.
fn stalled(config: Config) -> Script {
    let mut script = Script::connected(config);
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.handle_paused();
    script.wait(secs(10)).unwrap();
    assert!(matches!(script.event(), Some(Event::ReadOn)));
    script
}

#[test]
fn reading_may_stay_paused_while_nothing_is_awaited() {
    let mut script = Script::connected(Config::new());
    script.session.handle_paused();
    script.wait(secs(10_000)).unwrap();
    assert!(script.event().is_none());
}

#[test]
fn reading_goes_on_after_the_stall_timeout_when_an_answer_is_awaited() {
    for item in [
        Item::numbered(1),
        Item::subscribe("a"),
        Item::unsubscribe("a"),
    ] {
        let mut script = Script::connected(Config::new());
        script.session.handle_paused();
        script.wait(secs(30)).unwrap();
        script.enqueue(item);
        script.transmit();
        script.wait(millis(9_999)).unwrap();
        assert!(script.event().is_none());
        script.wait(millis(1)).unwrap();
        assert!(matches!(script.event(), Some(Event::ReadOn)));
    }
}

#[test]
fn reading_a_while_begins_the_stall_timeout_anew() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    for _ in 0..10 {
        script.session.handle_paused();
        script.wait(secs(9)).unwrap();
        script.session.handle_resumed(script.now);
        script.wait(millis(1)).unwrap();
    }
    assert!(script.event().is_none());
}

#[test]
fn while_discarding_qos1_is_skipped_unacknowledged_and_all_else_goes_on() {
    let mut script = stalled(Config::new());
    assert_eq!(script.receive(&message(1)), Ok(vec![DISCARDED]));
    let brought = script.receive(&MESSAGE_QOS0).unwrap();
    assert!(matches!(brought[..], [Brought::Message { .. }]));
    let brought = script.receive(&[0x40, 2, 0, 1]).unwrap();
    assert!(matches!(brought[..], [Brought::Acknowledged(..)]));
    assert_eq!(script.transmit(), []);
}

#[test]
fn while_discarding_a_large_message_is_skipped_to_its_end() {
    let mut script = stalled(config(|config| config.receive_buffer = 16));
    let head = [0x32, 105, 0, 1, b't', 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let discarded = Brought::Discarded {
        remaining_length: 105,
    };
    assert_eq!(script.receive(&head), Ok(vec![discarded]));
    for _ in 0..13 {
        assert_eq!(script.receive(&[0xFF; 7]), Ok(vec![]));
    }
    assert_eq!(script.receive(&message(2)), Ok(vec![DISCARDED]));
    assert_eq!(script.transmit(), []);
}

#[test]
fn a_message_that_was_blocked_is_discarded_when_reading_goes_on() {
    let storage = testkit::GrowingStorage::fixed(2, 1, 1);
    let mut script = Script::with_storage(Config::new(), storage);
    script.connect(SessionPresent::Absent);
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.receive(&message(1)).unwrap();
    assert_eq!(script.receive(&message(2)), Ok(vec![Brought::Blocked]));
    script.session.handle_paused();
    script.wait(secs(10)).unwrap();
    assert!(matches!(script.event(), Some(Event::ReadOn)));
    assert!(!script.session.is_ack_full());
    assert_eq!(script.receive(&[]), Ok(vec![DISCARDED]));
}

#[test]
fn drained_a_persistent_session_cycles_the_connection() {
    let mut script = stalled(Config::new());
    script.receive(&message(1)).unwrap();
    script.session.handle_drained();
    assert_eq!(script.transmit(), DISCONNECT);
    assert!(script.session.wants_close());
    assert_eq!(script.close(), Next::Now);
}

#[test]
fn drained_without_a_discarded_message_the_connection_stays() {
    let mut script = stalled(Config::new());
    script.receive(&MESSAGE_QOS0).unwrap();
    script.session.handle_drained();
    assert_eq!(script.transmit(), []);
    let brought = script.receive(&message(1)).unwrap();
    assert!(matches!(brought[..], [Brought::Message { .. }]));
}

#[test]
fn what_comes_between_draining_and_the_end_does_not_overtake_what_was_discarded() {
    let mut script = stalled(Config::new());
    script.receive(&message(1)).unwrap();
    script.session.handle_drained();
    assert_eq!(script.receive(&message(2)), Ok(vec![DISCARDED]));
    script.session.handle_drained();
    assert_eq!(script.transmit(), DISCONNECT);
}

/// What is lost for good would only use up the broker's window.
#[test]
fn a_transient_session_acknowledges_what_it_discards_and_reads_on_when_drained() {
    let mut script = stalled(config(|config| config.start = Start::Transient));
    assert_eq!(script.receive(&message(1)), Ok(vec![DISCARDED]));
    assert_eq!(script.transmit(), [0x40, 2, 0, 1]);
    script.session.handle_drained();
    assert_eq!(script.transmit(), []);
    let brought = script.receive(&message(2)).unwrap();
    assert!(matches!(brought[..], [Brought::Message { .. }]));
}

#[test]
fn a_transient_session_acknowledges_a_large_message_when_it_has_skipped_it() {
    let mut script = stalled(config(|config| {
        config.start = Start::Transient;
        config.receive_buffer = 16;
    }));
    let head = [0x32, 25, 0, 1, b't', 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    script.receive(&head).unwrap();
    script.receive(&[0xFF; 10]).unwrap();
    assert_eq!(script.transmit(), []);
    script.receive(&[0xFF]).unwrap();
    assert_eq!(script.transmit(), [0x40, 2, 0, 1]);
}

#[test]
fn what_a_transient_session_discards_is_acknowledged_in_order_of_receipt() {
    let mut script = Script::connected(config(|config| config.start = Start::Transient));
    let brought = script.receive(&message(1)).unwrap();
    let token = brought[0].token().unwrap();
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.handle_paused();
    script.wait(secs(10)).unwrap();
    script.receive(&message(2)).unwrap();
    assert_eq!(script.transmit(), []);
    script.acknowledge(token);
    assert_eq!(script.transmit(), [0x40, 2, 0, 1, 0x40, 2, 0, 2]);
}

#[test]
fn draining_without_a_stall_changes_nothing() {
    let mut script = Script::connected(Config::new());
    script.session.handle_drained();
    script.session.handle_paused();
    script.session.handle_drained();
    assert_eq!(script.transmit(), []);
    script.session.handle_resumed(script.now);
    assert!(script.session.is_connected());
}

/// The application awaits 100 publishes while its queue is full and 200 more wait at the broker.
fn awaits_publishes_with_a_full_queue(start: Start) -> Pair {
    let mut pair = Pair::new(config(|config| config.start = start));
    pair.acknowledging = Acknowledging::Consumed;
    pair.queue_limit = 10;
    pair.declare("m/+");
    pair.run_for(secs(1));
    for n in 0..210 {
        pair.broker_publishes(&format!("m/{n}"), &format!("m{n}"));
    }
    pair.run_for(secs(1));
    assert_eq!(pair.queue.len(), 10);
    for n in 0..50 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_to_idle();
    assert_eq!(pair.acknowledged().len(), 50);
    assert_eq!(pair.queue.len(), 10);
    while pair.broker.undelivered("c") > 0 && !pair.queue.is_empty() {
        pair.consume(pair.queue.len());
        pair.run_for(secs(1));
    }
    pair.assert_sound();
    pair
}

#[test]
fn answers_come_although_the_queue_is_full_and_then_every_message_comes_in_order() {
    let pair = awaits_publishes_with_a_full_queue(Start::Resume);
    let discarded = |brought: &Brought| matches!(brought, Brought::Discarded { .. });
    assert!(pair.log.iter().any(discarded));
    assert_eq!(pair.connections, 2);
    let mut received = pair.received();
    let expected: Vec<String> = (0..210).map(|n| format!("m{n}")).collect();
    let mut seen = std::collections::HashSet::new();
    received.retain(|payload| seen.insert(payload.clone()));
    assert_eq!(received, expected);
}

#[test]
fn in_a_transient_session_answers_come_too() {
    let pair = awaits_publishes_with_a_full_queue(Start::Transient);
    assert_eq!(pair.connections, 1);
}
