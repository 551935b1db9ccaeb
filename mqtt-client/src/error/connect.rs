//! Why the broker cannot be reached.
use std::{fmt, io};

use mqtt_codec::session::Violation;
use mqtt_codec::wire::ConnectRefusal;

use crate::{
    options::{Address, BoxError, Settings},
    transport::TcpError,
};

/// An attempt to connect failed: at which address, and why.
///
/// [`is_terminal`](Self::is_terminal) tells whether trying again with the same options can help.
/// Never contains the password.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {failure}{}", Advice { address, failure })]
pub struct ConnectError {
    address: Address,
    failure: Box<ConnectFailure>,
    recovery: Recovery,
}

impl ConnectError {
    /// `failure` at `address`; `settings` tell whether another attempt can go better.
    pub(crate) fn new(settings: &Settings, address: &Address, failure: ConnectFailure) -> Self {
        Self {
            address: address.clone(),
            recovery: failure.recovery(settings),
            failure: Box::new(failure),
        }
    }

    /// The stream to `address` failed with `error` before CONNACK came;
    /// [`io::ErrorKind::UnexpectedEof`] is the broker's closing it.
    pub(crate) fn before_connack(settings: &Settings, address: &Address, error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        let error = match settings.explain_tls(address, error) {
            Ok(tls) => return Self::new(settings, address, ConnectFailure::Tls(tls)),
            Err(error) => error,
        };
        let failure = if error.kind() == io::ErrorKind::UnexpectedEof {
            ConnectFailure::Closed
        } else {
            ConnectFailure::Io(error)
        };
        Self::new(settings, address, failure)
    }

    /// The address that was tried.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Why it failed.
    pub fn failure(&self) -> &ConnectFailure {
        &self.failure
    }

    /// Whether another attempt would fail the same way, so that the client gives up: the broker
    /// does not speak MQTT 3.1.1, refuses the client id, or refuses credentials that do not come
    /// from a provider. Everything else is tried again with backoff.
    pub fn is_terminal(&self) -> bool {
        self.recovery == Recovery::Terminal
    }
}

/// Why an attempt to connect failed. The variants stand in the order of the steps of an attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The provider of credentials returned an error, [panicked](crate::Panicked), or gave credentials that CONNECT
    /// cannot carry. The caller's own code.
    #[error("no credentials: {0}")]
    Credentials(BoxError),
    /// The name of the host has no address, or the name server did not answer.
    #[error("name not found: {0}")]
    NameNotFound(io::Error),
    /// No address of the host takes a TCP connection; tells of each why.
    #[error("{0}")]
    Tcp(TcpError),
    /// The Unix socket takes no connection.
    #[error("{0}")]
    UnixSocket(io::Error),
    /// The connector returned an error or [panicked](crate::Panicked). The caller's own code.
    #[error("the connector failed: {0}")]
    Connector(io::Error),
    /// TLS failed, in the handshake or, for a refused client certificate, right after it.
    #[cfg(feature = "tls")]
    #[error("{0}")]
    Tls(crate::transport::TlsError),
    /// The connect time-out was over. TCP connections tell theirs by address, in
    /// [`Tcp`](Self::Tcp).
    #[error("timed out {during}")]
    TimedOut {
        /// What was being waited for.
        during: ConnectPhase,
    },
    /// The broker closed the connection instead of sending CONNACK.
    #[error("the broker closed the connection before CONNACK")]
    Closed,
    /// The connection was lost before CONNACK.
    #[error("connection lost before CONNACK: {0}")]
    Io(io::Error),
    /// The broker sent something malformed or illegal instead of CONNACK.
    #[error("the broker broke the protocol: {0}")]
    Protocol(Violation),
    /// The broker said no, and why (CONNACK 1 to 5).
    #[error("the broker refused the connection: {0}")]
    Refused(ConnectRefusal),
}

impl ConnectFailure {
    fn recovery(&self, settings: &Settings) -> Recovery {
        let Self::Refused(refusal) = self else {
            return Recovery::Retryable;
        };
        match refusal {
            ConnectRefusal::UnacceptableProtocolVersion | ConnectRefusal::IdentifierRejected => {
                Recovery::Terminal
            }
            ConnectRefusal::BadUserNameOrPassword | ConnectRefusal::NotAuthorized
                if !settings.credentials.may_change() =>
            {
                Recovery::Terminal
            }
            _ => Recovery::Retryable,
        }
    }
}

impl ConnectFailure {
    /// Whether the broker ended the connection instead of answering; with bytes of ours unread that is a reset.
    fn is_closing(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        }
    }
}

