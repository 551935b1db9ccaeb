//! Where a broker is reached.
use std::{fmt, net::SocketAddr, sync::Arc};

#[cfg(unix)]
use std::path::{Path, PathBuf};

/// One address of the broker: how it is reached and where.
///
/// It displays as the URL it stands for, without user and password, and is so named in every error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `mqtt://host:port`: plain TCP.
    Tcp(Endpoint),
    /// `mqtts://host:port`: TLS over TCP.
    #[cfg(feature = "tls")]
    Tls(Endpoint),
    /// `unix:/path`: a Unix stream socket.
    #[cfg(unix)]
    Unix(Arc<Path>),
}

impl Address {
    /// The port of `mqtt://` when the URL names none.
    pub const DEFAULT_TCP_PORT: u16 = 1883;
    /// The port of `mqtts://` when the URL names none.
    pub const DEFAULT_TLS_PORT: u16 = 8883;

    /// Plain TCP to `host`, a DNS name or an IP address (IPv6 with or without brackets).
    ///
    /// # Errors
    /// See [`Endpoint::new`].
    pub fn tcp(host: &str, port: u16) -> Result<Self, AddressError> {
        Endpoint::new(host, port).map(Self::Tcp)
    }

    /// TLS over TCP to `host`, which is also the name the server's certificate must carry.
    ///
    /// # Errors
    /// See [`Endpoint::new`].
    #[cfg(feature = "tls")]
    pub fn tls(host: &str, port: u16) -> Result<Self, AddressError> {
        Endpoint::new(host, port).map(Self::Tls)
    }

    /// A Unix stream socket; a relative path is looked up from the working directory at each
    /// attempt.
    ///
    /// # Errors
    /// [`AddressError::EmptyPath`].
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, AddressError> {
        let path = path.into();
        if path.as_os_str().is_empty() {
            return Err(AddressError::EmptyPath);
        }
        Ok(Self::Unix(path.into()))
    }

    /// Host and port, unless this is a Unix socket.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Tcp(endpoint) => Some(endpoint),
            #[cfg(feature = "tls")]
            Self::Tls(endpoint) => Some(endpoint),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    /// Plain TCP to this address. Port 0 is not refused here; connecting to it fails.
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(Endpoint {
            host: address.ip().to_string().into(),
            port: address.port(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => write!(f, "mqtt://{endpoint}"),
            #[cfg(feature = "tls")]
            Self::Tls(endpoint) => write!(f, "mqtts://{endpoint}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A host and a port. Displays as `host:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Arc<str>,
    port: u16,
}

impl Endpoint {
    /// Checks `host` (a DNS name of at most 253 ASCII letters, digits, `-`, `_` and `.`, or an IP
    /// address, IPv6 with or without brackets) and `port` (1 to 65535). An international name must
    /// be given in its ASCII form (`xn--…`).
    ///
    /// # Errors
    /// [`AddressError::EmptyHost`], [`AddressError::InvalidHost`],
    /// [`AddressError::PortOutOfRange`].
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if host.is_empty() {
            return Err(AddressError::EmptyHost);
        }
        if port == 0 {
            return Err(AddressError::PortOutOfRange);
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let is_v6 = bare.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_v6 && !is_dns_name(host) {
            return Err(AddressError::InvalidHost);
        }
        Ok(Self {
            host: bare.into(),
            port,
        })
    }

    /// The DNS name or IP address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// An address the caller gave is none. It names no text of the input, which may be part of a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The host is missing.
    #[error("the host is empty")]
    EmptyHost,
    /// The host is neither a DNS name nor an IP address.
    #[error(
        "the host is neither a DNS name (ASCII letters, digits, `-`, `_`, `.`, at most 253) nor an IP address (IPv6 in brackets)"
    )]
    InvalidHost,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    PortOutOfRange,
    /// The path of the Unix socket is missing.
    #[error("the path of the Unix socket is empty")]
    EmptyPath,
}

fn is_dns_name(host: &str) -> bool {
    // RFC 1035: 253 characters in all, labels of 1 to 63; a final dot makes the name absolute.
    let labels = host.strip_suffix('.').unwrap_or(host);
    labels.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_the_url_it_stands_for() {
        let shown = |address: Result<Address, AddressError>| address.unwrap().to_string();
        assert_eq!(shown(Address::tcp("broker", 1883)), "mqtt://broker:1883");
        assert_eq!(shown(Address::tcp("::1", 1883)), "mqtt://[::1]:1883");
        assert_eq!(shown(Address::tcp("[::1]", 1)), "mqtt://[::1]:1");
        #[cfg(feature = "tls")]
        assert_eq!(shown(Address::tls("b.example", 2)), "mqtts://b.example:2");
        #[cfg(unix)]
        assert_eq!(shown(Address::unix("/run/m.sock")), "unix:/run/m.sock");
        let socket: SocketAddr = "[::1]:99".parse().unwrap();
        assert_eq!(Address::from(socket).to_string(), "mqtt://[::1]:99");
    }

    #[test]
    fn refuses_hosts_that_are_neither_name_nor_address() {
        for host in [
            "[::1",
            "a b",
            "a..b",
            ".",
            "a/b",
            "ü.example",
            "1:2",
            "[a]",
            "a@b",
        ] {
            assert_eq!(
                Endpoint::new(host, 1),
                Err(AddressError::InvalidHost),
                "{host}"
            );
        }
        let label = "a".repeat(64);
        assert_eq!(Endpoint::new(&label, 1), Err(AddressError::InvalidHost));
        let long = ["a"; 128].join(".");
        assert_eq!(Endpoint::new(&long, 1), Err(AddressError::InvalidHost));
        assert_eq!(Endpoint::new("", 1), Err(AddressError::EmptyHost));
        assert_eq!(Endpoint::new("a", 0), Err(AddressError::PortOutOfRange));
        #[cfg(unix)]
        assert_eq!(Address::unix(""), Err(AddressError::EmptyPath));
    }

    #[test]
    fn accepts_names_and_addresses() {
        for host in [
            "localhost",
            "a.example.",
            "my_broker-1",
            "10.0.0.1",
            "fe80::1",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(Endpoint::new(host, 1).unwrap().host(), host);
        }
    }
}
