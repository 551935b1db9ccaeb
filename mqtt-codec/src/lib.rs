//! MQTT 3.1.1 packets ([`wire`]) and the client session engine ([`session`]), sans-IO.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod session;
pub mod wire;
