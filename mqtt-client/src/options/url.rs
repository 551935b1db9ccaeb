//! The three schemes of broker URLs. No general URL parser: those bring Unicode tables that a
//! broker's address never needs.
//!
//! A password may stand in the text being parsed, and a careless one (`/`, `?` or `#` not
//! percent-encoded) moves the boundaries of the parts. So no error repeats a part of the URL except
//! a scheme or a parameter's name, and these only after it is certain that they cannot be a piece
//! of the password: see [`UrlError::UnescapedAt`].
use std::{borrow::Cow, str::FromStr, time::Duration};

use super::{Address, AddressError, ConnectOptions, Credentials, Endpoint, SessionStart, tuning};

/// The query parameters of a broker URL, in the order in which errors list them.
const PARAMETERS: [&str; 12] = [
    "client_id",
    "start",
    "user",
    "password",
    "keep_alive",
    "connect_timeout",
    "write_timeout",
    "stall_timeout",
    "ack_timeout",
    "max_attempts",
    "in_flight",
    "packet_limit",
];

impl FromStr for ConnectOptions {
    type Err = UrlError;

    /// The crate page lists the parameters. Ranges and combinations are checked by
    /// [`ConnectOptions::validate`].
    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (address, user_info, query) = split(url)?;
        let mut options = Self::new(address);
        let mut login = Login::from_user_info(user_info)?;
        let mut seen = [false; PARAMETERS.len()];
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(index) = PARAMETERS.iter().position(|known| *known == name) else {
                return Err(match login.password {
                    None => UrlError::UnknownParameter {
                        parameter: name.to_owned(),
                    },
                    Some(_) => UrlError::UnknownAfterPassword,
                });
            };
            let parameter = PARAMETERS[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(UrlError::DuplicateParameter { parameter });
            }
            let value = Value {
                parameter,
                text: percent_decode(value)?,
            };
            options = match parameter {
                "user" => {
                    login.set_user(value.text.into_owned())?;
                    options
                }
                "password" => {
                    login.set_password(value.text.into_owned())?;
                    options
                }
                _ => options.with_parameter(&value)?,
            };
        }
        if let Some(credentials) = login.finish()? {
            options = options.credentials(credentials);
        }
        Ok(options)
    }
}

impl TryFrom<&str> for ConnectOptions {
    type Error = UrlError;

    fn try_from(url: &str) -> Result<Self, UrlError> {
        url.parse()
    }
}

impl TryFrom<String> for ConnectOptions {
    type Error = UrlError;

    fn try_from(url: String) -> Result<Self, UrlError> {
        url.parse()
    }
}

impl FromStr for Address {
    type Err = UrlError;

    /// An address alone: a URL with neither user, password nor parameters.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (address, user_info, query) = split(url)?;
        if user_info.is_some() || !query.is_empty() {
            return Err(UrlError::MoreThanAnAddress);
        }
        Ok(address)
    }
}

impl TryFrom<&str> for Address {
    type Error = UrlError;

    fn try_from(url: &str) -> Result<Self, UrlError> {
        url.parse()
    }
}

impl ConnectOptions {
    fn with_parameter(self, value: &Value<'_>) -> Result<Self, UrlError> {
        Ok(match value.parameter {
            "client_id" => self.client_id(&*value.text),
            "start" => self.session_start(value.session_start()?),
            "keep_alive" => self.keep_alive(value.keep_alive()?),
            "connect_timeout" => self.connect_timeout(value.seconds()?),
            "write_timeout" => self.write_timeout(value.seconds()?),
            "stall_timeout" => self.stall_timeout(value.seconds()?),
            "ack_timeout" => self.ack_timeout(value.seconds()?),
            "max_attempts" => self.max_attempts(value.number()?),
            "in_flight" => self.in_flight(value.number()?),
            "packet_limit" => self.packet_limit(value.number()?),
            parameter => {
                unreachable!("`{parameter}` is not in PARAMETERS or is handled by the caller")
            }
        })
    }
}

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
    /// `mqtts://` in a build without the feature `tls`.
    #[error("mqtts:// needs the cargo feature `tls`, which this program was built without")]
    TlsNotBuilt,
    /// `unix:` on a system without Unix sockets.
    #[error("unix: URLs need a system with Unix sockets")]
    UnixNotSupported,
    /// The host, the port or the path of the socket is wrong.
    #[error("wrong address in URL: {0}")]
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
        "`@` after the host: percent-encode it as %40 there, and `/`, `?`, `#` in user and password as %2F, %3F, %23"
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

type Parts<'a> = (Address, Option<&'a str>, &'a str);

/// The address, what stands before the `@`, and the query.
fn split(url: &str) -> Result<Parts<'_>, UrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(UrlError::NoScheme)?;
    match (
        scheme.to_ascii_lowercase().as_str(),
        rest.strip_prefix("//"),
    ) {
        ("unix", _) => split_unix(rest),
        ("mqtt", Some(rest)) => split_network(rest, Address::DEFAULT_TCP_PORT, |endpoint| {
            Ok(Address::Tcp(endpoint))
        }),
        ("mqtts", Some(rest)) => split_network(rest, Address::DEFAULT_TLS_PORT, tls_address),
        (_, Some(_)) if is_scheme(scheme) => Err(UrlError::UnknownScheme {
            scheme: scheme.to_owned(),
        }),
        // `user:secret@host` and `host:1883` come here too: what stands before the colon is not
        // repeated.
        _ => Err(UrlError::NoScheme),
    }
}

