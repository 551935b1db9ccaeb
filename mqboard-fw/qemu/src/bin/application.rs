//! The application of `mqboard-core` on the emulated board, with a LED that is a line of the log.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use mqboard_core::{Board, Led, Topics, topics};
use mqtt_client_embassy::{Options, QoS, Resources};
use qemu_board::{StackUse, stack_use, start_client, start_network};
use static_cell::ConstStaticCell;

const TOPICS: Topics = topics!("mqboard");
static OPTIONS: Options<'_> = Options::new("mqboard").declare(&[(TOPICS.led, QoS::AtLeastOnce)]);

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, network| {
        let stack = start_network(spawner, network);
        spawner.spawn(application(spawner, stack).expect("spawned once"));
    })
}

#[embassy_executor::task]
async fn application(spawner: Spawner, stack: Stack<'static>) {
    static RESOURCES: ConstStaticCell<Resources<'_, NoopRawMutex, 8, 4, 1, 64, 512>> =
        ConstStaticCell::new(Resources::new());
    let client = start_client(spawner, stack, RESOURCES.take(), &OPTIONS);
    let period = Duration::from_millis(100);
    let Err(reason) = mqboard_core::run(client, &mut Devices, &TOPICS, period).await;
    log::error!("the application has ended: {reason}");
}

struct Devices;

impl Board for Devices {
    fn set_led(&mut self, led: Led) {
        log::info!("the pin of the LED is {led}");
    }

    /// There is no heap: what the stack has left alone so far.
    fn free_heap(&self) -> usize {
        let StackUse { deepest, available } = stack_use();
        available - deepest
    }
}
