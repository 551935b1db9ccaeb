//! The three schemes of broker URLs. No general URL parser: those bring Unicode tables that a
//! broker's address never needs.
//!
//! A password may stand in the text being parsed, and a careless one (`/`, `?` or `#` not
//! percent-encoded) moves the boundaries of the parts. So no error repeats a part of the URL except
//! a scheme or a parameter's name, and these only after it is certain that they cannot be a piece
//! of the password: see [`UrlError::UnescapedAt`]. What stands behind `ca_file=` is told when that
//! file cannot be read.
mod error;
mod parts;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, str::FromStr, time::Duration};

pub use self::error::UrlError;
use self::parts::{percent_decode, split};
use super::{Address, ConnectOptions, Credentials, FirstConnect, SessionStart, tuning};

/// The query parameters of a broker URL, in the order in which errors list them.
const PARAMETERS: [&str; 15] = [
    "client_id",
    "start",
    "user",
    "password",
    "ca_file",
    "keep_alive",
    "first_connect",
    "connect_timeout",
    "write_timeout",
    "stall_timeout",
    "ack_timeout",
    "drain_timeout",
    "max_attempts",
    "in_flight",
    "packet_limit",
];

impl FromStr for ConnectOptions {
    type Err = UrlError;

    /// See *URLs* above. Ranges and combinations are checked by [`ConnectOptions::validate`].
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
            "client_id" => self.client_id(value.client_id()?),
            "start" => self.session_start(value.session_start()?),
            "ca_file" => self.with_ca_file(value)?,
            "keep_alive" => self.keep_alive(value.keep_alive()?),
            "first_connect" => self.first_connect(value.first_connect()?),
            "connect_timeout" => self.connect_timeout(value.seconds()?),
            "write_timeout" => self.write_timeout(value.seconds()?),
            "stall_timeout" => self.stall_timeout(value.seconds()?),
            "ack_timeout" => self.ack_timeout(value.seconds()?),
            "drain_timeout" => self.drain_timeout(value.seconds()?),
            "max_attempts" => self.max_attempts(value.number()?),
            "in_flight" => self.in_flight(value.number()?),
            "packet_limit" => self.packet_limit(value.number()?),
            parameter => {
                unreachable!("`{parameter}` is not in PARAMETERS or is handled by the caller")
            }
        })
    }

    #[cfg(feature = "tls")]
    fn with_ca_file(self, value: &Value<'_>) -> Result<Self, UrlError> {
        match &*value.text {
            "" => Err(value.wrong("the path of a PEM file")),
            path => Ok(self.ca_file(path)),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn with_ca_file(self, _: &Value<'_>) -> Result<Self, UrlError> {
        Err(UrlError::TlsNotBuilt)
    }
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
    /// An empty one would be a random one with a transient session, which loses what the writer of the URL wanted kept.
    fn client_id(&self) -> Result<&str, UrlError> {
        match &*self.text {
            "" => Err(self.wrong("text; leave it out for a random id and a transient session")),
            id => Ok(id),
        }
    }

    fn session_start(&self) -> Result<SessionStart, UrlError> {
        match &*self.text {
            "resume" => Ok(SessionStart::Resume),
            "clean_slate" => Ok(SessionStart::CleanSlate),
            "transient" => Ok(SessionStart::Transient),
            _ => Err(self.wrong("`resume`, `clean_slate` or `transient`")),
        }
    }

    fn first_connect(&self) -> Result<FirstConnect, UrlError> {
        match &*self.text {
            "return_error" => Ok(FirstConnect::ReturnError),
            "keep_trying" => Ok(FirstConnect::KeepTrying),
            _ => Err(self.wrong("`return_error` or `keep_trying`")),
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
