//! What the image was built with: see `settings.example`.

use esp_hal::gpio::Level;
use mqboard_core::{Topics, topics};

// `setting!`, by the build script
include!(concat!(env!("OUT_DIR"), "/settings.rs"));

pub(crate) const WIFI_SSID: &str = setting!(WIFI_SSID);
/// Empty for an open network.
pub(crate) const WIFI_PASSWORD: &str = setting!(WIFI_PASSWORD);
pub(crate) const BROKER_HOST: &str = setting!(BROKER_HOST);
pub(crate) const BROKER_PORT: u16 = port(setting!(BROKER_PORT));
/// Empty if the broker asks for none.
pub(crate) const BROKER_USER: &str = setting!(BROKER_USER);
pub(crate) const BROKER_PASSWORD: &str = setting!(BROKER_PASSWORD);
/// Empty for one made of the chip's address.
pub(crate) const CLIENT_ID: &str = setting!(CLIENT_ID);
pub(crate) const TOPICS: Topics = topics!(setting!(TOPIC_PREFIX));
pub(crate) const LED_ON: Level = level(setting!(LED_ON));

// Each of these would end in a panic at every start, or in a board that never connects.
const _: () = {
    assert!(WIFI_SSID.len() <= 32, "WIFI_SSID is over 32 bytes");
    assert!(
        matches!(WIFI_PASSWORD.len(), 0 | 8..=64),
        "WIFI_PASSWORD is neither empty nor 8 to 64 bytes"
    );
    assert!(
        BROKER_PASSWORD.is_empty() || !BROKER_USER.is_empty(),
        "BROKER_PASSWORD is set without BROKER_USER"
    );
    assert!(
        CLIENT_ID.len() + BROKER_USER.len() + BROKER_PASSWORD.len() <= 400,
        "CLIENT_ID, BROKER_USER and BROKER_PASSWORD are over 400 bytes: enlarge the buffer in broker.rs"
    );
    assert!(
        is_plain_topic(TOPICS.led) && TOPICS.led.len() <= 64,
        "TOPIC_PREFIX is over 60 bytes, or contains +, # or U+0000"
    );
};

const fn is_plain_topic(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if matches!(byte, b'+' | b'#' | 0) {
            return false;
        }
        rest = after;
    }
    true
}

const fn port(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(port) => port,
        Err(_) => panic!("BROKER_PORT is no port"),
    }
}

const fn level(text: &str) -> Level {
    match text.as_bytes() {
        b"low" => Level::Low,
        b"high" => Level::High,
        _ => panic!("LED_ON is neither low nor high"),
    }
}
