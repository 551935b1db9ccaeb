use core::{error, fmt};

use embedded_io_async::{ErrorKind, Read, Write};

/// Opens connections to the broker, one after the other.
///
/// The client drops the connection before it opens the next; dropping it must close it.
#[allow(
    async_fn_in_trait,
    reason = "executors of one thread need no bound on the future, and the client adds none"
)]
pub trait Connector {
    /// A stream of bytes in both directions.
    ///
    /// Its `read` must be cancel-safe, as embassy-net's is: a future that is dropped before it completes has taken no
    /// byte. The client drops it whenever it has something to send. `write` is never dropped half-way, except to close
    /// the connection.
    ///
    /// Both take `&mut self`, so while a `write` is pending nothing is read. A transport whose buffers are full in both
    /// directions, with a broker that takes nothing before its own bytes are taken, stays so until
    /// [`Options::write_timeout`](crate::Options::write_timeout) is over; then the connection is closed and the session
    /// resumes with the next one. Send and receive buffers in the transport make that rare.
    type Connection<'c>: Read + Write
    where
        Self: 'c;

    /// Opens a connection. Dropped when [`Options::connect_timeout`](crate::Options::connect_timeout) is over, or the
    /// client ends.
    async fn connect(&mut self) -> Result<Self::Connection<'_>, ConnectError>;

    /// When to call `flush` of a connection. Default: after each write.
    fn flushing(&self) -> Flushing {
        Flushing::EachWrite
    }
}

/// When the client calls `flush` of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flushing {
    /// Whenever all that waited is written: for connections that keep bytes back, as TLS does.
    EachWrite,
    /// Once, behind DISCONNECT: for those that send by themselves, and whose `flush` waits for the peer, as that of
    /// TCP sockets does.
    AtEnd,
}

/// Why no connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's name has no address, or it could not be asked for.
    UnknownHost,
    /// The transport has failed: refused, unreachable, out of sockets.
    Transport(ErrorKind),
    /// Not within [`Options::connect_timeout`](crate::Options::connect_timeout).
    TimedOut,
    /// The connection was closed before the broker answered.
    Closed,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownHost => "unknown host",
            Self::Transport(ErrorKind::ConnectionRefused) => "connection refused",
            Self::Transport(kind) => return write!(f, "connection failed: {kind}"),
            Self::TimedOut => "no connection in time",
            Self::Closed => "connection closed before the broker answered",
        })
    }
}

impl error::Error for ConnectError {}

#[cfg(feature = "tcp")]
mod tcp {
    use core::net::{IpAddr, SocketAddr};

    use embedded_io_async::Error as _;
    use embedded_nal_async::{AddrType, Dns, TcpConnect};

    use super::{ConnectError, Connector, Flushing};

    /// TCP to a host by name or address, over the network stack of your choice.
    ///
    /// With embassy-net: `TcpConnector::new(&tcp_client, DnsSocket::new(stack), "broker.example", 1883)`, where
    /// `tcp_client` is an `embassy_net::tcp::client::TcpClient`. The name is looked up anew for each connection.
    #[derive(Debug)]
    pub struct TcpConnector<'h, T, D> {
        tcp: T,
        dns: D,
        host: &'h str,
        port: u16,
    }

    impl<'h, T: TcpConnect, D: Dns> TcpConnector<'h, T, D> {
        /// A connector to `host`, a name or an IP address, at `port`.
        pub const fn new(tcp: T, dns: D, host: &'h str, port: u16) -> Self {
            Self {
                tcp,
                dns,
                host,
                port,
            }
        }

        async fn address(&self) -> Result<IpAddr, ConnectError> {
            if let Ok(address) = self.host.parse() {
                return Ok(address);
            }
            self.dns
                .get_host_by_name(self.host, AddrType::Either)
                .await
                .map_err(|_| ConnectError::UnknownHost)
        }
    }

    impl<T: TcpConnect, D: Dns> Connector for TcpConnector<'_, T, D> {
        type Connection<'c>
            = T::Connection<'c>
        where
            Self: 'c;

        async fn connect(&mut self) -> Result<Self::Connection<'_>, ConnectError> {
            let address = SocketAddr::new(self.address().await?, self.port);
            self.tcp
                .connect(address)
                .await
                .map_err(|error| ConnectError::Transport(error.kind()))
        }

        fn flushing(&self) -> Flushing {
            Flushing::AtEnd
        }
    }
}

#[cfg(feature = "tcp")]
pub use tcp::TcpConnector;
