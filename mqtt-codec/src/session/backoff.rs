use super::{Duration, Instant};

/// Delays between connection attempts: exponential with full jitter.
///
/// The `n`-th attempt in a row waits a random time between zero and `min × 2ⁿ`, at most `max`. The row ends
/// only when a connection has stayed up for `stable_after`, so that a broker which accepts and drops at once
/// is not hammered.
#[derive(Clone, Debug)]
pub struct Backoff {
    min_ms: u32,
    max_ms: u32,
    stable_after: Duration,
    /// Bound of the next delay.
    ceiling_ms: u32,
    /// When the connection, if there is one, ends the row.
    stable_at: Instant,
}

impl Backoff {
    /// A fresh row. `min_ms` and `max_ms` are milliseconds; a `max_ms` below `min_ms` counts as `min_ms`.
    #[must_use]
    pub const fn new(min_ms: u32, max_ms: u32, stable_after: Duration) -> Self {
        Self {
            min_ms,
            max_ms: if max_ms < min_ms { min_ms } else { max_ms },
            stable_after,
            ceiling_ms: min_ms,
            stable_at: NEVER,
        }
    }

    /// The broker has accepted a connection.
    pub fn handle_connected(&mut self, now: Instant) {
        self.stable_at = now + self.stable_after;
    }

    /// How long to wait before the next attempt, after one that failed or a connection that ended.
    ///
    /// `random` is uniform over all `u32`, from the caller's generator.
    pub fn next_delay(&mut self, now: Instant, random: u32) -> Duration {
        if now >= self.stable_at {
            self.ceiling_ms = self.min_ms;
        }
        self.stable_at = NEVER;
        let ceiling = self.ceiling_ms;
        self.ceiling_ms = ceiling.saturating_mul(2).min(self.max_ms);
        let delay = (u64::from(ceiling) * u64::from(random)) >> 32;
        Duration::from_millis(delay as u32)
    }
}

const NEVER: Instant = Instant::from_micros(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE: Duration = Duration::from_secs(10);

    fn ceiling(backoff: &mut Backoff, now: Instant) -> u64 {
        backoff
            .next_delay(now, u32::MAX)
            .as_micros()
            .div_ceil(1_000)
            + 1
    }

    #[test]
    fn doubles_up_to_the_maximum_and_stays_there() {
        let mut backoff = Backoff::new(500, 60_000, STABLE);
        let rows: std::vec::Vec<u64> = (0..40)
            .map(|_| ceiling(&mut backoff, Instant::ZERO))
            .collect();
        assert_eq!(
            rows[..8],
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]
        );
        assert!(rows[8..].iter().all(|&ms| ms == 60_000));
    }

    #[test]
    fn spreads_over_the_whole_interval() {
        let mut backoff = Backoff::new(1_000, 1_000, STABLE);
        assert_eq!(backoff.next_delay(Instant::ZERO, 0), Duration::ZERO);
        assert_eq!(
            backoff.next_delay(Instant::ZERO, 1 << 31),
            Duration::from_millis(500)
        );
    }

    #[test]
    fn resets_only_after_a_stable_connection() {
        let mut backoff = Backoff::new(500, 60_000, STABLE);
        for _ in 0..3 {
            backoff.next_delay(Instant::ZERO, 0);
        }
        backoff.handle_connected(Instant::ZERO);
        assert_eq!(
            ceiling(&mut backoff, Instant::from_micros(9_999_999)),
            4_000
        );
        backoff.handle_connected(Instant::ZERO);
        assert_eq!(ceiling(&mut backoff, Instant::from_micros(10_000_000)), 500);
    }
}
