//! What the programs share: an entry point, a panic handler, and a transport whose bytes no optimiser can foresee.
//!
//! There is no allocator, so a program links only if nothing in it allocates.
#![no_std]

mod item;

use core::{hint::black_box, panic::PanicInfo};

use mqtt_codec::session::Instant;

pub use item::Item;

/// Makes `$main`, an `fn() -> !`, the program's entry point.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: no other symbol of this name is linked, as there is no runtime.
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $main()
        }
    };
}

/// Fills `buffer` with unforeseeable bytes and says how many there are.
#[inline(never)]
pub fn receive(buffer: &mut [u8]) -> &[u8] {
    let length = any(buffer.len());
    black_box(buffer).get(..length).unwrap_or_default()
}

/// Consumes bytes, so that whatever made them has to be linked.
#[inline(never)]
pub fn transmit(bytes: &[u8]) {
    black_box(bytes);
}

/// A value of which the optimiser knows nothing but the type.
#[inline]
pub fn any<T>(value: T) -> T {
    black_box(value)
}

/// The time by a clock of which the optimiser knows nothing.
#[inline(never)]
pub fn now() -> Instant {
    Instant::from_micros(any(0))
}

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
