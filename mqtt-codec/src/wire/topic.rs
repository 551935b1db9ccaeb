use core::fmt;

use super::DecodeError;
use super::error::write_rule;
use super::string::{MAX_STRING_LEN, is_plain_ascii};
use super::utf8::{IS_SMALL, is_utf8, to_str};

/// Topic Name: what a message is published to (section 4.7).
///
/// 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], without U+0000 [MQTT-4.7.3-2] and without
/// the wildcards `+` and `#` [MQTT-4.7.1-1].
///
/// Held as bytes that were checked once.
///
/// ```
/// use mqtt_codec::wire::{TopicError, TopicName};
///
/// assert_eq!(TopicName::new("sensors/1/temp")?.as_str(), "sensors/1/temp");
/// assert_eq!(TopicName::new("sensors/+/temp"), Err(TopicError::Wildcard));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a [u8]);

impl<'a> TopicName<'a> {
    /// Checks `name`.
    ///
    /// # Errors
    /// One [`TopicError`] per rule above.
    pub const fn new(name: &'a str) -> Result<Self, TopicError> {
        let bytes = name.as_bytes();
        if is_plain(bytes) {
            return Ok(Self(bytes));
        }
        if bytes.len() > MAX_STRING_LEN {
            return Err(TopicError::TooLong);
        }
        match check(bytes, true) {
            Ok(()) => Ok(Self(bytes)),
            Err(DecodeError::EmptyTopic) => Err(TopicError::Empty),
            Err(DecodeError::NulInString) => Err(TopicError::Nul),
            Err(_) => Err(TopicError::Wildcard),
        }
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave before, for an owner that keeps them and would otherwise
    /// check them at each use.
    ///
    /// They are checked with debug assertions alone: what is no topic name goes out as it is, and the broker closes the
    /// connection.
    ///
    /// ```
    /// use mqtt_codec::wire::TopicName;
    ///
    /// let kept: Vec<u8> = TopicName::new("sensors/1/temp")?.as_bytes().to_vec();
    /// assert_eq!(TopicName::assume_checked(&kept).as_str(), "sensors/1/temp");
    /// # Ok::<(), mqtt_codec::wire::TopicError>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn assume_checked(bytes: &'a [u8]) -> Self {
        debug_assert!(
            bytes.len() <= MAX_STRING_LEN && check(bytes, false).is_ok(),
            "not a topic name"
        );
        Self(bytes)
    }

    /// The name as bytes, which are UTF-8.
    #[must_use]
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name as a string.
    ///
    /// It is checked for UTF-8 once more, since this crate has no `unsafe`; where the bytes do,
    /// [`as_bytes`](Self::as_bytes) is free.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // Never `None`: `new` was given UTF-8 and `decode` has checked it.
        to_str(self.0).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if !is_plain(bytes) {
            check(bytes, false)?;
        }
        Ok(Self(bytes))
    }
}

/// Whether the short way tells that it is a topic name; small processors have the long one alone.
#[inline(always)]
const fn is_plain(name: &[u8]) -> bool {
    !IS_SMALL && !name.is_empty() && name.len() <= MAX_STRING_LEN && is_plain_ascii(name)
}

// Once for `new` and `decode`: on a small processor what is UTF-8 by its type is checked again.
#[inline(never)]
const fn check(name: &[u8], is_str: bool) -> Result<(), DecodeError> {
    if (IS_SMALL || !is_str) && !is_utf8(name) {
        return Err(DecodeError::IllFormedUtf8);
    }
    if name.is_empty() {
        return Err(DecodeError::EmptyTopic);
    }
    let mut rest = name;
    while let [byte, after @ ..] = rest {
        match byte {
            0 => return Err(DecodeError::NulInString),
            b'+' | b'#' => return Err(DecodeError::WildcardInTopicName),
            _ => rest = after,
        }
    }
    Ok(())
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicName").field(&self.as_str()).finish()
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
