use core::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Instant, Ticker};
use heapless::String;
use mqtt_client_embassy::{Client, PublishError, Retain, SubscribeError};

use crate::{Led, Topics};

/// The devices that the application uses.
pub trait Board {
    /// Switches the LED.
    fn set_led(&mut self, led: Led);

    /// Free bytes of the heap.
    fn free_heap(&self) -> usize;
}

/// Publishes uptime and free heap at QoS 1, at once and then in each `period`, and switches the LED by message. To the
/// topic of the LED the client must have been declared a subscription.
///
/// What cannot be published because the outbox is full, as after a long time without the broker, is left out.
///
/// # Errors
/// The client has ended, or that subscription was refused or is not declared. It ends in no other way.
pub async fn run<M: RawMutex>(
    client: Client<'_, M>,
    board: &mut impl Board,
    topics: &Topics,
    period: Duration,
) -> Result<Infallible, SubscribeError> {
    let mut commands = client.inbox(topics.led)?;
    let mut ticker = Ticker::every(period);
    loop {
        publish(client, topics.uptime, Instant::now().as_secs());
        publish(client, topics.heap, board.free_heap() as u64);
        loop {
            let command = match select(commands.next(), ticker.next()).await {
                Either::First(command) => command?,
                Either::Second(()) => break,
            };
            match Led::try_from(command.payload()) {
                Ok(led) => {
                    board.set_led(led);
                    log::info!("LED {led}");
                }
                Err(error) => log::warn!("{}: {error}", command.topic()),
            }
        }
    }
}

/// Hands a number over to be delivered.
fn publish<M: RawMutex>(client: Client<'_, M>, topic: &str, value: u64) {
    let mut text = String::<20>::new();
    // 20 digits are enough for every value.
    let _ = core::fmt::write(&mut text, format_args!("{value}"));
    match client.try_enqueue(topic, text.as_bytes(), Retain::No) {
        // Its acknowledgement is nobody's concern: it is delivered or, with later ones, overtaken.
        Ok(acknowledged) => drop(acknowledged),
        Err(PublishError::Closed) => {}
        Err(error) => log::warn!("{topic} is left out: {error}"),
    }
}
