//! A small board's use of the client, complete: user and password, a declared subscription in a persistent session,
//! messages received, answers at QoS 1 that overlap, pings while nothing happens, and a session resumed after each
//! lost connection.
//!
//! `cargo xtask size` measures it over a transport that is none; the scenarios in QEMU judge what it does.
#![no_std]
#![forbid(unsafe_code)]

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_client_embassy::{Client, Options, PublishError, QoS, Resources, Retain, SubscribeError};

/// Messages at QoS 1 that may await their acknowledgement.
const OUTBOX: usize = 4;
/// Messages received and not yet acknowledged. It waits for acknowledgements while it holds a message, so that the
/// broker must have no more than these under way (`max_inflight_messages` of mosquitto).
const QUEUE: usize = 3;
/// Bytes of each of these messages, with its topic.
const MESSAGE: usize = 128;
/// Bytes of the receive buffer, and of the transmit buffer.
const BUFFER: usize = 1024;

/// All the memory of the client.
pub type Memory = Resources<'static, NoopRawMutex, OUTBOX, QUEUE, 1, MESSAGE, BUFFER, 2>;

/// The part of [`Memory`] that holds bytes of messages and of the connection: two buffers, and 1 KiB of messages,
/// one of which may be arriving.
pub const RAW_MEMORY: usize = 2 * BUFFER + (OUTBOX + QUEUE + 1) * MESSAGE;

/// What is subscribed to.
pub const COMMANDS: &str = "resumer/commands";
/// Where each command is repeated when it has come.
pub const BEGUN: &str = "resumer/begun";
/// Where it is repeated when the broker may have `BEGUN` or not: the two overlap.
pub const DONE: &str = "resumer/done";
/// Seconds.
pub const KEEP_ALIVE: u16 = 2;

/// How it connects.
pub static OPTIONS: Options<'_> = Options::new("resumer")
    .login("user", b"secret")
    .declare(&[(COMMANDS, QoS::AtLeastOnce)])
    .keep_alive(KEEP_ALIVE)
    .backoff(50, 500);

/// Repeats each command twice, and has both repetitions acknowledged before it acknowledges the command. Returns after
/// an empty one.
///
/// # Errors
/// The client has ended.
pub async fn repeat_commands(client: Client<'static, NoopRawMutex>) -> Result<(), Ended> {
    let mut commands = client.inbox(COMMANDS)?;
    loop {
        let command = commands.next().await?;
        if command.payload().is_empty() {
            return Ok(());
        }
        let begun = client.enqueue(BEGUN, command.payload(), Retain::No).await?;
        client.publish(DONE, command.payload(), Retain::No).await?;
        begun.await?;
    }
}

/// The client has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

impl From<SubscribeError> for Ended {
    fn from(_: SubscribeError) -> Self {
        Self
    }
}

impl From<PublishError> for Ended {
    fn from(_: PublishError) -> Self {
        Self
    }
}
