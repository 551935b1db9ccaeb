//! Real brokers, real sockets, real processes.
mod access;
mod messages;
mod pressure;
mod receiving;
mod restart;
mod shutdown;
mod storm;
mod support;
mod upload;
