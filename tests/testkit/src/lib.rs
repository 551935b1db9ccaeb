//! What the tests of the engine and of the adapters share. No clock, no socket, no thread, no randomness of its
//! own: a failing run is the same run again.
//!
//! - [`Script`]: a session against bytes that the test writes out, for exactness.
//! - [`Pair`]: a session and a [`Broker`] with a network between them, for behaviour over time.
//!
//! With the feature `net`, the module of that name has real brokers and sockets, which have all of these.
#![forbid(unsafe_code)]

mod broker;
mod brought;
mod frame;
mod item;
#[cfg(feature = "net")]
pub mod net;
mod network;
mod pair;
mod random;
mod script;
mod storage;
mod tap;

pub use broker::{AckOrder, Arrival, Broker, LinkId};
pub use brought::Brought;
pub use frame::{Frame, Splitter};
pub use item::Item;
pub use network::{Network, Pipe};
pub use pair::{Acknowledging, Pair};
pub use random::Random;
pub use script::Script;
pub use storage::GrowingStorage;
pub use tap::Tap;
