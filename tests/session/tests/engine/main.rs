//! The session engine against written-out bytes and against a broker model.

mod abandon;
mod backoff;
mod hostile;
mod ids;
mod incoming;
mod keep_alive;
mod normative;
mod outgoing;
mod peers;
mod poison;
mod random;
mod restore;
mod resume;
mod shutdown;
mod stall;
mod start;
mod storage;
mod timeouts;

use mqtt_codec::session::{Config, Duration};

/// Default settings, changed.
fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new();
    change(&mut config);
    config
}

const fn secs(secs: u32) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis)
}

const PINGREQ: [u8; 2] = [0xC0, 0];
const PINGRESP: [u8; 2] = [0xD0, 0];
const DISCONNECT: [u8; 2] = [0xE0, 0];
