use core::ops::{Add, Sub};

/// A point on the caller's monotonic clock, in microseconds since an origin of the caller's choice.
///
/// The engine asks no clock: every call that depends on time takes one of these. Microseconds are the
/// tick of embassy-time's usual rate, so that a board converts without a 64-bit division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis as u64 * 1_000)
    }

    /// A span of `secs` seconds.
    #[must_use]
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs as u64 * 1_000_000)
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl From<core::time::Duration> for Duration {
    /// Saturates; parts below a microsecond are dropped.
    fn from(duration: core::time::Duration) -> Self {
        Self(
            duration
                .as_secs()
                .saturating_mul(1_000_000)
                .saturating_add(u64::from(duration.subsec_micros())),
        )
    }
}

impl From<Duration> for core::time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_micros(duration.0)
    }
}

/// How long something may take: kept in steps of 256 µs, the rest is dropped. One step at least, and over 2³⁸ µs, three
/// days, counts as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeLimit(u32);

impl TimeLimit {
    /// Three days.
    // a caller may be as late again before the distance of two times is ambiguous
    pub const MAX: Self = Self(1 << 30);

    /// The limit nearest below, if there is one.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        match duration.0 >> STEP_BITS {
            0 => Self(1),
            steps if steps < Self::MAX.0 as u64 => Self(steps as u32),
            _ => Self::MAX,
        }
    }

    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration((self.0 as u64) << STEP_BITS)
    }

    pub(super) const fn steps(self) -> u32 {
        self.0
    }
}

impl From<Duration> for TimeLimit {
    fn from(duration: Duration) -> Self {
        Self::new(duration)
    }
}

impl From<core::time::Duration> for TimeLimit {
    fn from(duration: core::time::Duration) -> Self {
        Self::new(duration.into())
    }
}

/// Of a step of 256 µs, the engine's unit of time.
pub(super) const STEP_BITS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_kept_in_steps_of_256_us_from_one_to_three_days() {
        let limit = |micros| {
            TimeLimit::new(Duration::from_micros(micros))
                .duration()
                .as_micros()
        };
        let shortest = [0, 255, 256, 511].map(limit);
        assert_eq!(shortest, [256, 256, 256, 256]);
        assert_eq!([512, 1_000_000].map(limit), [512, 999_936]);
        let longest = 1 << 38;
        for micros in [longest, longest + 256, 1 << 40, u64::MAX] {
            assert_eq!(limit(micros), longest);
        }
        assert_eq!(limit(longest - 1), longest - 256);
    }
}
