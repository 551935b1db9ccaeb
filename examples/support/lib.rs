//! What more than one example needs.
mod argument;
mod broker;
mod line;

pub use self::{argument::broker_or_own, broker::start_broker, line::Line};
