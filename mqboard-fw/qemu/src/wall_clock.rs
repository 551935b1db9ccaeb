//! The time of day: the host's, from goldfish-rtc.

use core::time::Duration;

use crate::registers;

/// Time since 1970-01-01 00:00 UTC.
#[must_use]
pub fn time_since_epoch() -> Duration {
    // In this order: reading the low half latches the high one.
    let low = registers::RTC_LOW.read();
    let high = registers::RTC_HIGH.read();
    Duration::from_nanos(u64::from(high) << 32 | u64::from(low))
}
