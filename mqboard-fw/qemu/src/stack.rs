//! How deep the stack has ever been: the memory below it is painted at the start, and what is no longer paint was used.

use core::{arch::asm, ops::Range};

unsafe extern "C" {
    /// Lowest address of the stack, by riscv-rt's linker script.
    static __estack: u32;
    /// The address after its highest.
    static __sstack: u32;
}

const PAINT: u32 = 0x5AA5_C33C;

/// Bytes of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackUse {
    /// The most that were ever in use, interrupts included.
    pub deepest: usize,
    /// All there are: what the linker left of the RAM.
    pub available: usize,
}

/// Looks how deep the stack has been since the start.
#[must_use]
pub fn stack_use() -> StackUse {
    let Range { start, end } = bounds();
    let untouched = (start..end)
        .step_by(size_of::<u32>())
        // SAFETY: aligned, within the stack's memory, which is RAM; reading it changes nothing.
        .take_while(|&address| unsafe { word(address).read_volatile() } == PAINT)
        .count();
    StackUse {
        deepest: end - start - untouched * size_of::<u32>(),
        available: end - start,
    }
}

/// Paints all of the stack below its own frame.
#[inline(never)]
pub(crate) fn paint() {
    // In registers alone: the functions that a loop of ours calls in a debug build have frames below this one.
    //
    // SAFETY: aligned, and between the end of all statics and the stack pointer, below which this architecture keeps
    // nothing: nobody's memory.
    unsafe {
        asm!(
            "2:",
            "bgeu {at}, sp, 3f",
            "sw {paint}, 0({at})",
            "addi {at}, {at}, 4",
            "j 2b",
            "3:",
            at = inout(reg) bounds().start => _,
            paint = in(reg) PAINT,
        );
    }
}

fn bounds() -> Range<usize> {
    (&raw const __estack).addr()..(&raw const __sstack).addr()
}

fn word(address: usize) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(address)
}
