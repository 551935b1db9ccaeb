use core::fmt;

use super::{StringError, Utf8Str};

/// Client Identifier: names a session at its server (section 3.1.3.1).
///
/// 0 to 65,535 bytes without U+0000. Servers must take 1 to 23 letters and digits
/// [MQTT-3.1.3-5] and may refuse anything else. The empty one asks the server to make one up,
/// which [`Connect`](super::Connect) allows for a clean session alone [MQTT-3.1.3-7].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId<'a>(Utf8Str<'a>);

impl<'a> ClientId<'a> {
    /// The identifier of no bytes: the server shall make one up.
    pub const EMPTY: Self = Self(Utf8Str::EMPTY);

    /// Checks `id`.
    ///
    /// # Errors
    /// [`StringError`]: over 65,535 bytes, or contains U+0000.
    #[inline]
    pub const fn new(id: &'a str) -> Result<Self, StringError> {
        match Utf8Str::new(id) {
            Ok(id) => Ok(Self(id)),
            Err(error) => Err(error),
        }
    }

    /// The identifier itself.
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.0.as_str()
    }

    /// Whether the server shall make an identifier up.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.as_str().is_empty()
    }
}

impl<'a> From<Utf8Str<'a>> for ClientId<'a> {
    fn from(id: Utf8Str<'a>) -> Self {
        Self(id)
    }
}

impl fmt::Display for ClientId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
