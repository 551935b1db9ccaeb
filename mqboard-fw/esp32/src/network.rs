//! The network stack over Wi-Fi, with an address by DHCP.

use embassy_executor::Spawner;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::{Duration, with_timeout};
use esp_hal::rng::Rng;
use esp_radio::wifi::Interface;
use static_cell::StaticCell;

/// Connections at a time. The second one may be opened while the first one is still closing.
pub(crate) const SOCKETS: usize = 2;
/// From joining the network, or from the last time, until it is told that there is no address. DHCP takes a second or two.
const TELL_PERIOD: Duration = Duration::from_secs(30);

/// Starts it. The radio must be on, which makes random numbers unpredictable.
pub(crate) fn start(spawner: Spawner, interface: Interface) -> Stack<'static> {
    // DHCP, DNS, and the sockets.
    static RESOURCES: StaticCell<StackResources<{ 2 + SOCKETS }>> = StaticCell::new();
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let (stack, runner) = embassy_net::new(
        interface,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        seed,
    );
    spawner.spawn(run(runner).expect("spawned once"));
    spawner.spawn(tell_address(stack).expect("spawned once"));
    stack
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn tell_address(stack: Stack<'static>) -> ! {
    loop {
        stack.wait_link_up().await;
        match with_timeout(TELL_PERIOD, stack.wait_config_up()).await {
            Ok(()) => {
                if let Some(config) = stack.config_v4() {
                    log::info!("address {}", config.address);
                }
                stack.wait_config_down().await;
            }
            Err(_) if stack.is_link_up() => log::warn!("no address by DHCP yet"),
            Err(_) => {}
        }
    }
}
