//! Clock, time of day and random numbers, printed for the host to judge.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Timer};
use qemu_board::{exit, figure, random, time_since_epoch};

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, _| spawner.spawn(print(spawner).expect("spawned once")))
}

#[embassy_executor::task]
async fn print(spawner: Spawner) {
    figure("unix_ms", time_since_epoch().as_millis());
    figure("random_1", random());
    figure("random_2", random());

    // Two timers at once, the later one set first.
    let begin = Instant::now();
    spawner.spawn(sleeper().expect("spawned once"));
    Timer::after(Duration::from_millis(20)).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(20), "woken after {took}");
    figure("timer_us", took.as_micros());
    Timer::after(Duration::from_secs(60)).await;
}

#[embassy_executor::task]
async fn sleeper() {
    let begin = Instant::now();
    Timer::after(Duration::from_millis(50)).await;
    figure("other_timer_us", begin.elapsed().as_micros());
    exit(0)
}
