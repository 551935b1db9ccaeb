//! The fuzz targets, each a function of the input's bytes that panics on a finding.
//!
//! The inputs are formats of our own rather than derived ones, so that `examples/seeds.rs` can write seeds that
//! mean something.

pub mod chunking;
pub mod decode;
pub mod round_trip;
pub mod session_ops;
pub mod source;
pub mod topic_match;
