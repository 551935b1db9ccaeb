//! Our MQTT client and codec measured beside other libraries.
//!
//! One run measures one contender at one workload in a process of its own (`contender`), against a
//! minimal broker in a second process (`sink`). The driver (`bench`) interleaves the runs, takes
//! medians and prints one table.
//!
//! To add a client, implement [`Contender`] in a file below `contenders` and list it in
//! [`contenders::ALL`]; to add a codec, implement [`codecs::Codec`] and list it in [`codecs::ALL`].

pub mod codecs;
mod contender;
pub mod contenders;
mod measure;
mod packets;
mod report;
mod sink;
mod workload;

pub use codecs::codec_main;
pub use contender::{AllocationCounter, Contender, Entry, Progress, Role, contender_main};
pub use measure::pin_to_cpu;
pub use report::Report;
pub use sink::run_sink;
pub use workload::{Delivery, WORKLOADS, Work, Workload};
