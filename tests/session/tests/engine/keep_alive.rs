//! Keep Alive is 60 s here: PINGREQ after 45 s of silence, given up 30 s later.

use mqtt_codec::session::{Config, Error, Event, Timeout};
use mqtt_codec::wire::SessionPresent;
use testkit::{Acknowledging, Brought, Item, Pair, Script};

use crate::{PINGREQ, PINGRESP, config, millis, secs};

const DEAD: Result<(), Error> = Err(Error::Timeout(Timeout::PingResponse));
/// A QoS 0 PUBLISH to `t` without payload.
const MESSAGE: [u8; 5] = [0x30, 3, 0, 1, b't'];
/// A QoS 1 PUBLISH to `t`.
const MESSAGE_QOS1: [u8; 7] = [0x32, 5, 0, 1, b't', 0, 1];

fn send_qos0(script: &mut Script) {
    let topic = "t".try_into().unwrap();
    let retain = mqtt_codec::wire::Retain::No;
    let len = script
        .session
        .publish_at_most_once(topic, retain, 0, &mut [0; 16])
        .unwrap()
        .expect("possible now");
    script.session.advance(len);
    script.written(len);
}

#[test]
fn mqtt_3_1_2_23_sends_pingreq_when_nothing_was_sent_for_the_interval() {
    let mut script = Script::connected(Config::new());
    for _ in 0..4 {
        script.wait(secs(11)).unwrap();
        script.receive(&MESSAGE).unwrap();
        assert_eq!(script.transmit(), []);
    }
    script.wait(secs(1)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    assert_eq!(script.receive(&PINGRESP), Ok(vec![]));
}

#[test]
fn sends_pingreq_when_nothing_was_received_for_the_interval() {
    let mut script = Script::connected(Config::new());
    for _ in 0..44 {
        script.wait(secs(1)).unwrap();
        send_qos0(&mut script);
        assert_eq!(script.transmit(), []);
    }
    script.wait(secs(1)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
}

#[test]
fn is_silent_while_both_directions_are_busy() {
    let mut script = Script::connected(Config::new());
    for _ in 0..100 {
        script.wait(secs(40)).unwrap();
        send_qos0(&mut script);
        script.receive(&MESSAGE).unwrap();
        assert_eq!(script.transmit(), []);
    }
}

#[test]
fn without_keep_alive_there_is_neither_ping_nor_deadline() {
    let mut script = Script::connected(config(|config| config.keep_alive = None));
    assert_eq!(script.session.poll_timeout(script.now), None);
    script.wait(secs(1_000_000)).unwrap();
    assert_eq!(script.transmit(), []);
}

#[test]
fn gives_up_a_silent_peer_within_one_and_a_quarter_keep_alives() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    script.wait(millis(29_999)).unwrap();
    assert_eq!(script.wait(millis(1)), DEAD);
}

#[test]
fn the_deadline_runs_from_queuing_not_from_writing() {
    let mut script = Script::connected(config(|config| config.write_timeout = secs(1_000).into()));
    script.wait(secs(45)).unwrap();
    assert_eq!(script.stage(), PINGREQ);
    assert_eq!(script.wait(secs(30)), DEAD);
}

#[test]
fn a_ping_that_cannot_leave_is_not_repeated_and_does_not_spin() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.stage(), PINGREQ);
    script.wait(secs(5)).unwrap();
    assert_eq!(script.stage(), []);
}

#[test]
fn a_peer_that_swallows_everything_is_noticed_while_qos0_is_sent_all_the_time() {
    let mut pair = Pair::new(config(|config| config.keep_alive = 10.try_into().ok()));
    pair.run_to(|pair| pair.session.is_connected());
    pair.run_for(secs(1));
    pair.broker.swallows = true;
    let silent_since = pair.now;
    while pair.errors.is_empty() {
        pair.publish_at_most_once("t", &[0; 100]);
        pair.run_for(millis(50));
        assert!(pair.now - silent_since < secs(15));
    }
    assert_eq!(pair.errors, [Error::Timeout(Timeout::PingResponse)]);
}

