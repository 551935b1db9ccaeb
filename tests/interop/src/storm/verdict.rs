use std::{collections::HashSet, fmt};

use testkit::net::Received;

use super::{
    Storm,
    publisher::{Outcome, parse},
};

/// Whether the client has kept its promises.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Futures that completed with the acknowledgement.
    pub acknowledged: usize,
    /// Futures that completed with an error.
    pub failed: usize,
    /// Futures that did not complete.
    pub open: usize,
    /// Futures that completed before their PUBACK was on the wire, of those that were looked at.
    pub too_early: usize,
    /// Messages without a PUBACK on the wire.
    pub unacknowledged: usize,
    /// Messages that the independent subscriber never got.
    pub undelivered: usize,
    /// Messages whose first delivery came after that of a later one of the same publisher.
    pub reordered: usize,
    /// Deliveries beyond the first, which QoS 1 allows.
    pub repeated: usize,
}

impl Verdict {
    pub(super) fn new(
        storm: Storm,
        outcomes: &[Outcome],
        acknowledged: &[Vec<u8>],
        deliveries: &[Received],
    ) -> Self {
        let on_the_wire: HashSet<_> = acknowledged.iter().filter_map(|p| parse(p)).collect();
        let mut delivered = HashSet::new();
        let mut next = vec![0; storm.publishers];
        let (mut reordered, mut repeated) = (0, 0);
        for delivery in deliveries {
            let Some((publisher, message)) = parse(&delivery.payload) else {
                continue;
            };
            if !delivered.insert((publisher, message)) {
                repeated += 1;
            } else if message < next[publisher] {
                reordered += 1;
            } else {
                next[publisher] = message + 1;
            }
        }
        let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum();
        Self {
            acknowledged: sum(|outcome| outcome.acknowledged),
            failed: sum(|outcome| outcome.failed),
            open: sum(|outcome| outcome.open),
            too_early: sum(|outcome| outcome.too_early),
            unacknowledged: storm.messages - on_the_wire.len(),
            undelivered: storm.messages - delivered.len(),
            reordered,
            repeated,
        }
    }

    /// Everything acknowledged, on the wire and delivered, in order.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.failed == 0
            && self.open == 0
            && self.too_early == 0
            && self.unacknowledged == 0
            && self.undelivered == 0
            && self.reordered == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "futures acknowledged         {}", self.acknowledged)?;
        writeln!(f, "futures failed               {}", self.failed)?;
        writeln!(f, "futures never completed      {}", self.open)?;
        writeln!(f, "Ok before the PUBACK         {}", self.too_early)?;
        writeln!(f, "lost: no PUBACK on the wire  {}", self.unacknowledged)?;
        writeln!(f, "lost: never delivered        {}", self.undelivered)?;
        writeln!(f, "reordered                    {}", self.reordered)?;
        write!(f, "delivered again              {}", self.repeated)
    }
}
