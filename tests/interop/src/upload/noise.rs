use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that do not repeat soon and are always the same.
#[derive(Debug)]
pub(super) struct Noise {
    len: u64,
    position: u64,
}

impl Noise {
    pub(super) const fn new(len: u64) -> Self {
        Self { len, position: 0 }
    }
}

impl AsyncRead for Noise {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.position < self.len && buffer.remaining() > 0 {
            let word = (self.position / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bytes = word.to_le_bytes();
            let from = (self.position % 8) as usize;
            let left = usize::try_from(self.len - self.position).unwrap_or(usize::MAX);
            let count = (8 - from).min(left).min(buffer.remaining());
            buffer.put_slice(&bytes[from..from + count]);
            self.position += count as u64;
        }
        Poll::Ready(Ok(()))
    }
}
