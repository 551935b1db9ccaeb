use mqtt_client::{Address, ConnectOptions};
use testkit::net::{Listener, Mosquitto};

/// Options for the TCP listener, with no client id.
pub(crate) fn options(broker: &Mosquitto, listener: Listener) -> ConnectOptions {
    ConnectOptions::new(Address::from(broker.address(listener)))
}
