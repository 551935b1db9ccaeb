//! What the firmware of a board does, whatever the board: decisions only. The board's own crate gives it devices, a
//! network and a clock.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod application;
mod client_id;
mod led;
mod topics;
mod watchdog;
mod wifi;

pub use application::{Board, run};
pub use client_id::{ClientId, client_id};
pub use led::{Led, UnknownState};
pub use topics::Topics;
pub use watchdog::{WATCHDOG_TIMEOUT, feed_watchdog};
pub use wifi::{GivenUp, NotJoined, Radio, Reach, keep_joined};
