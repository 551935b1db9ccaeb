//! The Embassy client: the scenarios of all adapters, and what concerns it alone; and what a firmware does by the clock.
mod adapter;
mod backoff;
mod cancel_outcomes;
mod cancel_safety;
mod client;
mod endings;
mod firmware;
mod inboxes;
mod limits;
mod long_topics;
mod network;
mod overdue;
mod refusals;
mod settings;
mod sources;
mod storm;
mod storms;
mod streams;
mod transports;
mod turn_order;
mod turns;

use adapter::Embassy;
// its clock
use embassy_tests as _;

client_tests::suite!(Embassy);
