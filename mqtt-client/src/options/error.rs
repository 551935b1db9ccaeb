//! What the caller got wrong in the options.
use mqtt_codec::wire::StringError;

use super::{CredentialsError, Filter, SessionStart, UrlError};

/// Options that cannot be used. The caller must change them: trying again does not help. Never
/// contains the password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The text given as a URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The session outlives the connection, so the broker must know it by a client id, and none is
    /// given.
    #[error("a session that starts with `{start}` needs a client id")]
    ClientIdRequired {
        /// How the session was to start.
        start: SessionStart,
    },
    /// The client id cannot be written into a CONNECT: over 65,535 bytes, or with U+0000.
    #[error("wrong client id: {0}")]
    ClientId(StringError),
    /// The keep alive is over 65,535 s, the most that CONNECT can say.
    #[error("a keep alive of {seconds} s is over 65535 s")]
    KeepAliveTooLong {
        /// Its whole seconds.
        seconds: u64,
    },
    /// The keep alive is not a whole number of seconds, and CONNECT says only those.
    #[error("the keep alive is not a whole number of seconds")]
    KeepAliveNotWhole,
    /// An option is outside its range.
    #[error("option `{option}` must be {allowed}")]
    OutOfRange {
        /// Its name, as the method that sets it.
        option: &'static str,
        /// What it must be.
        allowed: &'static str,
    },
    /// User name or password cannot be written into a CONNECT.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A filter is declared twice.
    #[error("the subscription to `{filter}` is declared twice")]
    DuplicateSubscription {
        /// The filter.
        filter: Filter,
    },
    /// A subscription is declared with QoS 2, which this client does not receive.
    #[error("the subscription to `{filter}` asks for QoS 2; this client receives QoS 0 and 1")]
    QoS2Subscription {
        /// The filter.
        filter: Filter,
    },
    /// An option for TLS without an address that uses TLS: the connection would be in plain text.
    #[cfg(feature = "tls")]
    #[error("`{option}` is for TLS, and no address uses it: write mqtts://host")]
    TlsWithoutAddress {
        /// The option's name, as the method that sets it.
        option: &'static str,
    },
    /// The TLS options contradict one another or lack something.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] super::TlsOptionsError),
}

/// Options that are options already.
impl From<std::convert::Infallible> for OptionsError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
