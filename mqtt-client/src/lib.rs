#![doc = include_str!("../README.md")]
//!
//! # Where to find what
//!
//! | for | see |
//! |---|---|
//! | connecting and ending | [`Client::connect`], [`Client::start`], [`Client::disconnect`], [`Undelivered`] |
//! | options | [`ConnectOptions`]: its URL and every setting; [`Address`], [`Credentials`], [`Will`], [`SessionStart`] |
//! | TLS | [`TlsOptions`](ConnectOptions::tls), and `TlsError` with what each failure means |
//! | publishing | [`Client::publish`], [`Publish`], [`PublishAck`], [`Topic`]; [`Client::flush`] |
//! | large payloads | [`Client::publish_stream`], [`PublishStream`], [`FileSource`], [`source_fn`], [`PayloadSource`] |
//! | subscribing | [`Client::subscribe`], [`Subscription`], [`Message`], [`Filter`]; [`ConnectOptions::declare`] and [`Client::stream`] |
//! | limits, and what is full | [`Capacity`], [`Overflow`], [`Oversized`], [`Unmatched`] |
//! | watching it | [`Client::connection`], [`Client::events`], [`Client::stats`] |
//! | streams of your own | [`ConnectOptions::connector`], [`Connector`] |
//! | errors, by the call that returns them | [`StartError`], [`PublishError`], [`TryPublishError`], [`SubscribeError`], [`StreamError`], [`TakeStreamError`], [`TryRecvError`] |
//! | panics in code of your own | [`Panicked`] |
//! | errors, by what has happened | [`ConnectError`] (no connection), [`DisconnectReason`] (it was lost), [`CloseReason`] (the client has ended) |
//!
//! [`Client`] tells what is promised; cancel safety and limits stand at each method.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod client;
mod driver;
mod error;
mod events;
mod message;
mod options;
mod panic;
mod publish;
mod source;
mod state;
mod stats;
mod subscribe;
mod transport;

pub use bytes::Bytes;
pub use mqtt_codec::session::{Error as SessionError, Timeout, Violation};
pub use mqtt_codec::wire::{
    ConnectRefusal, DecodeError, FilterError, QoS, Retain, StringError, TopicError,
};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use self::{
    client::{Client, Undelivered, UndeliveredMessage},
    error::{
        CloseReason, ClosedError, ConnectError, ConnectFailure, ConnectPhase, PublishError,
        StartError, StreamError, SubscribeError, TakeStreamError, TryPublishError, TryRecvError,
    },
    events::{ConnectionState, DisconnectReason, Event, SessionState},
    message::Message,
    options::{
        Address, AddressError, BackoffOptions, BoxError, Capacity, ConnectOptions, Credentials,
        CredentialsError, Endpoint, Filter, FirstConnect, OptionsError, Overflow, Oversized,
        SessionStart, Topic, Unmatched, UrlError, Will, WillError,
    },
    panic::Panicked,
    publish::{Publish, PublishAck, PublishPayload, PublishStream, PublishTopic, Publishing},
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
