//! What we want to reach, row by row.

use crate::table::Metric;

/// A bound for our figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Nanoseconds, bytes or allocations.
    AtMost(f64),
    /// A multiple of the raw socket's figure in the same row.
    TimesRaw(f64),
}

/// The target of a row, if it has one.
pub fn target(row: &str, metric: Metric) -> Option<Target> {
    Some(match (row, metric) {
        ("qos0-out-64", Metric::Cpu) => Target::AtMost(80.0),
        ("qos0-out-64k", Metric::Cpu) => Target::TimesRaw(1.05),
        ("qos1-out-64", Metric::Cpu) => Target::AtMost(300.0),
        ("qos0-in-64", Metric::Cpu) => Target::AtMost(100.0),
        ("qos1-in-64", Metric::Cpu) => Target::AtMost(150.0),
        ("latency-64", Metric::P50 | Metric::P99) => Target::TimesRaw(1.03),
        ("qos0-out-64" | "qos1-out-64", Metric::Allocations) => Target::AtMost(0.001),
        ("idle", Metric::Resident) => Target::AtMost(8192.0),
        ("decode-publish-64" | "encode-publish-64", Metric::Packet) => Target::AtMost(8.0),
        _ => return None,
    })
}
