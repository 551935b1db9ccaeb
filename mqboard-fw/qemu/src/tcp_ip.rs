//! What every firmware with a network does: embassy-net over the network card, and a way to the broker of the host.

use embassy_executor::Spawner;
use embassy_net::{
    Runner, Stack, StackResources,
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use mqtt_client_embassy::TcpConnector;
use static_cell::{ConstStaticCell, StaticCell};

use crate::{Network, random, required};

/// Opens connections to the broker.
pub type BrokerConnector =
    TcpConnector<'static, TcpClient<'static, SOCKETS, BUFFER, BUFFER>, DnsSocket<'static>>;

/// Connections at a time. The second one may be opened while the first one is still closing.
const SOCKETS: usize = 2;
/// Bytes of each socket, in each direction.
const BUFFER: usize = 4096;
/// The host's loopback interface, as QEMU shows it to the board.
const HOST: &str = "10.0.2.2";

/// Starts the network, with an address by DHCP.
///
/// # Panics
/// It was started before.
pub fn start_network(spawner: Spawner, network: Network) -> Stack<'static> {
    // DHCP, DNS, and the sockets.
    static RESOURCES: StaticCell<StackResources<{ 2 + SOCKETS }>> = StaticCell::new();
    let seed = u64::from(random()) << 32 | u64::from(random());
    let (stack, runner) = embassy_net::new(
        network,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        seed,
    );
    spawner.spawn(run(runner).expect("spawned once"));
    stack
}

/// The way to the broker, at the port of the host that the parameter `port` names.
///
/// # Panics
/// There is one already.
#[must_use]
pub fn broker(stack: Stack<'static>) -> BrokerConnector {
    static STATE: ConstStaticCell<TcpClientState<SOCKETS, BUFFER, BUFFER>> =
        ConstStaticCell::new(TcpClientState::new());
    let tcp = TcpClient::new(stack, STATE.take());
    TcpConnector::new(tcp, DnsSocket::new(stack), HOST, required("port"))
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Network>) -> ! {
    runner.run().await
}
