//! The clock of embassy-time: the core's timer, which counts 100 ns, and its interrupt.

use core::{cell::RefCell, task::Waker};

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};
use embassy_time_queue_utils::Queue;
use riscv::interrupt::Interrupt;

use crate::registers;

const HARDWARE_TICKS_PER_TICK: u64 = 10_000_000 / TICK_HZ;

struct Clock {
    queue: Mutex<RefCell<Queue>>,
}

time_driver_impl!(static CLOCK: Clock = Clock { queue: Mutex::new(RefCell::new(Queue::new())) });

impl Driver for Clock {
    fn now(&self) -> u64 {
        hardware_now() / HARDWARE_TICKS_PER_TICK
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            if self.queue.borrow_ref_mut(section).schedule_wake(at, waker) {
                self.wake_due(section);
            }
        });
    }
}

impl Clock {
    /// Wakes what is due, and sets the interrupt to what comes next.
    fn wake_due(&self, section: CriticalSection<'_>) {
        let next = self
            .queue
            .borrow_ref_mut(section)
            .next_expiration(self.now());
        // If that time is already past, the interrupt comes at once.
        set_alarm(next.saturating_mul(HARDWARE_TICKS_PER_TICK));
    }
}

/// Lets the timer interrupt the core.
pub(crate) fn init() {
    set_alarm(u64::MAX);
    // SAFETY: the handler below is in place, and no critical section is open during start-up.
    unsafe { riscv::register::mie::set_mtimer() };
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn alarm() {
    critical_section::with(|section| CLOCK.wake_due(section));
}

fn hardware_now() -> u64 {
    loop {
        let high = registers::TIMER_HIGH.read();
        let low = registers::TIMER_LOW.read();
        // Otherwise the low half has passed zero in between.
        if registers::TIMER_HIGH.read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn set_alarm(at: u64) {
    // In this order no value in between is earlier than both the old and the new one.
    registers::TIMER_COMPARE_HIGH.write(u32::MAX);
    registers::TIMER_COMPARE_LOW.write(at as u32);
    registers::TIMER_COMPARE_HIGH.write((at >> 32) as u32);
}
