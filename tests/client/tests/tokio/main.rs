//! The tokio client: the scenarios of all adapters, and what concerns it alone.
mod adapter;

use adapter::Tokio;

client_tests::suite!(Tokio);
