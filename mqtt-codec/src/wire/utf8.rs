//! Whether bytes are UTF-8, in few bytes of code.

/// Whether code that is short is better than code that is fast.
pub(super) const IS_SMALL: bool = cfg!(not(target_pointer_width = "64"));

/// Whether `bytes` are UTF-8 (section 1.5.3.1).
///
/// `core::str::from_utf8` is made for long texts: with its table it has 800 bytes, five times those
/// of the whole check here.
#[inline]
pub(super) const fn is_utf8(bytes: &[u8]) -> bool {
    if IS_SMALL {
        is_utf8_by_bytes(bytes)
    } else {
        core::str::from_utf8(bytes).is_ok()
    }
}

/// The string that `bytes` are, `None` if they are no UTF-8.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
#[cfg_attr(target_pointer_width = "64", inline)]
pub(super) fn to_str(bytes: &[u8]) -> Option<&str> {
    if IS_SMALL {
        to_str_by_chunks(bytes)
    } else {
        core::str::from_utf8(bytes).ok()
    }
}

/// Shorter by a fifth than `core::str::from_utf8`. It cannot be written by hand without `unsafe`.
fn to_str_by_chunks(bytes: &[u8]) -> Option<&str> {
    let Some(chunk) = bytes.utf8_chunks().next() else {
        return Some("");
    };
    chunk.invalid().is_empty().then(|| chunk.valid())
}

/// Of the first byte and of two bits of the second, a continuation, which tell everything.
const fn key(first: u32, second: u32) -> u32 {
    (first << 6 | second ^ 0x80) >> 4
}

const FIRST: u32 = key(0xC2, 0x80);
const LAST: u32 = key(0xF4, 0x8F);
const OVERLONG_FOUR: u32 = key(0xF0, 0x80);
/// As a pair of keys, like [`SURROGATE`].
const OVERLONG_THREE: u32 = key(0xE0, 0x80) >> 1;
const SURROGATE: u32 = key(0xED, 0xA0) >> 1;

const fn is_utf8_by_bytes(bytes: &[u8]) -> bool {
    // Bytes that are still to come of a character, and its first one until the second has come: then one that any may
    // follow.
    const ANY: u32 = 0xE1;
    let mut left = 0;
    let mut first = ANY;
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        rest = after;
        let byte = *byte as u32;
        if left == 0 {
            first = byte;
            left = 3 - (byte < 0x80) as u32 - (byte < 0xE0) as u32 - (byte < 0xF0) as u32;
            continue;
        }
        let key = key(first, byte);
        let is_continuation = byte ^ 0x80 < 0x40;
        // a first byte that is none, or over U+10FFFF; overlong forms of four and of three bytes; surrogates
        if !is_continuation
            || !matches!(key, FIRST..=LAST)
            || key == OVERLONG_FOUR
            || matches!(key >> 1, OVERLONG_THREE | SURROGATE)
        {
            return false;
        }
        first = ANY;
        left -= 1;
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::{is_utf8_by_bytes, to_str_by_chunks};

    /// Every byte for the first two, and one of each kind for those after them.
    #[test]
    fn judges_as_the_standard_library_does() {
        const KINDS: [u8; 12] = [
            0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE1, 0xF1, 0xFF,
        ];
        for first in 0..=0xFF {
            for second in 0..=0xFF {
                for third in KINDS {
                    for fourth in KINDS {
                        let bytes = [first, second, third, fourth];
                        for len in 0..=4 {
                            let bytes = &bytes[..len];
                            assert_eq!(
                                is_utf8_by_bytes(bytes),
                                core::str::from_utf8(bytes).is_ok(),
                                "{bytes:x?}"
                            );
                            assert_eq!(
                                to_str_by_chunks(bytes),
                                core::str::from_utf8(bytes).ok(),
                                "{bytes:x?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
