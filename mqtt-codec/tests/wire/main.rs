//! The packets of MQTT 3.1.1, byte for byte.

mod connect;
mod decode;
mod encode;
mod filter;
mod header;
mod lists;
mod publish_header;
mod reject;
mod strings;
mod vectors;
