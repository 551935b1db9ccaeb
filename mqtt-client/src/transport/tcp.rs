//! TCP: every address of a name, within the time-out.
use std::{fmt, io, net::SocketAddr};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::{ConnectFailure, ConnectPhase},
    options::Endpoint,
};

/// Opens a TCP stream to the first address of `endpoint` that answers. The name is looked up anew
/// at each call.
pub(super) async fn connect(
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<TcpStream, ConnectFailure> {
    let addresses: Vec<SocketAddr> =
        match timeout_at(deadline, lookup_host((endpoint.host(), endpoint.port()))).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(ConnectFailure::NameNotFound(error)),
            Err(_) => {
                return Err(ConnectFailure::TimedOut {
                    during: ConnectPhase::NameLookup,
                });
            }
        };
    if addresses.is_empty() {
        let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(ConnectFailure::NameNotFound(error));
    }
    connect_any(&addresses, deadline)
        .await
        .map_err(ConnectFailure::Tcp)
}

/// Tries one address after the other. Each gets an equal share of the time that is left, so that
/// one which swallows everything does not keep us from the others.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, TcpError> {
    let mut attempts = Vec::new();
    for (address, left) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let result = match timeout(share, TcpStream::connect(address)).await {
            Ok(result) => result.and_then(without_delay),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => attempts.push(TcpAttempt {
                address: *address,
                error,
            }),
        }
    }
    Err(TcpError { attempts })
}

/// Every packet goes out at once: what is worth gathering is gathered before the write.
fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// No address of the broker's name took a TCP connection.
#[derive(Debug)]
pub struct TcpError {
    attempts: Vec<TcpAttempt>,
}

impl TcpError {
    /// Every address that was tried, in order; at least one.
    pub fn attempts(&self) -> &[TcpAttempt] {
        &self.attempts
    }
}

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.attempts.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            attempt.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for TcpError {}

/// One address that took no TCP connection.
#[derive(Debug)]
pub struct TcpAttempt {
    address: SocketAddr,
    error: io::Error,
}

impl TcpAttempt {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why it took none.
    pub fn reason(&self) -> TcpReason {
        match self.error.kind() {
            io::ErrorKind::ConnectionRefused => TcpReason::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                TcpReason::Unreachable
            }
            io::ErrorKind::TimedOut => TcpReason::TimedOut,
            _ => TcpReason::Other,
        }
    }

    /// The error of the operating system; for our own time-out its kind alone.
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for TcpAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.reason() {
            TcpReason::Refused => write!(f, "{address} refused the connection"),
            TcpReason::Unreachable => write!(f, "{address} is unreachable"),
            TcpReason::TimedOut => write!(f, "{address} did not answer in time"),
            TcpReason::Other => write!(f, "{address}: {}", self.error),
        }
    }
}

/// Why an address took no TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpReason {
    /// Nobody listens on the port, or a firewall says no.
    Refused,
    /// There is no route to the host or its network.
    Unreachable,
    /// No answer within this address's share of the connect time-out.
    TimedOut,
    /// Anything else: see [`TcpAttempt::io_error`].
    Other,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    async fn closed_port() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn tries_every_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = connect_any(&[closed_port().await, open], in_seconds(10))
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn tells_of_every_address_why_it_failed() {
        let closed = [closed_port().await, closed_port().await];
        let error = connect_any(&closed, in_seconds(10)).await.unwrap_err();
        let told: Vec<_> = error
            .attempts()
            .iter()
            .map(|a| (a.address(), a.reason()))
            .collect();
        assert_eq!(told, closed.map(|address| (address, TcpReason::Refused)));
        let expected = format!(
            "{} refused the connection; {} refused the connection",
            closed[0], closed[1]
        );
        assert_eq!(error.to_string(), expected);
    }

    /// Linux drops a SYN when the queue of a listener is full, so that connecting hangs.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_next() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let _queued = [
            TcpStream::connect(silent).await,
            TcpStream::connect(silent).await,
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();

        let error = connect_any(&[silent], Instant::now()).await.unwrap_err();
        assert_eq!(error.attempts()[0].reason(), TcpReason::TimedOut);
        let deadline = in_seconds(1);
        let stream = connect_any(&[silent, open], deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(Instant::now() < deadline);
    }

    #[test]
    fn names_the_reason() {
        let reason = |kind: io::ErrorKind| {
            let attempt = TcpAttempt {
                address: "[::1]:1".parse().unwrap(),
                error: kind.into(),
            };
            (attempt.reason(), attempt.to_string())
        };
        let unreachable = (TcpReason::Unreachable, "[::1]:1 is unreachable".to_owned());
        assert_eq!(reason(io::ErrorKind::HostUnreachable), unreachable);
        assert_eq!(reason(io::ErrorKind::NetworkUnreachable), unreachable);
        assert_eq!(reason(io::ErrorKind::PermissionDenied).0, TcpReason::Other);
    }
}
