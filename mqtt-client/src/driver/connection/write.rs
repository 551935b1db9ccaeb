//! Writing: what the session and publishers have to send, to the transport.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use mqtt_codec::session;
use mqtt_codec::wire::{PacketId, QoS};
use tokio::io::AsyncWrite;
use tracing::warn;

use super::{Connection, End};
use crate::{
    driver::upload::Upload,
    source::SharedSource,
    state::{SLICES, State},
};

impl Connection<'_> {
    /// Writes at most so often as `writes` says, which counts down.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        writes: &mut usize,
    ) -> Result<Poll<()>, End> {
        let mut moved = Poll::Pending;
        while *writes > 0 {
            if self.writing.is_empty() {
                self.stage(cx)?;
                if self.writing.is_empty() {
                    return self.poll_flush(cx, moved);
                }
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.writing.slices(&mut slices);
            match Pin::new(&mut self.transport).poll_write_vectored(cx, &slices[..count]) {
                Poll::Pending => return self.poll_flush(cx, moved),
                Poll::Ready(Ok(0)) => return Err(End::Io(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.writing.advance(n);
                    self.written += n;
                    *writes -= 1;
                    self.needs_flush = true;
                    moved = Poll::Ready(());
                    if !self.writing.is_empty() {
                        // however slowly it goes, it goes
                        let shared = Arc::clone(&self.driver.shared);
                        self.tell_written(&mut shared.lock(), self.now());
                    }
                }
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
            }
        }
        self.poll_flush(cx, moved)
    }

    /// TLS keeps bytes back until it is flushed.
    fn poll_flush(&mut self, cx: &mut Context<'_>, moved: Poll<()>) -> Result<Poll<()>, End> {
        if self.needs_flush {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
            }
        }
        Ok(moved)
    }

    /// Gets the next bytes to write from the session and from publishers.
    fn stage(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let now = self.now();
        loop {
            let shared = Arc::clone(&self.driver.shared);
            let mut state = shared.lock();
            self.tell_written(&mut state, now);
            state.request_subscriptions();
            let open = self.upload.as_ref().filter(|upload| upload.is_open());
            let wanted = state.stage(open.map(|upload| upload.id));
            mem::swap(&mut self.writing, &mut state.output);
            state.finish_flushes();
            if state.session.accepts_at_most_once() {
                state.wake_next(QoS::AtMostOnce);
            }
            mem::swap(&mut state.deferred, &mut self.deferred);
            let finished = state.session.wants_close();
            drop(state);
            self.deferred.run();
            if finished {
                return Err(End::Finished);
            }
            let Some((id, source)) = wanted.filter(|_| self.writing.is_empty()) else {
                return Ok(());
            };
            if !self.poll_upload(cx, id, &source) {
                return Ok(());
            }
        }
    }

    pub(super) fn tell_written(&mut self, state: &mut State, now: session::Instant) {
        let written = mem::take(&mut self.written);
        let untold = (self.writing.len() + state.output.len()).min(state.untold);
        state.session.advance(state.untold - untold);
        state.untold = untold;
        state.session.handle_written(now, written);
        state.written_bytes += written as u64;
        let begun = self.writing.take_begun();
        state.stats.sent_qos1 += begun.first;
        state.stats.resent += begun.repeated;
        state.stats.bytes_sent += written as u64;
    }

    /// Opens a payload's source, or moves its next bytes to the outgoing buffer; false while it has none.
    fn poll_upload(&mut self, cx: &mut Context<'_>, id: PacketId, source: &SharedSource) -> bool {
        let upload = match &mut self.upload {
            Some(upload) if upload.id == id => upload,
            upload => upload.insert(Upload::new(
                id,
                source,
                self.driver.settings.tuning.write_timeout,
            )),
        };
        let was_open = upload.is_open();
        let polled = match was_open {
            true => upload.poll_chunk(cx),
            false => upload.poll_open(cx),
        };
        match polled {
            Poll::Pending => return false,
            // the message may begin
            Poll::Ready(Ok(())) if !was_open => {}
            Poll::Ready(Ok(())) => {
                let mut state = self.driver.shared.lock();
                let bytes = upload.bytes();
                state.output.put(bytes);
                state.staged_bytes += bytes.len() as u64;
                state.session.advance(bytes.len());
                drop(state);
                upload.consume();
                if upload.is_done() {
                    self.upload = None;
                }
            }
            Poll::Ready(Err(error)) => {
                warn!(%error, "a payload's source failed");
                self.upload = None;
                self.driver.shared.lock().fail_upload(id, error);
            }
        }
        true
    }
}
