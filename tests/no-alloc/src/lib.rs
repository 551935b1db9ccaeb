//! What the programs share: an entry point, a panic handler, and a transport whose bytes no optimiser can foresee.
//!
//! There is no allocator, so a program links only if nothing in it allocates.
#![no_std]

mod item;
mod wire;

use core::{
    hint::black_box,
    panic::PanicInfo,
    pin::pin,
    task::{Context, Waker},
};

use mqtt_codec::session::Instant;

pub use item::Item;
pub use wire::{Wire, random};

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

/// Polls a future for ever.
pub fn run(future: impl Future<Output = ()>) -> ! {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
    loop {
        core::hint::spin_loop();
    }
}

/// Leaves the size of the future that `$application` returns, an `async fn`, in the program, as the symbol
/// `FUTURE_SIZE`.
#[macro_export]
macro_rules! future_size {
    ($application:path) => {
        // SAFETY: no other symbol of this name is linked.
        #[unsafe(no_mangle)]
        #[used]
        static FUTURE_SIZE: u32 = $crate::output_size(&$application) as u32;
    };
}

/// Bytes of what a function returns.
pub const fn output_size<A, F: Returns<A>>(_: &F) -> usize {
    size_of::<F::Output>()
}

/// A function of no argument or of one.
pub trait Returns<A> {
    /// What it returns.
    type Output;
}

impl<F: Fn() -> R, R> Returns<()> for F {
    type Output = R;
}

impl<F: Fn(A) -> R, A, R> Returns<(A,)> for F {
    type Output = R;
}

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
