//! The application that `cargo xtask size` measures, until the host sends it an empty command.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::Stack;
use qemu_board::{exit, figure, stack_use, start_client, start_network};
use resumer::{Memory, OPTIONS, RAW_MEMORY, repeat_commands};
use static_cell::ConstStaticCell;

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, network| {
        let stack = start_network(spawner, network);
        spawner.spawn(application(spawner, stack).expect("spawned once"));
    })
}

#[embassy_executor::task]
async fn application(spawner: Spawner, stack: Stack<'static>) {
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    let client = start_client(spawner, stack, MEMORY.take(), &OPTIONS);
    client.connected().await.expect("nobody ends the client");
    log::info!("ready");
    repeat_commands(client)
        .await
        .expect("nobody ends the client");
    client.disconnect().await;
    let stats = client.stats();
    figure("connections_lost", stats.disconnections);
    figure("resent", stats.resent);
    figure("state", size_of::<Memory>() - RAW_MEMORY);
    figure("stack", stack_use().deepest);
    exit(0)
}
