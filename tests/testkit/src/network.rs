use std::collections::VecDeque;

use mqtt_codec::session::{Duration, Instant};

/// The network between a client and its broker: lossless and ordered until it is cut.
#[derive(Clone, Debug)]
pub struct Network {
    /// From one end to the other.
    pub latency: Duration,
    /// Bytes that arrive at once, at most.
    pub chunk: usize,
    /// Bytes on their way from the client that the transport holds at most.
    pub room: usize,
    /// Nothing arrives at the broker.
    pub is_up_stalled: bool,
    /// Nothing arrives at the client.
    pub is_down_stalled: bool,
    /// The connection is cut when so many bytes have arrived at the broker, all connections counted.
    pub cut_up_at: Option<usize>,
    /// The connection is cut when so many bytes have arrived at the client, all connections counted.
    pub cut_down_at: Option<usize>,
    /// No connection can be opened.
    pub is_down: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(5),
            chunk: usize::MAX,
            room: usize::MAX,
            is_up_stalled: false,
            is_down_stalled: false,
            cut_up_at: None,
            cut_down_at: None,
            is_down: false,
        }
    }
}

/// Bytes on their way, in one direction.
#[derive(Debug, Default)]
pub struct Pipe {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    len: usize,
}

impl Pipe {
    /// Sends bytes that arrive at `due`, in pieces of at most `chunk` bytes.
    pub fn push(&mut self, bytes: &[u8], due: Instant, chunk: usize) {
        self.len += bytes.len();
        for piece in bytes.chunks(chunk.max(1)) {
            self.chunks.push_back((due, piece.to_vec()));
        }
    }

    /// The next piece that has arrived by `now`, cut off after `max` bytes.
    pub fn pop(&mut self, now: Instant, max: usize) -> Option<Vec<u8>> {
        let (due, bytes) = self.chunks.front_mut()?;
        if *due > now || max == 0 {
            return None;
        }
        let rest = bytes.split_off(max.min(bytes.len()));
        let bytes = std::mem::replace(bytes, rest);
        if self.chunks.front().is_some_and(|(_, rest)| rest.is_empty()) {
            self.chunks.pop_front();
        }
        self.len -= bytes.len();
        Some(bytes)
    }

    /// When the next piece arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.chunks.front().map(|(due, _)| *due)
    }

    /// Bytes on their way.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
