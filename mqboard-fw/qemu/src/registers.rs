//! Registers of the `virt` machine that are not behind a driver of somebody else's: the one list of addresses.

/// A device register of 32 bits.
pub(crate) struct Register(usize);

/// A device register of 8 bits.
pub(crate) struct ByteRegister(usize);

impl Register {
    /// # Safety
    /// There is such a register, and no value written to it changes memory.
    const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self) -> u32 {
        // SAFETY: `at` was promised that it is a register: aligned, and not part of any Rust object.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: as in `read`; no value changes memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}

impl ByteRegister {
    /// # Safety
    /// As for [`Register::at`].
    const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self) -> u8 {
        // SAFETY: `at` was promised that it is a register, not part of any Rust object.
        unsafe { core::ptr::with_exposed_provenance::<u8>(self.0).read_volatile() }
    }

    pub(crate) fn write(&self, value: u8) {
        // SAFETY: as in `read`; no value changes memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(self.0).write_volatile(value) }
    }
}

/// Declares registers, with one proof for all: these are the addresses of QEMU's `hw/riscv/virt.c`, outside its RAM,
/// and none of them starts a transfer to memory.
macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $address:expr;)*) => {$(
        $(#[$doc])*
        // SAFETY: see the macro.
        pub(crate) const $name: $kind = unsafe { $kind::at($address) };
    )*};
}

registers! {
    /// Ends the machine, or resets it.
    FINISHER: Register = 0x0010_0000;
    /// goldfish-rtc: nanoseconds since 1970, the low half. Reading it latches the high one.
    RTC_LOW: Register = 0x0010_1000;
    RTC_HIGH: Register = 0x0010_1004;

    /// When the timer interrupt comes, in ticks of 100 ns.
    TIMER_COMPARE_LOW: Register = 0x0200_4000;
    TIMER_COMPARE_HIGH: Register = 0x0200_4004;
    /// Ticks of 100 ns since the start.
    TIMER_LOW: Register = 0x0200_bff8;
    TIMER_HIGH: Register = 0x0200_bffc;

    /// Interrupts 0 to 31 that reach the core in machine mode.
    PLIC_ENABLE: Register = 0x0c00_2000;
    /// Interrupts of this priority and below are held back.
    PLIC_THRESHOLD: Register = 0x0c20_0000;
    /// Read: which interrupt is served. Written: it has been.
    PLIC_CLAIM: Register = 0x0c20_0004;

    /// Byte to send.
    UART_DATA: ByteRegister = 0x1000_0000;
    /// Bit 5: there is room for one.
    UART_STATUS: ByteRegister = 0x1000_0005;
}

/// Priority of an interrupt, 0 for never.
pub(crate) const fn plic_priority(interrupt: u32) -> Register {
    assert!(interrupt < 96);
    // SAFETY: the table of priorities has that many entries.
    unsafe { Register::at(0x0c00_0000 + 4 * interrupt as usize) }
}

/// The virtio slots: address, and interrupt number.
pub(crate) const VIRTIO_SLOTS: u32 = 8;
pub(crate) const VIRTIO_SLOT_LEN: usize = 0x200;

pub(crate) const fn virtio_slot(slot: u32) -> usize {
    assert!(slot < VIRTIO_SLOTS);
    0x1000_1000 + slot as usize * 0x1000
}

pub(crate) const fn virtio_interrupt(slot: u32) -> u32 {
    slot + 1
}

/// Tells a virtio device that there is something in one of its queues.
pub(crate) const fn virtio_queue_notify(slot: u32) -> Register {
    // SAFETY: offset of the register in each slot, by the virtio specification, section 4.2.2. The device turns to what
    // its driver has handed over before, and to nothing else.
    unsafe { Register::at(virtio_slot(slot) + 0x50) }
}

/// Why a virtio device interrupts.
pub(crate) const fn virtio_interrupt_status(slot: u32) -> Register {
    // SAFETY: offset of the register in each slot, by the virtio specification, section 4.2.2.
    unsafe { Register::at(virtio_slot(slot) + 0x60) }
}

/// Tells a virtio device which of its reasons were seen.
pub(crate) const fn virtio_interrupt_acknowledge(slot: u32) -> Register {
    // SAFETY: as above.
    unsafe { Register::at(virtio_slot(slot) + 0x64) }
}
