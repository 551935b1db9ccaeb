//! The tokio client: the scenarios of all adapters, and what concerns it alone.
mod adapter;
mod cancel_safety;
mod counters;
mod driver;
mod endings;
mod ergonomics;
mod foreign_code;
mod panics;
mod peers;
mod routes;
mod runtime;
mod sources;
mod storms;
mod streams;
mod turns;
mod watching;
mod wrong_input;

use adapter::Tokio;

client_tests::suite!(Tokio);
