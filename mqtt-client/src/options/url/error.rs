//! What is wrong with a URL.
use super::PARAMETERS;
use crate::options::AddressError;

/// Why a text is not a broker URL. Never contains the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not start with a scheme.
    #[error("the URL has no scheme: write mqtt://host:port, mqtts://host:port or unix:/path")]
    NoScheme,
    /// The scheme is none of ours.
    #[error("unknown scheme `{scheme}`: known are mqtt, mqtts and unix")]
    UnknownScheme {
        /// The scheme as written.
        scheme: String,
    },
    /// `mqtts://`, or the parameter `ca_file`, in a build without the feature `tls`.
    #[error("TLS needs the cargo feature `tls`, which this program was built without")]
    TlsNotBuilt,
    /// `unix:` on a system without Unix sockets.
    #[error("unix: URLs need a system with Unix sockets")]
    UnixNotSupported,
    /// The host, the port or the path of the socket is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A path after the host: MQTT has none.
    #[error(
        "a broker URL has no path after the host (percent-encode `/` in user and password as %2F)"
    )]
    Path,
    /// `unix://host/path`: a socket has no host.
    #[error("a unix: URL names no host: write unix:/path or unix:///path")]
    UnixHost,
    /// A `#`, which begins a fragment: a broker URL has none.
    #[error("a broker URL has no fragment (percent-encode `#` as %23)")]
    Fragment,
    /// An `@` stands after the host. Most likely the user or the password holds a `/`, `?` or `#`
    /// that had to be percent-encoded.
    #[error(
        "`@` after the host: percent-encode `/`, `?`, `#` in user and password as %2F, %3F, %23, and `@` in values as %40"
    )]
    UnescapedAt,
    /// A `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
    #[error("bad percent-escape: `%` needs two hexadecimal digits, and the result must be UTF-8")]
    PercentEscape,
    /// A query parameter that does not exist.
    #[error("unknown parameter {parameter:?}: known are {}", PARAMETERS.join(", "))]
    UnknownParameter {
        /// Its name as written.
        parameter: String,
    },
    /// A query parameter that does not exist, in a URL with a password. Its name is not told: it is
    /// a piece of the password if that holds an `&` that had to be percent-encoded.
    #[error(
        "unknown parameter in a URL with a password (percent-encode `&` in the password as %26): known are {}",
        PARAMETERS.join(", ")
    )]
    UnknownAfterPassword,
    /// A query parameter, or the user or password beside one, given twice.
    #[error("parameter `{parameter}` is given twice")]
    DuplicateParameter {
        /// Its name.
        parameter: &'static str,
    },
    /// A query parameter's value is not what it must be.
    #[error("parameter `{parameter}` must be {expected}")]
    ParameterValue {
        /// Its name.
        parameter: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A password without a user name, which MQTT 3.1.1 cannot say `[MQTT-3.1.2-22]`.
    #[error("a password needs a user name [MQTT-3.1.2-22]")]
    PasswordWithoutUser,
    /// User, password or parameters where an address alone is expected.
    #[error(
        "only scheme, host and port (or the path of a socket) belong here: no user, password or parameters"
    )]
    MoreThanAnAddress,
}
