//! The first firmware example on ESP32-C6 and ESP32-C3. This is the board file: it wires radio, LED and tasks to the
//! application of `mqboard-core`.
#![no_std]
#![no_main]

mod broker;
mod network;
mod settings;
mod watchdog;
mod wifi;

use embassy_executor::Spawner;
use embassy_time::{Duration, Timer};
use esp_backtrace as _;
use esp_hal::{
    delay::Delay,
    gpio::{Output, OutputConfig},
    system::{reset_reason, software_reset},
    timer::timg::TimerGroup,
};
use log::LevelFilter;
use mqboard_core::{Board, Led, WATCHDOG_TIMEOUT};

esp_bootloader_esp_idf::esp_app_desc!();

/// Between two reports of uptime and heap.
const PERIOD: Duration = Duration::from_secs(60);
/// From the end of the application to a new start. The broker has refused login, client id or subscription: back soon
/// after somebody has mended that, and too seldom for a broker to lock the account for it.
const RESTART_AFTER: Duration = Duration::from_secs(300);
/// From a panic to a new start, in milliseconds: time to read why, and no storm of connections if each start ends so.
const PANIC_PAUSE: u32 = 5_000;
const _: () = assert!(
    2 * (PANIC_PAUSE as u64) < WATCHDOG_TIMEOUT.as_millis(),
    "the watchdog, which nobody feeds then, may end the pause"
);

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    esp_println::logger::init_logger(LevelFilter::Info);
    let peripherals = esp_hal::init(esp_hal::Config::default());
    let mut timers = TimerGroup::new(peripherals.TIMG0);
    watchdog::arm(&mut timers.wdt);
    if let Some(reason) = reset_reason() {
        log::info!("started by {reason:?}");
    }
    // For the radio alone. The first is what the bootloader has used.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 48 * 1024);
    esp_rtos::start(timers.timer0, peripherals.FROM_CPU_INTR0);
    spawner.spawn(watchdog::feed(timers.wdt).expect("spawned once"));

    #[cfg(feature = "esp32c6")]
    let pin = peripherals.GPIO15;
    #[cfg(feature = "esp32c3")]
    let pin = peripherals.GPIO8;
    let mut devices = Devices {
        led: Output::new(pin, !settings::LED_ON, OutputConfig::default()),
    };

    let (controller, interface) = wifi::start(peripherals.WIFI).expect("the radio starts");
    let stack = network::start(spawner, interface);
    let client = broker::start(spawner, stack).expect("the settings are right");
    spawner.spawn(wifi::keep_joined(controller, stack, client).expect("spawned once"));
    let Err(reason) = mqboard_core::run(client, &mut devices, &settings::TOPICS, PERIOD).await;
    log::error!(
        "the application has ended: {reason}; a new start in {} s",
        RESTART_AFTER.as_secs()
    );
    Timer::after(RESTART_AFTER).await;
    software_reset()
}

/// What the application switches and reads.
struct Devices {
    led: Output<'static>,
}

impl Board for Devices {
    fn set_led(&mut self, led: Led) {
        self.led.set_level(match led {
            Led::On => settings::LED_ON,
            Led::Off => !settings::LED_ON,
        });
    }

    fn free_heap(&self) -> usize {
        esp_alloc::HEAP.free()
    }
}

/// After a panic was printed: nobody is there to press the button.
// SAFETY: esp-backtrace declares it with this signature, and with its feature `custom-halt` nobody else defines it.
#[unsafe(export_name = "custom_halt")]
extern "Rust" fn start_again() -> ! {
    Delay::new().delay_millis(PANIC_PAUSE);
    software_reset()
}
