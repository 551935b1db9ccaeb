//! The client in a task of its own.

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_client_embassy::{Client, Options, Resources, Runner, new};

use crate::{BrokerConnector, broker, random};

/// A runner of a client of the broker, whatever its capacities.
type BrokerRunner = Runner<'static, NoopRawMutex, BrokerConnector, fn() -> u32>;

/// Starts a client of the broker. All tasks run on one executor, so that nothing has to be locked.
///
/// # Panics
/// The options are wrong for these resources, or there is a client already.
pub fn start_client<
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
>(
    spawner: Spawner,
    stack: Stack<'static>,
    resources: &'static mut Resources<
        'static,
        NoopRawMutex,
        OUTBOX,
        QUEUE,
        SUBSCRIPTIONS,
        MESSAGE,
        BUFFER,
        TASKS,
    >,
    options: &'static Options<'static>,
) -> Client<'static, NoopRawMutex> {
    let random: fn() -> u32 = random;
    let (client, runner) =
        new(resources, options, broker(stack), random).expect("the options fit the resources");
    spawner.spawn(run(stack, runner).expect("spawned once"));
    client
}

#[embassy_executor::task]
async fn run(stack: Stack<'static>, mut runner: BrokerRunner) {
    // Without an address the first attempt fails.
    stack.wait_config_up().await;
    let reason = runner.run_with(|event| log::info!("{event:?}")).await;
    log::info!("the client has ended: {reason}");
}