/// What is most likely wrong, if something other than an MQTT broker answers as this one did. The bytes themselves are
/// nobody's business here: the rule they broke tells enough.
struct Advice<'a> {
    address: &'a Address,
    failure: &'a ConnectFailure,
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = matches!(self.address, Address::Tcp(_));
        f.write_str(match self.failure {
            ConnectFailure::Protocol(_) if is_plain => {
                "; no MQTT broker answers so: a TLS listener does (then use `mqtts://` and its port, usually 8883), or a web \
                 server"
            }
            ConnectFailure::Protocol(_) => {
                "; no MQTT broker answers so: this may be the port of a web server, or of MQTT over WebSockets"
            }
            failure if is_plain && failure.is_closing() => {
                "; a listener for TLS may do that (then use `mqtts://`), and a broker that does not want this client: its \
                 log may tell"
            }
            ConnectFailure::TimedOut {
                during: ConnectPhase::ConnAck,
            } => "; what listens there may not be an MQTT broker",
            #[cfg(feature = "tls")]
            ConnectFailure::TimedOut {
                during: ConnectPhase::TlsHandshake,
            } => "; what listens there may not speak TLS (then use `mqtt://` and its port, usually 1883)",
            #[cfg(feature = "tls")]
            ConnectFailure::Tls(error) if error.failure().hints_at_plain() => {
                "; a plain listener does that (then use `mqtt://` and its port, usually 1883)"
            }
            ConnectFailure::Refused(ConnectRefusal::NotAuthorized) => {
                "; check user, password and the broker's access list"
            }
            _ => "",
        })
    }
}

/// A step of an attempt to connect that waits for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectPhase {
    /// The provider of credentials.
    Credentials,
    /// The name server.
    NameLookup,
    /// The Unix socket.
    UnixSocket,
    /// The caller's connector.
    Connector,
    /// The TLS handshake.
    TlsHandshake,
    /// The broker's answer to CONNECT.
    ConnAck,
}

impl fmt::Display for ConnectPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "asking the provider for credentials",
            Self::NameLookup => "looking up the name",
            Self::UnixSocket => "connecting to the Unix socket",
            Self::Connector => "waiting for the connector",
            Self::TlsHandshake => "in the TLS handshake",
            Self::ConnAck => "waiting for CONNACK",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Retryable,
    Terminal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ConnectOptions;

    fn error(url: &str, failure: ConnectFailure) -> ConnectError {
        let settings = url.parse::<ConnectOptions>().unwrap().settings().unwrap();
        ConnectError::new(&settings, settings.address(0), failure)
    }

    #[test]
    fn says_which_broker_and_what_its_refusal_means_but_no_password() {
        for code in 1..=5 {
            let refusal = ConnectRefusal::from_code(code).unwrap();
            let error = error(
                "mqtt://user:s3cret@broker.example",
                ConnectFailure::Refused(refusal),
            );
            let shown = error.to_string();
            assert!(
                shown.starts_with("mqtt://broker.example:1883: the broker refused"),
                "{shown}"
            );
            assert!(shown.contains(&refusal.to_string()), "{shown}");
            let advised = shown.contains("; check user, password and the broker's access list");
            assert_eq!(advised, code == 5, "{shown}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn advises_only_where_the_port_may_be_the_wrong_one() {
        for (failure, advised) in [
            (ConnectFailure::Closed, true),
            (
                ConnectFailure::Protocol(Violation::FirstPacketNotConnAck),
                true,
            ),
            (
                ConnectFailure::TimedOut {
                    during: ConnectPhase::NameLookup,
                },
                false,
            ),
            (
                ConnectFailure::Io(io::ErrorKind::ConnectionReset.into()),
                true,
            ),
            (ConnectFailure::Io(io::ErrorKind::NetworkDown.into()), false),
        ] {
            let shown = error("mqtt://b", failure).to_string();
            assert_eq!(shown.contains("; "), advised, "{shown}");
            assert_eq!(shown.contains("TLS"), advised, "{shown}");
        }
    }

    #[test]
    fn a_refusal_that_stays_is_terminal() {
        let terminal =
            |refusal| error("mqtt://u:p@b", ConnectFailure::Refused(refusal)).is_terminal();
        assert!(terminal(ConnectRefusal::UnacceptableProtocolVersion));
        assert!(terminal(ConnectRefusal::IdentifierRejected));
        assert!(!terminal(ConnectRefusal::ServerUnavailable));
        assert!(terminal(ConnectRefusal::BadUserNameOrPassword));
        assert!(terminal(ConnectRefusal::NotAuthorized));
        assert!(!error("mqtt://b", ConnectFailure::Closed).is_terminal());
    }

    #[test]
    fn refused_credentials_of_a_provider_are_asked_for_again() {
        let options: ConnectOptions = "mqtt://b".parse().unwrap();
        let provider = || async { Ok::<_, BoxError>(crate::options::Credentials::user("u")) };
        let settings = options.credentials_provider(provider).settings().unwrap();
        for refusal in [
            ConnectRefusal::BadUserNameOrPassword,
            ConnectRefusal::NotAuthorized,
        ] {
            let error = ConnectError::new(
                &settings,
                settings.address(0),
                ConnectFailure::Refused(refusal),
            );
            assert!(!error.is_terminal());
        }
    }

    #[test]
    fn end_of_stream_before_connack_is_the_broker_closing() {
        let settings = "mqtt://b"
            .parse::<ConnectOptions>()
            .unwrap()
            .settings()
            .unwrap();
        let failure = |kind: io::ErrorKind| {
            ConnectError::before_connack(&settings, settings.address(0), kind.into()).failure
        };
        assert!(matches!(
            *failure(io::ErrorKind::UnexpectedEof),
            ConnectFailure::Closed
        ));
        assert!(matches!(
            *failure(io::ErrorKind::ConnectionReset),
            ConnectFailure::Io(_)
        ));
    }
}
