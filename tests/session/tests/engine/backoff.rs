use mqtt_codec::session::{Backoff, Duration, Instant};

use crate::{millis, secs};

#[test]
fn every_delay_lies_between_zero_and_the_ceiling() {
    let mut random = testkit::Random::new(9);
    let mut backoff = Backoff::new(100, 5_000, secs(10));
    for n in 0..200_u32 {
        let ceiling = 100_u32.saturating_mul(1 << n.min(20)).min(5_000);
        let delay = backoff.next_delay(Instant::ZERO, random.next_u64() as u32);
        assert!(delay <= millis(ceiling), "{n}");
    }
}

#[test]
fn extreme_settings_neither_overflow_nor_wrap() {
    for (min, max) in [
        (0, 0),
        (0, u32::MAX),
        (u32::MAX, u32::MAX),
        (u32::MAX, 0),
        (1, u32::MAX),
    ] {
        let mut backoff = Backoff::new(min, max, Duration::ZERO);
        for _ in 0..100 {
            let delay = backoff.next_delay(Instant::ZERO, u32::MAX);
            assert!(delay <= millis(max.max(min)));
        }
    }
}

#[test]
fn a_broker_that_accepts_and_drops_at_once_is_met_with_growing_delays() {
    let mut backoff = Backoff::new(100, 60_000, secs(10));
    let mut now = Instant::ZERO;
    let mut last = Duration::ZERO;
    for _ in 0..10 {
        backoff.handle_connected(now);
        now = now + secs(9);
        let delay = backoff.next_delay(now, u32::MAX);
        assert!(delay >= last);
        last = delay;
    }
    assert!(last > secs(50));
    backoff.handle_connected(now);
    assert!(backoff.next_delay(now + secs(10), u32::MAX) < millis(101));
}
