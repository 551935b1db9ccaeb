//! Real brokers, real sockets, real processes.
mod storm;
