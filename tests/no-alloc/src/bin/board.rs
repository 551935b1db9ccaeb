//! The application of `tests/resumer`, complete with its client.
#![no_std]
#![no_main]

use embassy_futures::join::join;
use mqtt_client_embassy::{ConnectError, Connector, new};
use no_alloc::{Wire, any, random};
use resumer::{Memory, OPTIONS, repeat_commands};
use static_cell::ConstStaticCell;

no_alloc::entry!(main);
no_alloc::future_size!(application);

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

fn main() -> ! {
    no_alloc::run(application(MEMORY.take()))
}

async fn application(memory: &'static mut Memory) {
    if let Ok((client, mut runner)) = new(memory, &OPTIONS, Wires, random) {
        let _ = any(join(runner.run(), repeat_commands(client)).await);
    }
}

struct Wires;

impl Connector for Wires {
    type Connection<'c> = Wire;

    async fn connect(&mut self) -> Result<Wire, ConnectError> {
        Wire::open().await.map_err(ConnectError::Transport)
    }
}
