//! QEMU's machine `virt` with a 32-bit RISC-V core as a board for Embassy: the instruction set of the ESP32-C6, with a real
//! network stack that reaches the host.
//!
//! ```no_run
//! #[riscv_rt::entry]
//! fn main() -> ! {
//!     qemu_board::run(|spawner, network| spawner.spawn(application(network).expect("spawned once")))
//! }
//! ```
//!
//! `cargo xtask qemu` starts it with everything that it expects; `tests/qemu` has the command line.
#![no_std]

mod client;
mod clock;
mod console;
mod entropy;
mod executor;
mod exit;
mod flash;
mod network;
mod parameters;
mod registers;
mod stack;
mod tcp_ip;
mod virtio;
mod wall_clock;

use embassy_executor::Spawner;

pub use client::start_client;
pub use console::figure;
pub use entropy::{fill_random, random};
pub use executor::instructions;
pub use exit::{PANICKED, TRAPPED, exit, restart};
pub use flash::{Flash, FlashError};
pub use network::Network;
pub use parameters::{parameter, required};
pub use stack::{StackUse, stack_use};
pub use tcp_ip::{BrokerConnector, broker, start_network};
pub use wall_clock::time_since_epoch;

/// Starts the board: log, clock, devices; then runs what `start` spawns. To be called once, as the first thing of `main`.
///
/// # Panics
/// QEMU was started without one of the devices.
pub fn run(start: impl FnOnce(Spawner, Network)) -> ! {
    stack::paint();
    console::init(log::LevelFilter::Info);
    clock::init();
    assert!(
        entropy::init(),
        "QEMU was started without virtio-rng-device"
    );
    let network = Network::take().expect("QEMU was started with virtio-net-device");
    // SAFETY: all handlers are in place, and no critical section is open.
    unsafe { riscv::interrupt::enable() };
    executor::run(|spawner| start(spawner, network))
}