#[test]
fn a_peer_that_swallows_everything_is_noticed_although_bytes_always_wait() {
    let mut script = Script::connected(config(|config| config.keep_alive = 10.try_into().ok()));
    let topic = "t".try_into().unwrap();
    let mut waited = 0;
    let dead = loop {
        let retain = mqtt_codec::wire::Retain::No;
        let len = script
            .session
            .publish_at_most_once(topic, retain, 0, &mut [0; 16]);
        script.session.advance(len.unwrap().unwrap());
        script.stage();
        script.written(4); // of five bytes: what waits never gets less
        waited += 1;
        let result = script.wait(millis(100));
        if result.is_err() {
            break result;
        }
        assert!(waited < 150, "not noticed within 1.5 × Keep Alive");
    };
    assert_eq!(dead, DEAD);
}

#[test]
fn a_large_packet_still_arriving_is_life() {
    let mut script = Script::connected(config(|config| config.receive_buffer = 64));
    // 1,000 bytes of payload, ten every 20 s; the answer to a ping would stand behind it
    script.receive(&[0x30, 0xEB, 7, 0, 1, b't']).unwrap();
    for _ in 0..100 {
        script.wait(secs(20)).unwrap();
        script.transmit();
        assert_eq!(script.receive(&[7; 10]).unwrap().len(), 1);
    }
    assert_eq!(script.receive(&PINGRESP), Ok(vec![]));
}

#[test]
fn a_packet_that_waits_to_be_whole_is_life_too() {
    let mut script = Script::connected(Config::new());
    script.receive(&[0x30, 100, 0, 1, b't']).unwrap();
    for _ in 0..90 {
        script.wait(secs(20)).unwrap();
        script.transmit();
        assert_eq!(script.receive(&[7]), Ok(vec![]));
    }
}

#[test]
fn the_same_bytes_offered_again_are_no_life() {
    let mut script = Script::connected(Config::new());
    script.receive(&[0x30, 100, 0, 1, b't']).unwrap();
    let mut result = Ok(());
    for _ in 0..80 {
        result = script.wait(secs(1));
        script.transmit();
        if result.is_err() {
            break;
        }
        script.receive(&[]).unwrap();
    }
    assert_eq!(result, DEAD);
}

#[test]
fn the_deadline_pauses_while_reading_is_paused() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    script.wait(secs(20)).unwrap();
    script.session.handle_paused();
    script.wait(secs(10_000)).unwrap();
    script.transmit();
    script.session.handle_resumed(script.now);
    script.wait(millis(29_999)).unwrap();
    assert_eq!(script.wait(millis(1)), DEAD);
}

#[test]
fn pings_flow_while_reading_is_paused() {
    let mut script = Script::connected(Config::new());
    script.session.handle_paused();
    for _ in 0..5 {
        script.wait(secs(45)).unwrap();
        assert_eq!(script.transmit(), PINGREQ);
    }
    script.session.handle_resumed(script.now);
    for _ in 0..5 {
        assert_eq!(script.receive(&PINGRESP), Ok(vec![]));
    }
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
}

#[test]
fn bytes_that_were_read_before_the_pause_do_not_start_the_deadline() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    script.session.handle_paused();
    script.receive(&MESSAGE).unwrap();
    script.wait(secs(100)).unwrap();
}

#[test]
fn the_deadline_runs_again_when_reading_goes_on_after_a_stall() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.handle_paused();
    script.wait(secs(9)).unwrap();
    script.wait(secs(1)).unwrap();
    assert!(matches!(script.event(), Some(Event::ReadOn)));
    // nothing arrives although reading goes on, and something is sent all the time
    let mut result = Ok(());
    for _ in 0..90 {
        send_qos0(&mut script);
        result = script.wait(secs(1));
        script.transmit();
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, DEAD);
}

