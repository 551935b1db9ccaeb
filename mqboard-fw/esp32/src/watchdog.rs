//! The chip's watchdog, fed by a task.

use esp_hal::{
    peripherals::TIMG0,
    time::Duration,
    timer::timg::{MwdtStage, Wdt},
};
use mqboard_core::{WATCHDOG_TIMEOUT, feed_watchdog};

/// That of the timer group, which a reset switches off. The RTC's goes on through a reset over USB and may end the flashing
/// that follows: on an ESP32-C6 espflash 4 does not stop it.
pub(crate) type Watchdog = Wdt<TIMG0<'static>>;

/// From here on the chip is reset, as by `software_reset`, unless the watchdog is fed.
pub(crate) fn arm(watchdog: &mut Watchdog) {
    let timeout = Duration::from_millis(WATCHDOG_TIMEOUT.as_millis());
    watchdog.set_timeout(MwdtStage::Stage0, timeout);
    watchdog.enable();
    watchdog.feed();
}

#[embassy_executor::task]
pub(crate) async fn feed(mut watchdog: Watchdog) -> ! {
    feed_watchdog(|| watchdog.feed()).await
}
