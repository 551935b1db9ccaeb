//! Time-outs beside Keep Alive.

use mqtt_codec::session::{Duration, Error, Instant, Next, Timeout};
use mqtt_codec::wire::SessionPresent;
use testkit::{Item, Pair, Script};

use crate::{config, millis, secs};

#[test]
fn no_connack_within_the_connect_timeout_ends_the_connection() {
    let mut script = Script::new(config(|config| config.connect_timeout = secs(3).into()));
    script.open();
    script.wait(millis(2_999)).unwrap();
    assert_eq!(
        script.wait(millis(1)),
        Err(Error::Timeout(Timeout::ConnAck))
    );
    assert_eq!(script.close(), Next::AfterBackoff);
}

#[test]
fn half_a_connack_does_not_stop_the_connect_timeout() {
    let mut script = Script::new(config(|config| config.connect_timeout = secs(3).into()));
    script.open();
    script.wait(secs(2)).unwrap();
    script.receive(&[0x20, 2, 0]).unwrap();
    assert_eq!(script.wait(secs(1)), Err(Error::Timeout(Timeout::ConnAck)));
}

#[test]
fn a_transport_that_takes_no_byte_for_the_write_timeout_is_dead() {
    let mut script = Script::connected(config(|config| config.write_timeout = secs(4).into()));
    script.enqueue(Item::numbered(1));
    let len = script.stage().len();
    script.wait(millis(3_999)).unwrap();
    // one byte, and the time begins anew
    script.written(1);
    script.wait(millis(3_999)).unwrap();
    script.written(len - 1);
    script.wait(secs(30)).unwrap();
    script.enqueue(Item::numbered(2));
    script.stage();
    assert_eq!(script.wait(secs(4)), Err(Error::Timeout(Timeout::Write)));
}

#[test]
fn a_connect_that_the_transport_does_not_take_is_a_dead_link() {
    let mut pair = Pair::new(config(|config| {
        config.connect_timeout = secs(100).into();
        config.write_timeout = secs(4).into();
    }));
    pair.network.room = 0;
    pair.run_for(secs(5));
    assert_eq!(pair.errors, [Error::Timeout(Timeout::Write)]);
}

#[test]
fn a_slow_transport_is_not_a_dead_one() {
    let mut pair = Pair::new(config(|config| config.write_timeout = secs(1).into()));
    pair.network.room = 1;
    pair.network.latency = millis(500);
    for n in 0..3 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_to_idle();
    assert_eq!(pair.errors, []);
}

