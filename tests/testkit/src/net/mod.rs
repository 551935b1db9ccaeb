//! Real brokers, real sockets, all on free ports of the loopback interface. Everything stops when it is dropped.
//!
//! - [`Mosquitto`]: a broker of its own for each test: plain, password, TLS, client certificates, Unix socket.
//! - [`Subscriber`]: `mosquitto_sub` as a judge that shares no code with us.
//! - [`Proxy`]: stands between client and broker, records every packet, injects faults from a seed.
//! - [`Output`]: what a child process prints, to be waited for.
//! - [`ScriptedPeer`]: a broker that plays an exact script for each connection, [`openings`] among them.
//!
//! They are helpers of tests: what cannot be set up panics and says why.

#[cfg(feature = "broker")]
mod certificates;
#[cfg(feature = "broker")]
mod mosquitto;
mod opening;
mod output;
mod peer;
mod port;
mod proxy;
mod step;
#[cfg(feature = "broker")]
mod subscriber;

#[cfg(feature = "broker")]
pub use certificates::{Certificates, Identity};
#[cfg(feature = "broker")]
pub use mosquitto::{Listener, Mosquitto, MosquittoOptions, Persistence};
pub use opening::{Opening, Place, openings};
pub use output::Output;
pub use peer::{Played, ScriptedPeer};
pub use proxy::{Counters, Direction, Fault, Mode, Plan, Proxy, Record, Whole};
pub use step::{PeerScript, script};
#[cfg(feature = "broker")]
pub use subscriber::{Received, Subscriber};

use std::time::Duration;

/// How long anything may take before a test gives up: far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
