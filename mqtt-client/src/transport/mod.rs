//! Byte streams to the broker: how they are opened, secured and told apart.
mod connector;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

use std::{future::Future, io};

use tokio::time::{Instant, timeout_at};

#[cfg(feature = "tls")]
pub(crate) use self::tls::TlsSettings;
#[cfg(feature = "tls")]
pub use self::tls::{TlsError, TlsFailure};
pub use self::{
    connector::Connector,
    tcp::{TcpAttempt, TcpError, TcpReason},
};
pub(crate) use self::{
    connector::SharedConnector,
    stream::{Stream, Transport},
};
use crate::{
    error::{ConnectError, ConnectFailure, ConnectPhase},
    options::{Address, Settings},
};

/// Opens a stream to the broker at `address`, TLS included. Waits for names, sockets, connectors
/// and handshakes until `deadline`; dropped, it closes what it has opened.
pub(crate) async fn open(
    settings: &Settings,
    address: &Address,
    deadline: Instant,
) -> Result<Transport, ConnectError> {
    let opening = async {
        let stream = open_plain(settings, address, deadline).await?;
        secure(settings, address, stream, deadline).await
    };
    opening
        .await
        .map_err(|failure| ConnectError::new(settings, address, failure))
}

async fn open_plain(
    settings: &Settings,
    address: &Address,
    deadline: Instant,
) -> Result<Transport, ConnectFailure> {
    if let Some(connector) = &settings.connector {
        let opening = connector.connect(address);
        return within(
            deadline,
            ConnectPhase::Connector,
            opening,
            ConnectFailure::Connector,
        )
        .await;
    }
    match address {
        #[cfg(feature = "tls")]
        Address::Tls(endpoint) => tcp::connect(endpoint, deadline).await.map(Transport::Tcp),
        Address::Tcp(endpoint) => tcp::connect(endpoint, deadline).await.map(Transport::Tcp),
        #[cfg(unix)]
        Address::Unix(path) => {
            let opening = tokio::net::UnixStream::connect(path);
            within(
                deadline,
                ConnectPhase::UnixSocket,
                opening,
                ConnectFailure::UnixSocket,
            )
            .await
            .map(Transport::Unix)
        }
    }
}

#[cfg(feature = "tls")]
async fn secure(
    settings: &Settings,
    address: &Address,
    stream: Transport,
    deadline: Instant,
) -> Result<Transport, ConnectFailure> {
    match (address, &settings.tls) {
        (Address::Tls(_), Some(tls)) => {
            let handshake = tls.handshake(address, stream);
            match timeout_at(deadline, handshake).await {
                Ok(result) => result.map_err(ConnectFailure::Tls),
                Err(_) => Err(ConnectFailure::TimedOut {
                    during: ConnectPhase::TlsHandshake,
                }),
            }
        }
        _ => Ok(stream),
    }
}

#[cfg(not(feature = "tls"))]
async fn secure(
    _: &Settings,
    _: &Address,
    stream: Transport,
    _: Instant,
) -> Result<Transport, ConnectFailure> {
    Ok(stream)
}

async fn within<T>(
    deadline: Instant,
    during: ConnectPhase,
    opening: impl Future<Output = io::Result<T>>,
    failure: fn(io::Error) -> ConnectFailure,
) -> Result<T, ConnectFailure> {
    match timeout_at(deadline, opening).await {
        Ok(result) => result.map_err(failure),
        Err(_) => Err(ConnectFailure::TimedOut { during }),
    }
}
