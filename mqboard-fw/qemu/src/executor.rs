//! Runs the tasks, sleeps when none is ready, and knows how many instructions were not sleep.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use embassy_executor::{Spawner, raw};
use riscv::register::minstret;
use static_cell::StaticCell;

/// A task was woken since the last look.
static WOKEN: AtomicBool = AtomicBool::new(false);
/// Counts of the instruction counter that passed while the core slept, modulo 2³².
static SLEPT: AtomicU32 = AtomicU32::new(0);

// SAFETY: embassy-executor declares it with this signature for whoever brings the executor's loop, and no feature of it
// that defines one is on.
#[unsafe(export_name = "__pender")]
fn wake(_: *mut ()) {
    WOKEN.store(true, Ordering::SeqCst);
}

/// Instructions executed since the start, modulo 2³²: exact with QEMU's `-icount shift=0`, where the counter goes on while
/// the core sleeps. Without that option QEMU counts something else.
#[must_use]
pub fn instructions() -> u32 {
    (minstret::read() as u32).wrapping_sub(SLEPT.load(Ordering::Relaxed))
}

pub(crate) fn run(spawn: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    spawn(executor.spawner());
    loop {
        // SAFETY: called from here alone, so never again from within itself.
        unsafe { executor.poll() };
        // Interrupts are held back from the look until after the sleep, which a pending one ends at once: a wake-up
        // cannot come in between and be slept over.
        critical_section::with(|_| {
            if !WOKEN.swap(false, Ordering::SeqCst) {
                sleep();
            }
        });
    }
}

fn sleep() {
    let before = minstret::read();
    riscv::asm::wfi();
    let slept = minstret::read().wrapping_sub(before) as u32;
    SLEPT.store(
        SLEPT.load(Ordering::Relaxed).wrapping_add(slept),
        Ordering::Relaxed,
    );
}
