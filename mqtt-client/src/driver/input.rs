use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The receive buffer: small while little comes, as large as a packet may be when needed.
///
/// ```text
/// bytes  ├─ consumed ─┼─ received ─┼─ free ─┤
///                   start         end
/// ```
#[derive(Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    max: usize,
}

const FIRST: usize = 512;

impl Input {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            max,
        }
    }

    pub(super) fn received(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Reads once; zero at the end of the stream. Grows when a read fills it.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        if self.end == self.bytes.len() {
            return Poll::Pending;
        }
        let mut buffer = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(transport).poll_read(cx, &mut buffer))?;
        let n = buffer.filled().len();
        let is_full = buffer.remaining() == 0;
        self.end += n;
        if is_full {
            self.grow();
        }
        Poll::Ready(Ok(n))
    }

    /// Frees what an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.start == self.end && self.bytes.len() > FIRST {
            self.bytes = Vec::new();
        }
    }

    fn make_room(&mut self) {
        if self.end < self.bytes.len() {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let len = (self.bytes.len() * 2).clamp(FIRST, self.max);
        // exact: Vec would double the largest one
        self.bytes
            .reserve_exact(len.saturating_sub(self.bytes.len()));
        self.bytes.resize(len, 0);
    }
}
