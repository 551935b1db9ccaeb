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

use mqtt_codec::session::{Config, Duration, Identity, Instant, Session, Storage};
use mqtt_codec::wire::ClientId;

/// A connection whose CONNACK says of the session what its flags say.
fn connect<S: Storage>(session: &mut Session<S>, flags: u8) {
    let now = Instant::ZERO;
    let identity = Identity {
        client_id: ClientId::new("c").unwrap(),
        login: None,
        will: None,
    };
    let connect = session.open(now, &identity, &mut [0; 64]).unwrap();
    session.handle_written(now, connect);
    session
        .handle_input(now, &[0x20, 2, flags, 0])
        .ok()
        .unwrap();
}

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
