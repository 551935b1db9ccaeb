//! MQTT 3.1.1 client on tokio.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the driver, which uses the settings and the transport, is not here yet"
    )
)]

mod error;
mod options;
mod transport;

pub use mqtt_codec::wire::{
    ConnectRefusal, DecodeError, FilterError, QoS, StringError, TopicError,
};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use self::{
    error::{ConnectError, ConnectFailure, ConnectPhase},
    options::{
        Address, AddressError, BackoffOptions, BoxError, Capacity, ConnectOptions, Credentials,
        CredentialsError, Endpoint, Filter, FirstConnect, OptionsError, Overflow, Oversized,
        SessionStart, Topic, Unmatched, UrlError, Will, WillError,
    },
    transport::{Connector, TcpAttempt, TcpError, TcpReason},
};
#[cfg(feature = "tls")]
pub use self::{
    options::{TlsOptions, TlsOptionsError},
    transport::{TlsError, TlsFailure},
};
