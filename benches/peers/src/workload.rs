//! What is measured: kinds of work, payload sizes and message counts.

use std::time::Duration;

/// The topic of every measured message.
pub const TOPIC: &str = "sensors/1/temp";
/// The filter that the receiving workloads subscribe to.
pub const FILTER: &str = "sensors/+/temp";
/// The most unacknowledged QoS 1 messages, in either direction.
pub const WINDOW: u16 = 100;
/// A QoS 1 publish here makes the sink send messages; the payload is `qos payload_len count`.
pub const FLOOD_TOPIC: &str = "bench/flood";
/// A QoS 1 publish here is acknowledged only after the sink has seen everything before it,
/// the acknowledgements of its own messages included.
pub const FENCE_TOPIC: &str = "bench/fence";
/// The time after which one run counts as failed.
pub const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The quality of service of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    AtMostOnce,
    AtLeastOnce,
}

impl Delivery {
    /// The two QoS bits of the wire.
    pub fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
        }
    }
}

/// The kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Publish; with QoS 1 until acknowledged, [`WINDOW`] in flight.
    Publish(Delivery),
    /// Receive through the library's API; QoS 1 is acknowledged.
    Receive(Delivery),
    /// Publish at QoS 1 and wait for the acknowledgement, one message in flight.
    Latency,
    /// Hold idle connections.
    Idle,
}

/// One row of the measurement.
#[derive(Debug)]
pub struct Workload {
    /// The name on the command line and in the table.
    pub name: &'static str,
    pub work: Work,
    /// Bytes of payload in each message.
    pub payload_len: usize,
    /// Messages (connections, for [`Work::Idle`]) that are measured after a warm-up of a fifth.
    pub count: u64,
}

/// Every row, in the order of the table.
pub static WORKLOADS: [Workload; 8] = [
    row(
        "qos0-out-64",
        Work::Publish(Delivery::AtMostOnce),
        64,
        500_000,
    ),
    row(
        "qos0-out-64k",
        Work::Publish(Delivery::AtMostOnce),
        65_536,
        15_000,
    ),
    row(
        "qos1-out-64",
        Work::Publish(Delivery::AtLeastOnce),
        64,
        200_000,
    ),
    row(
        "qos1-out-64k",
        Work::Publish(Delivery::AtLeastOnce),
        65_536,
        10_000,
    ),
    row(
        "qos0-in-64",
        Work::Receive(Delivery::AtMostOnce),
        64,
        500_000,
    ),
    row(
        "qos1-in-64",
        Work::Receive(Delivery::AtLeastOnce),
        64,
        300_000,
    ),
    row("latency-64", Work::Latency, 64, 10_000),
    row("idle", Work::Idle, 0, 5_000),
];

impl Workload {
    /// The row of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }
}

const fn row(name: &'static str, work: Work, payload_len: usize, count: u64) -> Workload {
    Workload {
        name,
        work,
        payload_len,
        count,
    }
}
