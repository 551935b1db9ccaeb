#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod client;
mod driver;
mod error;
mod events;
mod message;
mod options;
mod publish;
mod source;
mod state;
mod stats;
mod subscribe;
mod transport;

pub use bytes::Bytes;
pub use mqtt_codec::session::{Error as SessionError, Timeout, Violation};
pub use mqtt_codec::wire::{
    ConnectRefusal, DecodeError, FilterError, QoS, StringError, TopicError,
};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use self::{
    client::{Client, Undelivered, UndeliveredMessage},
    error::{
        CloseReason, ClosedError, ConnectError, ConnectFailure, ConnectPhase, PublishError,
        StartError, StreamError, SubscribeError, TakeStreamError, TryPublishError,
    },
    events::{ConnectionState, DisconnectReason, Event, SessionState},
    message::Message,
    options::{
        Address, AddressError, BackoffOptions, BoxError, Capacity, ConnectOptions, Credentials,
        CredentialsError, Endpoint, Filter, FirstConnect, OptionsError, Overflow, Oversized,
        SessionStart, Topic, Unmatched, UrlError, Will, WillError,
    },
    publish::{Publish, PublishAck, PublishPayload, PublishTopic, Publishing},
    source::{FileSource, PayloadSource, SourceFn, source_fn},
    stats::Stats,
    subscribe::{Subscribe, Subscription, Unsubscribe},
    transport::{Connector, TcpAttempt, TcpError, TcpReason},
};
#[cfg(feature = "tls")]
pub use self::{
    options::{TlsOptions, TlsOptionsError},
    transport::{TlsError, TlsFailure},
};
