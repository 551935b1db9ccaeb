//! One facade over `log` and `defmt`; without both, nothing is left of it.

/// `note!(warn, "text")` or `note!(warn, "text", value)`, where the value has `Display`.
macro_rules! note {
    ($level:ident, $text:literal) => {{
        #[cfg(feature = "log")]
        log::$level!($text);
        #[cfg(feature = "defmt")]
        defmt::$level!($text);
    }};
    ($level:ident, $text:literal, $value:expr) => {{
        let value = &$value;
        #[cfg(feature = "log")]
        log::$level!(concat!($text, ": {}"), value);
        #[cfg(feature = "defmt")]
        defmt::$level!("{=str}: {}", $text, defmt::Display2Format(value));
        let _ = value;
    }};
}

pub(crate) use note;

/// Whether anything is left of it.
pub(crate) const LOGS: bool = cfg!(any(feature = "log", feature = "defmt"));
