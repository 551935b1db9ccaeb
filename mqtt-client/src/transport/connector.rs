//! Streams that the caller opens.
use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Stream, Transport};
use crate::{options::Address, panic::catch_async};

/// Opens the stream to the broker: through a proxy, over a serial line, to a broker in the same
/// process.
///
/// Asked at each attempt to connect, within the connect time-out. Implemented for closures from an
/// address to a future:
///
/// ```
/// use mqtt_client::{Address, ConnectOptions};
///
/// let options = ConnectOptions::new(Address::tcp("broker.example", 1883)?)
///     .connector(|address: Address| async move {
///         println!("connecting to {address} through the tunnel");
///         tokio::net::TcpStream::connect("localhost:1884").await
///     });
/// # Ok::<(), mqtt_client::AddressError>(())
/// ```
pub trait Connector: Send + Sync + 'static {
    /// What is opened. A stream that supports vectored writes is written to with fewer copies.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a stream to the broker at `address`. Dropped when the connect time-out is over.
    ///
    /// # Errors
    /// Any; the attempt fails, and the next one follows after the backoff. So it does when it panics.
    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl<F, A, S> Connector for F
where
    F: Fn(Address) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<S>> + Send,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Stream = S;

    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<S>> + Send {
        self(address.clone())
    }
}

/// A connector of any type.
#[derive(Clone)]
pub(crate) struct SharedConnector(Arc<dyn ErasedConnector>);

impl SharedConnector {
    pub(crate) fn new(connector: impl Connector) -> Self {
        Self(Arc::new(connector))
    }

    pub(super) async fn connect(&self, address: &Address) -> io::Result<Transport> {
        catch_async(self.0.connect_erased(address))
            .await
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
            .map(Transport::Custom)
    }
}

impl fmt::Debug for SharedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

trait ErasedConnector: Send + Sync {
    fn connect_erased<'a>(&'a self, address: &'a Address) -> Opening<'a>;
}

impl<C: Connector> ErasedConnector for C {
    fn connect_erased<'a>(&'a self, address: &'a Address) -> Opening<'a> {
        Box::pin(async move {
            let stream = self.connect(address).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
