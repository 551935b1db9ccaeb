//! What the image was built with: see `settings.example`.

use esp_hal::gpio::Level;
use mqboard_core::{Topics, topics};

pub(crate) const WIFI_SSID: &str = env!("MQBOARD_WIFI_SSID");
/// Empty for an open network.
pub(crate) const WIFI_PASSWORD: &str = env!("MQBOARD_WIFI_PASSWORD");
pub(crate) const BROKER_HOST: &str = env!("MQBOARD_BROKER_HOST");
pub(crate) const BROKER_PORT: u16 = port(env!("MQBOARD_BROKER_PORT"));
/// Empty if the broker asks for none.
pub(crate) const BROKER_USER: &str = env!("MQBOARD_BROKER_USER");
pub(crate) const BROKER_PASSWORD: &str = env!("MQBOARD_BROKER_PASSWORD");
/// Empty for one made of the chip's address.
pub(crate) const CLIENT_ID: &str = env!("MQBOARD_CLIENT_ID");
pub(crate) const TOPICS: Topics = topics!(env!("MQBOARD_TOPIC_PREFIX"));
pub(crate) const LED_ON: Level = level(env!("MQBOARD_LED_ON"));

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
