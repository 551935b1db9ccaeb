//! Whether bytes are UTF-8, in few bytes of code.

/// Whether code that is short is better than code that is fast.
pub(super) const IS_SMALL: bool = cfg!(not(target_pointer_width = "64"));

/// Whether `bytes` are UTF-8 (section 1.5.3.1).
///
/// `core::str::from_utf8` is made for long texts: with its table it has 800 bytes, five times those
/// of the whole check here.
#[inline]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
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

fn is_utf8_by_bytes(bytes: &[u8]) -> bool {
    const CONTINUATION: (u8, u8) = (0x80, 0xBF);
    // Bytes that are still to come of a character, and the bounds of the next one: they exclude
    // overlong forms, surrogates, and what is over U+10FFFF.
    let mut left = 0;
    let mut bounds = CONTINUATION;
    for &byte in bytes {
        if left > 0 {
            if byte < bounds.0 || byte > bounds.1 {
                return false;
            }
            left -= 1;
            bounds = CONTINUATION;
        } else if byte >= 0x80 {
            (left, bounds) = match byte {
                0xC2..=0xDF => (1, CONTINUATION),
                0xE0 => (2, (0xA0, 0xBF)),
                0xED => (2, (0x80, 0x9F)),
                0xE1..=0xEF => (2, CONTINUATION),
                0xF0 => (3, (0x90, 0xBF)),
                0xF4 => (3, (0x80, 0x8F)),
                0xF1..=0xF3 => (3, CONTINUATION),
                _ => return false,
            };
        }
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
