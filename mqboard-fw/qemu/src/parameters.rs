//! What the host tells a firmware: a text that QEMU writes into RAM before the start, one `name=value` a line.
//!
//! ```text
//! -device loader,file=parameters.txt,addr=0x80f00000,force-raw=on
//! ```

use core::str::FromStr;

/// Outside the memory that the linker knows.
const ADDRESS: usize = 0x80f0_0000;
const CAPACITY: usize = 4096;

/// The value given to this name.
#[must_use]
pub fn parameter(name: &str) -> Option<&'static str> {
    text()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// The value given to this name.
///
/// # Panics
/// It is missing, or of another type.
#[must_use]
pub fn required<T: FromStr>(name: &str) -> T {
    let value = parameter(name).unwrap_or_else(|| panic!("parameter `{name}` is missing"));
    value
        .parse()
        .unwrap_or_else(|_| panic!("parameter `{name}` cannot be {value}"))
}

/// Up to the first zero: what QEMU does not write is zero.
fn text() -> &'static str {
    // SAFETY: RAM of a machine with 16 MB, outside of what the linker hands out, and written by nobody after the start.
    let bytes = unsafe {
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<u8>(ADDRESS), CAPACITY)
    };
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(CAPACITY);
    core::str::from_utf8(&bytes[..end]).expect("the parameters are text")
}
