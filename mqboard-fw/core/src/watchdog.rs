use embassy_time::{Duration, Timer};

/// The hardware watchdog of a board is to reset it when it was not fed for this long, and to be armed as soon as the
/// program runs: what comes before the first task, of which starting the radio is the longest, takes seconds at most.
pub const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two feedings. A task may keep the others waiting for four of these, which is far longer than any should.
const FEEDING_PERIOD: Duration = Duration::from_secs(5);

/// Feeds the watchdog for ever: for a task of the executor that runs the application.
///
/// It shows that this executor comes round and that its clock goes, and no more. So the board is reset when a task, an
/// interrupt or the radio's driver keeps the core to itself, and when a panic does not come to its end; not while tasks
/// wait, however long: a network or a broker that is away does not come back by a reset. Who finds that a reset would
/// help while tasks run asks for it, as [`keep_joined`](crate::keep_joined) does.
pub async fn feed_watchdog(mut feed: impl FnMut()) -> ! {
    loop {
        feed();
        Timer::after(FEEDING_PERIOD).await;
    }
}
