//! What every adapter of the engine must do, as scenarios over a small adapter-neutral trait.
//!
//! A scenario runs under tokio's paused clock against [`World`]: the broker model behind streams in memory. An adapter
//! implements [`Adapter`] and has [`suite!`] make a test of each scenario.
#![forbid(unsafe_code)]

mod adapter;
mod happenings;
#[doc(hidden)]
pub mod scenarios;
mod world;

pub use adapter::{
    Adapter, Counts, Delivery, Ending, Failure, Happening, HappeningSource, Inbox, Setup, Source,
    Start,
};
pub use happenings::Happenings;
pub use world::{Link, World};
