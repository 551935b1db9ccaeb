//! The tokio client against mosquitto. What the tests and the long runs share.
#![forbid(unsafe_code)]

pub mod memory;
pub mod storm;
pub mod upload;