#[test]
fn the_ack_timeout_is_that_of_the_oldest_publish() {
    let mut script = Script::connected(config(|config| config.ack_timeout = Some(secs(10).into())));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.wait(secs(8)).unwrap();
    script.enqueue(Item::numbered(2));
    script.transmit();
    script.wait(secs(1)).unwrap();
    script.receive(&[0x40, 2, 0, 1]).unwrap();
    // the second is the oldest from here on
    script.wait(millis(9_999)).unwrap();
    assert_eq!(
        script.wait(millis(1)),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn an_acknowledgement_out_of_order_does_not_prolong_the_ack_timeout() {
    let mut script = Script::connected(config(|config| config.ack_timeout = Some(secs(10).into())));
    script.enqueue(Item::numbered(1));
    script.enqueue(Item::numbered(2));
    script.transmit();
    script.wait(secs(9)).unwrap();
    script.receive(&[0x40, 2, 0, 2]).unwrap();
    assert_eq!(
        script.wait(secs(1)),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn without_ack_timeout_a_publish_may_wait_for_ever() {
    let mut pair = Pair::new(config(|_| {}));
    pair.broker.ack_order = testkit::AckOrder::Held;
    pair.enqueue(Item::numbered(1));
    pair.run_for(secs(100_000));
    assert_eq!((pair.connections, pair.session.in_flight()), (1, 1));
}

#[test]
fn the_ack_timeout_does_not_run_while_reading_is_paused() {
    let mut script = Script::connected(config(|config| {
        config.ack_timeout = Some(secs(10).into());
        config.stall_timeout = secs(60).into();
    }));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.wait(secs(5)).unwrap();
    script.session.handle_paused();
    script.wait(secs(30)).unwrap();
    script.session.handle_resumed(script.now);
    script.wait(millis(9_999)).unwrap();
    assert_eq!(
        script.wait(millis(1)),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn a_closed_session_has_no_deadline() {
    let mut script = Script::connected(config(|config| config.ack_timeout = Some(secs(10).into())));
    script.enqueue(Item::numbered(1));
    script.stage();
    script.close();
    assert_eq!(script.session.poll_timeout(script.now), None);
    script.wait(secs(1_000)).unwrap();
    script.connect(SessionPresent::Present);
}

#[test]
fn the_ack_timeout_is_that_of_the_oldest_subscribe_too_however_many_publishes_are_acknowledged() {
    let mut script = Script::connected(config(|config| config.ack_timeout = Some(secs(10).into())));
    script.enqueue(Item::subscribe("a"));
    script.enqueue(Item::unsubscribe("b"));
    script.transmit();
    let seconds_pass = |script: &mut Script, count| {
        for _ in 0..count {
            let [high, low] = script.enqueue(Item::numbered(1)).get().to_be_bytes();
            script.transmit();
            script.wait(secs(1))?;
            script.receive(&[0x40, 2, high, low])?;
        }
        Ok(())
    };
    seconds_pass(&mut script, 8).unwrap();
    script.receive(&[0x90, 3, 0xFC, 0, 1]).unwrap();
    // the second is the oldest from here on
    seconds_pass(&mut script, 9).unwrap();
    assert_eq!(
        seconds_pass(&mut script, 1),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn deadlines_are_met_across_the_wrap_of_the_engines_time() {
    const WRAP: u64 = 1 << 40;
    for before in 0..14 {
        let mut script = Script::new(config(|config| config.ack_timeout = Some(secs(10).into())));
        script.now = Instant::from_micros(WRAP - before * 1_000_000);
        script.connect(SessionPresent::Absent);
        script.wait(secs(2)).unwrap();
        script.enqueue(Item::numbered(1));
        script.transmit();
        script.wait(millis(9_999)).unwrap();
        assert_eq!(
            script.wait(millis(1)),
            Err(Error::Timeout(Timeout::Acknowledgement))
        );
    }
}

#[test]
fn a_time_out_over_three_days_counts_as_three() {
    let day = Duration::from_secs(24 * 3_600);
    let mut script = Script::connected(config(|config| {
        config.ack_timeout = Some(Duration::from_micros(u64::MAX).into());
        config.keep_alive = None;
    }));
    script.enqueue(Item::numbered(1));
    script.transmit();
    for _ in 0..3 {
        script.wait(day).unwrap();
    }
    assert_eq!(
        script.wait(day),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn an_instant_before_the_last_one_is_no_long_silence() {
    let mut script = Script::connected(config(|config| {
        config.ack_timeout = Some(secs(10).into());
    }));
    script.enqueue(Item::numbered(1));
    script.transmit();
    script.wait(secs(2)).unwrap();
    script.session.poll_timeout(script.now);
    let earlier = Instant::from_micros(script.now.as_micros() - 256);
    assert_eq!(script.session.handle_timeout(earlier), Ok(()));
    let due = script.session.poll_timeout(earlier).unwrap();
    assert!(due > script.now, "nothing is due at once");
}

#[test]
fn the_time_to_acknowledge_begins_when_the_message_is_out() {
    let mut script = Script::connected(config(|config| {
        config.ack_timeout = Some(secs(3).into());
        config.write_timeout = secs(60).into();
    }));
    script.enqueue(Item::numbered(1));
    let len = script.session.poll_transmit().unwrap().bytes[0].len();
    for _ in 0..len {
        script.wait(secs(2)).unwrap();
        script.session.advance(1);
        script.session.handle_written(script.now, 1);
    }
    script.transmit();
    script.wait(millis(2_999)).unwrap();
    assert_eq!(
        script.wait(millis(1)),
        Err(Error::Timeout(Timeout::Acknowledgement))
    );
}

#[test]
fn the_next_message_has_its_own_time_when_the_oldest_is_given_up() {
    let mut script = Script::connected(config(|config| {
        config.ack_timeout = Some(secs(3).into());
    }));
    let first = script.enqueue(Item::numbered(1));
    script.transmit();
    script.wait(secs(2)).unwrap();
    script.session.abandon(first);
    script.enqueue(Item::numbered(2));
    script.transmit();
    assert_eq!(script.wait(secs(2)), Ok(()));
}
