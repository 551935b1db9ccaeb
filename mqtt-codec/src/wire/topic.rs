use core::fmt;

use super::DecodeError;
use super::error::write_rule;
use super::string::{MAX_STRING_LEN, contains_any, utf8};

/// Topic Name: what a message is published to (section 4.7).
///
/// 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], without U+0000 [MQTT-4.7.3-2] and without
/// the wildcards `+` and `#` [MQTT-4.7.1-1].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks `name`.
    ///
    /// # Errors
    /// One [`TopicError`] per rule above.
    #[inline]
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        if name.is_empty() {
            Err(TopicError::Empty)
        } else if name.len() > MAX_STRING_LEN {
            Err(TopicError::TooLong)
        } else if contains_any(name.as_bytes(), [0, b'+', b'#']) {
            Err(forbidden_character(name))
        } else {
            Ok(Self(name))
        }
    }

    /// The name itself.
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    #[inline]
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self::new(utf8(bytes)?)?)
    }
}

#[cold]
fn forbidden_character(name: &str) -> TopicError {
    if name.contains('\0') {
        TopicError::Nul
    } else {
        TopicError::Wildcard
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = TopicError;

    fn try_from(name: &'a str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

/// Why a string is no topic name: the caller's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TopicError {
    /// No bytes [MQTT-4.7.3-1].
    Empty,
    /// Over 65,535 bytes [MQTT-4.7.3-3].
    TooLong,
    /// Contains U+0000 [MQTT-4.7.3-2].
    Nul,
    /// Contains `+` or `#`, which only a topic filter may [MQTT-4.7.1-1].
    Wildcard,
}

impl TopicError {
    /// The normative statement that forbids it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Empty => "MQTT-4.7.3-1",
            Self::TooLong => "MQTT-4.7.3-3",
            Self::Nul => "MQTT-4.7.3-2",
            Self::Wildcard => "MQTT-4.7.1-1",
        }
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Empty => "empty topic name",
            Self::TooLong => "topic name over 65,535 bytes",
            Self::Nul => "topic name contains U+0000",
            Self::Wildcard => "topic name contains `+` or `#`",
        };
        write_rule(f, self.id(), words)
    }
}

impl core::error::Error for TopicError {}
