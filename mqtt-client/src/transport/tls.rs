//! TLS through rustls, and what its failures mean.
use std::{fmt, io, sync::Arc};

use rustls_pki_types::ServerName;
use tokio_rustls::{
    TlsConnector,
    rustls::{self, AlertDescription, CertificateError, ClientConfig},
};

use super::Transport;
use crate::options::{Address, TlsOptionsError};

/// How TLS is done, checked.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    config: Arc<ClientConfig>,
    /// In place of the host of the address.
    server_name: Option<ServerName<'static>>,
}

impl TlsSettings {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        server_name: Option<&str>,
    ) -> Result<Self, TlsOptionsError> {
        let server_name = server_name.map(parse_server_name).transpose()?;
        Ok(Self {
            config,
            server_name,
        })
    }

    /// The name that the server at `address` must prove to have.
    pub(crate) fn server_name(
        &self,
        address: &Address,
    ) -> Result<ServerName<'static>, TlsOptionsError> {
        match (&self.server_name, address.endpoint()) {
            (Some(name), _) => Ok(name.clone()),
            (None, endpoint) => parse_server_name(endpoint.map_or("", |endpoint| endpoint.host())),
        }
    }

    pub(super) async fn handshake(
        &self,
        address: &Address,
        stream: Transport,
    ) -> Result<Transport, TlsError> {
        let name = self
            .server_name(address)
            .expect("the name of every TLS address is checked when the settings are made");
        let connector = TlsConnector::from(self.config.clone());
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
            Err(error) => Err(TlsError::new(&name, error)),
        }
    }

    /// What an I/O error of a stream to `address` means if TLS is its cause. A TLS 1.3 server
    /// refuses a client's certificate only after the handshake, so that the refusal arrives where
    /// CONNACK is awaited.
    pub(crate) fn explain(
        &self,
        address: &Address,
        error: io::Error,
    ) -> Result<TlsError, io::Error> {
        match (tls_cause(&error).is_some(), self.server_name(address)) {
            (true, Ok(name)) => Ok(TlsError::new(&name, error)),
            _ => Err(error),
        }
    }
}

/// TLS with the broker failed.
#[derive(Debug, thiserror::Error)]
#[error("TLS with server name `{server_name}`: {failure}")]
pub struct TlsError {
    server_name: String,
    failure: TlsFailure,
}

impl TlsError {
    fn new(name: &ServerName<'_>, error: io::Error) -> Self {
        Self {
            server_name: name.to_str().into_owned(),
            failure: TlsFailure::from(error),
        }
    }

    /// The name that the server had to prove to have.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// What went wrong.
    pub fn failure(&self) -> &TlsFailure {
        &self.failure
    }
}

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server's certificate was issued by no one we trust: add the right root, or the server
    /// leaves out its intermediate certificates.
    #[error("the server's certificate was issued by no one we trust")]
    UnknownIssuer,
    /// The server's certificate is for other names.
    #[error("the server's certificate is not for this name{}", Presented(.presented))]
    NameMismatch {
        /// The names it is for, as rustls tells them.
        presented: Vec<String>,
    },
    /// The server's certificate has expired, or our clock is ahead.
    #[error("the server's certificate has expired (or our clock is ahead)")]
    Expired,
    /// The server's certificate is not valid yet, or our clock is behind.
    #[error("the server's certificate is not valid yet (or our clock is behind)")]
    NotYetValid,
    /// The server's certificate was revoked.
    #[error("the server's certificate was revoked")]
    Revoked,
    /// The server's certificate names an issuer that we trust, but that one did not sign it: most
    /// likely the issuer was made anew under its old name. Or the server does not have the key.
    #[error(
        "the server's certificate is not signed by the issuer of that name that we trust, \
         or the server does not have its key"
    )]
    BadSignature,
    /// The server's certificate is refused for another reason.
    #[error("the server's certificate is refused: {0}")]
    Certificate(CertificateError),
    /// The server wants a client certificate, and none was shown.
    #[error("the server requires a client certificate")]
    ClientCertificateRequired,
    /// The server does not accept the client certificate.
    #[error("the server refused our client certificate ({0:?})")]
    ClientCertificateRefused(AlertDescription),
    /// The server speaks none of the protocols offered by ALPN.
    #[error("the server speaks none of the protocols offered by ALPN")]
    NoCommonAlpnProtocol,
    /// What came was no TLS: most likely the port of a plain `mqtt` listener.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// The server closed the connection during the handshake without a word.
    #[error("the server closed the connection during the handshake")]
    Closed,
    /// Any other error of TLS itself.
    #[error("{0}")]
    Other(rustls::Error),
    /// The connection below TLS failed.
    #[error("{0}")]
    Io(io::Error),
}

impl TlsFailure {
    /// Whether a listener without TLS answers a handshake so.
    pub(crate) fn hints_at_plain(&self) -> bool {
        match self {
            Self::NotTls | Self::Closed => true,
            // it closed with the rest of the handshake unread
            Self::Io(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        }
    }
}

impl From<io::Error> for TlsFailure {
    fn from(error: io::Error) -> Self {
        match tls_cause(&error) {
            Some(cause) => Self::from(cause.clone()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Io(error),
        }
    }
}

impl From<rustls::Error> for TlsFailure {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::from(error),
            rustls::Error::AlertReceived(alert) => Self::from(alert),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            error => Self::Other(error),
        }
    }
}

impl From<CertificateError> for TlsFailure {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::NameMismatch {
                presented: Vec::new(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::NameMismatch { presented }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadSignature => Self::BadSignature,
            error => Self::Certificate(error),
        }
    }
}

impl From<AlertDescription> for TlsFailure {
    fn from(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired => Self::ClientCertificateRequired,
            AlertDescription::NoApplicationProtocol => Self::NoCommonAlpnProtocol,
            // These speak of a certificate of the peer's peer: ours. The last one says that the signature of its issuer,
            // known by that name, is wrong.
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Self::ClientCertificateRefused(alert),
            alert => Self::Other(rustls::Error::AlertReceived(alert)),
        }
    }
}

/// Names of a certificate, for people: nothing when rustls tells none.
struct Presented<'a>(&'a [String]);

impl fmt::Display for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if index == 0 { " but for " } else { ", " })?;
        }
        Ok(())
    }
}

fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, TlsOptionsError> {
    // A final dot makes a DNS name absolute for the lookup; certificates never carry it.
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsOptionsError::ServerName {
        name: name.to_owned(),
    })
}