fn split_network(
    rest: &str,
    default_port: u16,
    address: impl FnOnce(Endpoint) -> Result<Address, UrlError>,
) -> Result<Parts<'_>, UrlError> {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let query = split_tail(tail, "/")?;
    let (user_info, host_port) = match authority.rsplit_once('@') {
        Some((user_info, host_port)) => {
            (Some(user_info).filter(|info| !info.is_empty()), host_port)
        }
        None => (None, authority),
    };
    let (host, port) = split_host(host_port)?;
    let port = match port {
        None => default_port,
        // `u16::from_str` alone would take `+1`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| AddressError::PortOutOfRange)?
        }
        Some(_) => return Err(AddressError::PortOutOfRange.into()),
    };
    Ok((address(Endpoint::new(host, port)?)?, user_info, query))
}

/// The query of what follows the authority, which may hold nothing else but `path`.
fn split_tail<'a>(tail: &'a str, path: &str) -> Result<&'a str, UrlError> {
    if tail.contains('@') {
        return Err(UrlError::UnescapedAt);
    }
    if tail.contains('#') {
        return Err(UrlError::Fragment);
    }
    let (before, query) = tail.split_once('?').unwrap_or((tail, ""));
    if !before.is_empty() && before != path {
        return Err(UrlError::Path);
    }
    Ok(query)
}

/// Host (IPv6 still in brackets) and the text of the port.
fn split_host(host_port: &str) -> Result<(&str, Option<&str>), AddressError> {
    let host_end = if host_port.starts_with('[') {
        host_port.find(']').ok_or(AddressError::InvalidHost)? + 1
    } else {
        host_port.find(':').unwrap_or(host_port.len())
    };
    let (host, port) = host_port.split_at(host_end);
    match port.strip_prefix(':') {
        Some(digits) => Ok((host, Some(digits))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(AddressError::InvalidHost),
    }
}

#[cfg(feature = "tls")]
fn tls_address(endpoint: Endpoint) -> Result<Address, UrlError> {
    Ok(Address::Tls(endpoint))
}

#[cfg(not(feature = "tls"))]
fn tls_address(_: Endpoint) -> Result<Address, UrlError> {
    Err(UrlError::TlsNotBuilt)
}

#[cfg(unix)]
fn split_unix(rest: &str) -> Result<Parts<'_>, UrlError> {
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, tail) = rest.split_at(path_end);
    let query = split_tail(tail, "")?;
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some("") => "",
        Some(_) => return Err(UrlError::UnixHost),
        None => path,
    };
    let address = Address::unix(&*percent_decode(path)?)?;
    Ok((address, None, query))
}

#[cfg(not(unix))]
fn split_unix(_: &str) -> Result<Parts<'_>, UrlError> {
    Err(UrlError::UnixNotSupported)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// User and password, which may come before the host or as parameters, but not both.
#[derive(Default)]
struct Login {
    user: Option<String>,
    password: Option<String>,
}

impl Login {
    fn from_user_info(user_info: Option<&str>) -> Result<Self, UrlError> {
        let Some(user_info) = user_info else {
            return Ok(Self::default());
        };
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        Ok(Self {
            user: Some(percent_decode(user)?.into_owned()),
            password: password
                .map(percent_decode)
                .transpose()?
                .map(Cow::into_owned),
        })
    }

    fn set_user(&mut self, user: String) -> Result<(), UrlError> {
        match self.user.replace(user) {
            None => Ok(()),
            Some(_) => Err(UrlError::DuplicateParameter { parameter: "user" }),
        }
    }

    fn set_password(&mut self, password: String) -> Result<(), UrlError> {
        match self.password.replace(password) {
            None => Ok(()),
            Some(_) => Err(UrlError::DuplicateParameter {
                parameter: "password",
            }),
        }
    }

    fn finish(self) -> Result<Option<Credentials>, UrlError> {
        match (self.user, self.password) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(UrlError::PasswordWithoutUser),
            (Some(user), None) => Ok(Some(Credentials::user(user))),
            (Some(user), Some(password)) => Ok(Some(Credentials::user(user).password(password))),
        }
    }
}

/// The decoded value of a parameter.
struct Value<'a> {
    parameter: &'static str,
    text: Cow<'a, str>,
}

impl Value<'_> {
    fn session_start(&self) -> Result<SessionStart, UrlError> {
        match &*self.text {
            "resume" => Ok(SessionStart::Resume),
            "clean_slate" => Ok(SessionStart::CleanSlate),
            "transient" => Ok(SessionStart::Transient),
            _ => Err(self.wrong("`resume`, `clean_slate` or `transient`")),
        }
    }

    fn keep_alive(&self) -> Result<Duration, UrlError> {
        match self.text.parse::<u16>() {
            Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
            Err(_) => Err(self.wrong("a whole number of seconds from 0 (off) to 65535")),
        }
    }

    fn seconds(&self) -> Result<Duration, UrlError> {
        let wrong = || self.wrong("a number of seconds from 0.001 to 86400");
        let seconds: f64 = self.text.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|duration| tuning::TIMEOUTS.contains(duration))
            .ok_or_else(wrong)
    }

    fn number<N: FromStr>(&self) -> Result<N, UrlError> {
        self.text
            .parse()
            .map_err(|_| self.wrong("a whole number within its range"))
    }

    fn wrong(&self, expected: &'static str) -> UrlError {
        UrlError::ParameterValue {
            parameter: self.parameter,
            expected,
        }
    }
}

fn percent_decode(text: &str) -> Result<Cow<'_, str>, UrlError> {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(first.as_bytes());
    for part in parts {
        let (digits, rest) = part
            .as_bytes()
            .split_at_checked(2)
            .ok_or(UrlError::PercentEscape)?;
        bytes.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| UrlError::PercentEscape)
}

fn hex_digit(digit: u8) -> Result<u8, UrlError> {
    match (digit as char).to_digit(16) {
        Some(value) => Ok(value as u8),
        None => Err(UrlError::PercentEscape),
    }
}

#[cfg(test)]
mod tests;
