//! Real brokers, real sockets, real processes.
mod pressure;
mod restart;
mod storm;
mod support;
