//! Payloads that are read while they are sent.
use std::{
    fmt,
    future::Future,
    io::{self, Cursor},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use tokio::io::AsyncRead;

/// A payload of known length that can be read again from its beginning, and yields the same bytes each time.
///
/// It is opened anew for each connection on which the message is sent, since a QoS 1 message goes out again until it is
/// acknowledged. The client's task polls the reader: it must not block.
pub trait PayloadSource: Send + Sync + 'static {
    /// What is read.
    type Reader: AsyncRead + Send + Unpin + 'static;

    /// Bytes that each reader yields.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens a reader at the first byte.
    ///
    /// # Errors
    /// Any; the message is given up and its future fails. So it does when this or the reader panics.
    fn open(&self) -> impl Future<Output = io::Result<Self::Reader>> + Send;
}

impl PayloadSource for Bytes {
    type Reader = Cursor<Self>;

    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    async fn open(&self) -> io::Result<Self::Reader> {
        Ok(Cursor::new(self.clone()))
    }
}

/// A file as a payload. It must not change until the message is acknowledged.
#[derive(Debug, Clone)]
pub struct FileSource {
    path: PathBuf,
    len: u64,
}

impl FileSource {
    /// The file at `path`, with the length that it has now.
    ///
    /// # Errors
    /// Those of reading its metadata, and [`io::ErrorKind::InvalidInput`] for what is no regular file: a folder, a pipe, a
    /// device have no length to announce.
    pub async fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let metadata = tokio::fs::metadata(&path).await?;
        if !metadata.is_file() {
            let what = format!("{} is not a regular file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let len = metadata.len();
        Ok(Self { path, len })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl PayloadSource for FileSource {
    type Reader = tokio::fs::File;

    fn len(&self) -> u64 {
        self.len
    }

    async fn open(&self) -> io::Result<Self::Reader> {
        tokio::fs::File::open(&self.path).await
    }
}

/// A source from a closure that opens a reader. From [`source_fn`].
#[derive(Clone)]
pub struct SourceFn<F> {
    len: u64,
    open: F,
}

/// A payload of `len` bytes from readers that `open` opens.
///
/// ```
/// let source = mqtt_client::source_fn(3, || async { Ok(&b"abc"[..]) });
/// ```
pub fn source_fn<F, A, R>(len: u64, open: F) -> SourceFn<F>
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<R>> + Send,
    R: AsyncRead + Send + Unpin + 'static,
{
    SourceFn { len, open }
}

impl<F, A, R> PayloadSource for SourceFn<F>
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<R>> + Send,
    R: AsyncRead + Send + Unpin + 'static,
{
    type Reader = R;

    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> impl Future<Output = io::Result<R>> + Send {
        (self.open)()
    }
}

impl<F> fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFn")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A source of any type.
#[derive(Clone)]
pub(crate) struct SharedSource {
    len: u32,
    source: Arc<dyn ErasedSource>,
}

pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub(crate) type Opening = Pin<Box<dyn Future<Output = io::Result<Reader>> + Send>>;

trait ErasedSource: Send + Sync {
    fn open_erased(self: Arc<Self>) -> Opening;
}

impl<S: PayloadSource> ErasedSource for S {
    fn open_erased(self: Arc<Self>) -> Opening {
        Box::pin(async move {
            let reader = self.open().await?;
            Ok(Box::pin(reader) as Reader)
        })
    }
}

impl SharedSource {
    /// `None` if it is longer than any packet.
    pub(crate) fn new(source: impl PayloadSource) -> Option<Self> {
        Some(Self {
            len: u32::try_from(source.len()).ok()?,
            source: Arc::new(source),
        })
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn open(&self) -> Opening {
        Arc::clone(&self.source).open_erased()
    }
}

impl fmt::Debug for SharedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSource")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
