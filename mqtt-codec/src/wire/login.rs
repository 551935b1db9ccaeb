use core::fmt;

use super::{Binary, Utf8Str};

/// User name, with or without a password: there is no password without one [MQTT-3.1.2-22].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Login<'a> {
    /// User name; may be empty.
    pub user_name: Utf8Str<'a>,
    /// Password, `None` to send none.
    pub password: Option<Password<'a>>,
}

/// Password: 0 to 65,535 bytes of anything. Its `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Password<'a>(Binary<'a>);

impl<'a> Password<'a> {
    /// The password, `None` over 65,535 bytes.
    #[must_use]
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        match Binary::new(bytes) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// The password in the clear.
    #[must_use]
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }
}

impl<'a> From<Binary<'a>> for Password<'a> {
    fn from(bytes: Binary<'a>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
