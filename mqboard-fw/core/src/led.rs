use core::fmt;

/// What a LED does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// It shines.
    On,
    /// It is dark.
    Off,
}

/// A message that names no state of a LED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState;

impl TryFrom<&[u8]> for Led {
    type Error = UnknownState;

    /// `on` or `off`, in lower case.
    fn try_from(payload: &[u8]) -> Result<Self, UnknownState> {
        match payload {
            b"on" => Ok(Self::On),
            b"off" => Ok(Self::Off),
            _ => Err(UnknownState),
        }
    }
}

impl fmt::Display for Led {
    /// `on` or `off`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither `on` nor `off`")
    }
}

impl core::error::Error for UnknownState {}

#[cfg(test)]
mod tests {
    use super::{Led, UnknownState};

    #[test]
    fn takes_on_and_off_alone() {
        assert_eq!(Led::try_from(b"on".as_slice()), Ok(Led::On));
        assert_eq!(Led::try_from(b"off".as_slice()), Ok(Led::Off));
        for other in ["", "ON", "on ", "o", "offf", "\0"] {
            assert_eq!(
                Led::try_from(other.as_bytes()),
                Err(UnknownState),
                "{other:?}"
            );
        }
    }
}