#[test]
fn a_ping_sent_during_a_stall_is_given_up_after_it() {
    let mut script = Script::connected(config(|config| config.stall_timeout = secs(50).into()));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.session.handle_paused();
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    script.wait(secs(5)).unwrap();
    assert!(matches!(script.event(), Some(Event::ReadOn)));
    let mut result = Ok(());
    for _ in 0..31 {
        send_qos0(&mut script);
        result = result.and(script.wait(secs(1)));
    }
    assert_eq!(result, DEAD);
}

#[test]
fn bytes_already_readable_are_processed_before_the_deadline_is_judged() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    // the caller was busy for longer than the deadline; the answer has been waiting
    script.now = script.now + secs(300);
    script.receive(&PINGRESP).unwrap();
    assert_eq!(script.session.handle_timeout(script.now), Ok(()));
    assert_eq!(script.wait(secs(1)), Ok(()));
}

#[test]
fn a_ping_leaves_after_the_packet_that_is_half_sent() {
    let mut script = Script::connected(config(|config| config.write_timeout = secs(100).into()));
    script.enqueue(Item::publish("t", [7; 50]));
    let mut sent = script.stage_some(3);
    script.written(3);
    script.wait(secs(60)).unwrap();
    sent.extend(script.transmit());
    assert_eq!(sent.len(), 2 + 3 + 2 + 50);
    script.wait(secs(1)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
}

#[test]
fn a_ping_during_a_streamed_publish_does_not_end_keep_alive() {
    let mut script = Script::connected(Config::new());
    script.enqueue(Item::publish("t", [7; 500]));
    for _ in 0..25 {
        let n = script.stage_some(20).len();
        script.written(n);
        script.wait(secs(4)).unwrap();
    }
    script.transmit();
    script.wait(secs(1)).unwrap();
    for _ in 0..10 {
        assert_eq!(script.transmit(), PINGREQ);
        script.wait(secs(1)).unwrap();
        script.receive(&PINGRESP).unwrap();
        script.wait(secs(44)).unwrap();
    }
}

#[test]
fn an_unasked_pingresp_is_counted_and_ignored() {
    let mut script = Script::connected(Config::new());
    let unexpected = Brought::Unexpected(mqtt_codec::wire::PacketType::PingResp);
    assert_eq!(script.receive(&PINGRESP), Ok(vec![unexpected]));
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
}

#[test]
fn a_slow_consumer_of_three_intervals_keeps_its_link() {
    let mut pair = Pair::new(config(|config| config.keep_alive = 1.try_into().ok()));
    pair.acknowledging = Acknowledging::Consumed;
    pair.queue_limit = 5;
    pair.declare("m");
    pair.run_for(secs(1));
    for n in 0..50 {
        pair.broker_publishes("m", &n.to_string());
    }
    pair.run_for(secs(3));
    assert_eq!(pair.queue.len(), 5);
    while pair.received().len() < 50 {
        pair.consume(1);
        pair.run_for(millis(20));
    }
    pair.assert_sound();
    assert_eq!(pair.connections, 1);
}

#[test]
fn pubacks_flow_while_reading_is_paused() {
    let mut script = Script::connected(Config::new());
    let brought = script.receive(&MESSAGE_QOS1).unwrap();
    script.session.handle_paused();
    assert!(script.acknowledge(brought[0].token().unwrap()));
    assert_eq!(script.transmit(), [0x40, 2, 0, 1]);
}

#[test]
fn a_new_connection_begins_without_a_ping_of_the_last() {
    let mut script = Script::connected(Config::new());
    script.wait(secs(45)).unwrap();
    assert_eq!(script.transmit(), PINGREQ);
    script.close();
    script.connect(SessionPresent::Present);
    script.wait(secs(40)).unwrap();
    assert_eq!(script.transmit(), []);
}
