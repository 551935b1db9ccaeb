//! The client session engine: all rules of MQTT 3.1.1 for QoS 0 and 1, without input or output of its own.
//!
//! [`Session`] has the contract, and a loop to copy.

mod acks;
mod backoff;
mod config;
mod connect;
mod error;
mod event;
mod link;
mod outbox;
mod receive;
mod ring;
#[allow(
    clippy::module_inception,
    reason = "the module is the folder's main type, as elsewhere one file per type"
)]
mod session;
mod storage;
mod time;
mod timers;
mod transmit;

pub use acks::{AckSlot, AckToken};
pub use backoff::Backoff;
pub use config::{Config, Oversized, Start};
pub use connect::{Identity, OpenError};
pub use error::{EnqueueError, EnqueueReason, Error, Timeout, Violation};
pub use event::{Change, Event, Input, Message, Next, PayloadRange, Transmit};
pub use outbox::Kind;
pub use ring::Slot;
pub use session::{Session, publish_len};
pub use storage::{Content, FixedStorage, Outgoing, Storage};
pub use time::{Duration, Instant, TimeLimit};
