use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use mqtt_codec::wire::PacketId;
use tokio::{io::ReadBuf, time::timeout};

use crate::{
    error::PublishError,
    panic::catch,
    source::{Opening, Reader, SharedSource},
};

/// A payload that is read from its source while it is sent.
pub(super) struct Upload {
    pub(super) id: PacketId,
    len: u32,
    got: u32,
    stage: Stage,
    chunk: Vec<u8>,
    filled: usize,
}

enum Stage {
    Opening(Opening),
    Reading(Reader),
    /// Everything was read; the source must be at its end before the last bytes go out.
    Probing(Reader),
    Done,
}

/// Bytes read at a time.
const CHUNK: usize = 16 * 1_024;

impl Upload {
    /// Opens the source, which may take as long as `limit`.
    pub(super) fn new(id: PacketId, source: &SharedSource, limit: Duration) -> Self {
        let opening = timeout(limit, source.open());
        Self {
            id,
            len: source.len(),
            got: 0,
            stage: Stage::Opening(Box::pin(async move {
                opening.await.unwrap_or_else(|_| {
                    let what = "not opened within the write time-out";
                    Err(io::Error::new(io::ErrorKind::TimedOut, what))
                })
            })),
            chunk: vec![0; CHUNK.min(source.len() as usize)],
            filled: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Opening(_))
    }

    /// To be done before anything of the message is sent.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        if let Stage::Opening(opening) = &mut self.stage {
            let reader = ready!(supplied(|| opening.as_mut().poll(cx)))?;
            self.stage = Stage::Reading(reader);
        }
        Poll::Ready(Ok(()))
    }

    /// The next bytes of the payload, to be asked for again after [`consume`](Self::consume).
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        loop {
            match &mut self.stage {
                Stage::Opening(_) => ready!(self.poll_open(cx))?,
                Stage::Reading(reader) => {
                    if self.filled > 0 {
                        return Poll::Ready(Ok(()));
                    }
                    let left = (self.len - self.got) as usize;
                    let room = self.chunk.len().min(left);
                    let mut buffer = ReadBuf::new(&mut self.chunk[..room]);
                    ready!(supplied(|| reader.as_mut().poll_read(cx, &mut buffer)))?;
                    self.filled = buffer.filled().len();
                    if self.filled == 0 {
                        let (announced, got) = (u64::from(self.len), u64::from(self.got));
                        return Poll::Ready(Err(PublishError::SourceTooShort { announced, got }));
                    }
                    self.got += self.filled as u32;
                    if self.got == self.len {
                        if let Stage::Reading(reader) =
                            std::mem::replace(&mut self.stage, Stage::Done)
                        {
                            self.stage = Stage::Probing(reader);
                        }
                    }
                }
                Stage::Probing(reader) => {
                    let mut byte = [0];
                    let mut buffer = ReadBuf::new(&mut byte);
                    ready!(supplied(|| reader.as_mut().poll_read(cx, &mut buffer)))?;
                    if !buffer.filled().is_empty() {
                        let announced = u64::from(self.len);
                        return Poll::Ready(Err(PublishError::SourceTooLong { announced }));
                    }
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.chunk[..self.filled]
    }

    /// Whether the last bytes were taken.
    pub(super) fn is_done(&self) -> bool {
        self.filled == 0 && matches!(self.stage, Stage::Done)
    }

    pub(super) fn consume(&mut self) {
        self.filled = 0;
    }
}

/// What the source's own code has for us. It is dropped after an error.
fn supplied<T>(poll: impl FnOnce() -> Poll<io::Result<T>>) -> Poll<Result<T, PublishError>> {
    match catch(poll) {
        Ok(polled) => polled.map_err(|error| PublishError::Source(Arc::new(error))),
        Err(panicked) => Poll::Ready(Err(PublishError::SourcePanicked(panicked))),
    }
}
