#![doc = include_str!("../README.md")]
// The examples are compiled as firmware is: `Box` and the like do not exist.
#![doc(test(attr(no_std, no_main)))]
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod log;

mod client;
mod connector;
mod error;
mod events;
mod message;
mod options;
mod outgoing;
mod publish;
mod resources;
mod runner;
mod state;
mod subscribe;

pub use client::{Client, Undelivered};
#[cfg(feature = "tcp")]
pub use connector::TcpConnector;
pub use connector::{ConnectError, Connector, Flushing};
pub use embedded_io_async::Read;
pub use error::{CloseReason, Limit, OptionsError, PublishError, ReadError, SubscribeError};
pub use events::{ConnectionState, DisconnectReason, Event, Stats};
pub use message::Message;
pub use mqtt_codec::session::{Error as SessionError, Timeout, Violation};
pub use mqtt_codec::wire::{
    ConnectRefusal, Dup, FilterError, QoS, Retain, SessionPresent, StringError, TopicError,
};
pub use options::{FirstConnect, Options, Oversized, SessionStart, Unmatched, Will};
pub use outgoing::Writer;
pub use publish::Ack;
pub use resources::{Resources, new};
pub use runner::Runner;
pub use subscribe::Inbox;
