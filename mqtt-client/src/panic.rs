//! Code of the user's that panics must not take the client with it.
use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

/// Code that the client was given panicked. Its message went to the panic hook as well.
///
/// In a program that aborts on panic nobody sees this.
#[derive(Debug, Clone)]
pub struct Panicked {
    /// `None`: it was no text.
    message: Option<Arc<str>>,
}

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self {
            message: text.map(Arc::from),
        }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "panicked: {message}"),
            None => f.write_str("panicked"),
        }
    }
}

impl std::error::Error for Panicked {}

/// Runs it. What it touches must be dropped, not used, after a panic.
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| Panicked::new(&*payload))
}

/// The same for a future, which is dropped afterwards. In a box: an `async fn` would hold it twice, as its argument and
/// pinned.
pub(crate) fn catch_async<F: Future + ?Sized>(
    mut future: Pin<Box<F>>,
) -> impl Future<Output = Result<F::Output, Panicked>> {
    poll_fn(move |cx| match catch(|| future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
}
