use std::collections::VecDeque;
use std::time::Duration;

use crate::Random;

use super::Direction;

/// What befalls one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Ends it when so many bytes have gone that way.
    CutAfterBytes {
        /// Which way.
        direction: Direction,
        /// Bytes of whatever packets.
        bytes: u64,
    },
    /// Ends it within a packet: at least one byte of it goes through, at least one does not.
    CutInPacket {
        /// Which way.
        direction: Direction,
        /// Whole packets that go through before, CONNECT and CONNACK counted.
        packets: u32,
        /// Bytes of the packet that go through, if it has more than that.
        bytes: u32,
    },
    /// Ends it between two packets.
    CutAfterPackets {
        /// Which way.
        direction: Direction,
        /// Whole packets that go through.
        packets: u32,
    },
    /// Ends it when so many PUBLISH packets at QoS 1 of the client await their PUBACK.
    CutInFlight {
        /// Messages in flight.
        messages: usize,
    },
    /// When so many packets have gone that way everything is swallowed, in both directions, until the client gives up.
    Swallow {
        /// Which way the packets are counted.
        direction: Direction,
        /// Whole packets that go through.
        packets: u32,
    },
}

/// The faults of a [`Proxy`](super::Proxy), connection by connection.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    random: Random,
    scripted: VecDeque<Option<Fault>>,
    random_cuts: usize,
    packets_between: u32,
    delay: Duration,
}

impl Plan {
    /// No fault at all.
    #[must_use]
    pub fn faithful() -> Self {
        Self::scripted([])
    }

    /// These faults for the first connections, `None` for one without; none for those after.
    #[must_use]
    pub fn scripted(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self {
            seed: 0,
            random: Random::new(0),
            scripted: faults.into_iter().collect(),
            random_cuts: 0,
            packets_between: 50,
            delay: Duration::ZERO,
        }
    }

    /// `cuts` cuts of all kinds in turn, at places drawn from `seed`; then none.
    #[must_use]
    pub fn random(seed: u64, cuts: usize) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            random_cuts: cuts,
            ..Self::faithful()
        }
    }

    /// How many packets go through before a random cut, on average. Default 50.
    #[must_use]
    pub fn packets_between(mut self, packets: u32) -> Self {
        self.packets_between = packets;
        self
    }

    /// Delays what goes through, piece by piece, each by a random time up to this. Default none.
    #[must_use]
    pub fn delay(mut self, longest: Duration) -> Self {
        self.delay = longest;
        self
    }

    /// What the random places are drawn from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The fault of the next connection, when `cuts` were made before.
    pub(super) fn next_fault(&mut self, cuts: usize) -> Option<Fault> {
        if let Some(fault) = self.scripted.pop_front() {
            return fault;
        }
        if cuts >= self.random_cuts {
            return None;
        }
        let packets = self.random.below(2 * self.packets_between as usize + 1) as u32;
        let direction = [Direction::ToBroker, Direction::ToClient][self.random.below(2)];
        Some(match self.random.below(4) {
            0 => Fault::CutAfterBytes {
                direction,
                bytes: u64::from(packets) * 16 + self.random.below(16) as u64,
            },
            1 => Fault::CutInPacket {
                direction,
                packets,
                bytes: 1 + self.random.below(12) as u32,
            },
            2 => Fault::CutAfterPackets { direction, packets },
            _ => Fault::CutInFlight {
                messages: 1 + self.random.below(3),
            },
        })
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let micros = self.delay.as_micros() as usize;
        Duration::from_micros(self.random.below(micros) as u64)
    }
}
