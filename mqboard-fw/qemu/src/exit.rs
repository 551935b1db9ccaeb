//! The end of a run, as the host sees it: the exit status of QEMU.

use core::panic::PanicInfo;

use crate::registers;

/// Status of QEMU after a panic of the firmware.
pub const PANICKED: u16 = 101;
/// Status of QEMU after an exception or an interrupt that nobody handles.
pub const TRAPPED: u16 = 102;

/// Ends QEMU with this status, of which a host sees the lowest 8 bits.
pub fn exit(status: u16) -> ! {
    registers::FINISHER.write(match status {
        0 => 0x5555,
        failure => u32::from(failure) << 16 | 0x3333,
    });
    halt()
}

/// Resets the machine: the firmware starts anew, within the same QEMU.
pub fn restart() -> ! {
    registers::FINISHER.write(0x7777);
    halt()
}

/// QEMU ends between two instructions, not within the one that asks for it.
fn halt() -> ! {
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    log::error!("{info}");
    exit(PANICKED)
}

// SAFETY: riscv-rt calls it with this argument, and its linker script provides another only if nobody defines one.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception(_: &riscv_rt::TrapFrame) -> ! {
    trapped()
}

// SAFETY: the same, without an argument.
#[unsafe(export_name = "DefaultHandler")]
extern "C" fn interrupt() -> ! {
    trapped()
}

fn trapped() -> ! {
    let (cause, address) = (
        riscv::register::mcause::read().bits(),
        riscv::register::mepc::read(),
    );
    log::error!("trap {cause:#x} at {address:#x}");
    exit(TRAPPED)
}
