//! The client of the broker, in a task of its own.

use embassy_executor::Spawner;
use embassy_net::{
    Stack,
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use esp_hal::{efuse::base_mac_address, rng::Rng};
use mqboard_core::{ClientId, client_id};
use mqtt_client_embassy::{
    Client, Options, OptionsError, QoS, Resources, Runner, TcpConnector, new,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{network::SOCKETS, settings};

/// Bytes of each socket, in each direction.
const BUFFER: usize = 2048;

type Connector =
    TcpConnector<'static, TcpClient<'static, SOCKETS, BUFFER, BUFFER>, DnsSocket<'static>>;

/// Connects to the broker of the settings, and again whenever the connection is lost.
///
/// # Errors
/// The settings are wrong.
pub(crate) fn start(
    spawner: Spawner,
    stack: Stack<'static>,
) -> Result<Client<'static, NoopRawMutex>, OptionsError> {
    static STATE: ConstStaticCell<TcpClientState<SOCKETS, BUFFER, BUFFER>> =
        ConstStaticCell::new(TcpClientState::new());
    static CLIENT_ID: StaticCell<ClientId> = StaticCell::new();
    static OPTIONS: StaticCell<Options<'_>> = StaticCell::new();
    // Everything runs on one executor. 8 messages on their way out, 4 received, 1 filter.
    static RESOURCES: ConstStaticCell<Resources<'_, NoopRawMutex, 8, 4, 1, 128, 512>> =
        ConstStaticCell::new(Resources::new());

    let client_id = match settings::CLIENT_ID {
        "" => CLIENT_ID.init(client_id(chip_address())),
        client_id => client_id,
    };
    log::info!("client id {client_id}");
    let tcp = TcpClient::new(stack, STATE.take());
    let connector = TcpConnector::new(
        tcp,
        DnsSocket::new(stack),
        settings::BROKER_HOST,
        settings::BROKER_PORT,
    );
    let (client, runner) = new(
        RESOURCES.take(),
        OPTIONS.init(options(client_id)),
        connector,
        random as fn() -> u32,
    )?;
    spawner.spawn(run(stack, runner).expect("spawned once"));
    Ok(client)
}

fn options(client_id: &'static str) -> Options<'static> {
    // Back soon after the Wi-Fi is.
    let options = Options::new(client_id)
        .declare(&[(settings::TOPICS.led, QoS::AtLeastOnce)])
        .backoff(500, 10_000);
    if settings::BROKER_USER.is_empty() {
        return options;
    }
    options.login(settings::BROKER_USER, settings::BROKER_PASSWORD.as_bytes())
}

/// The address that the chip got when it was made.
fn chip_address() -> [u8; 6] {
    let mut address = [0; 6];
    for (place, byte) in address.iter_mut().zip(base_mac_address().as_bytes()) {
        *place = *byte;
    }
    address
}

fn random() -> u32 {
    Rng::new().random()
}

#[embassy_executor::task]
async fn run(
    stack: Stack<'static>,
    mut runner: Runner<'static, NoopRawMutex, Connector, fn() -> u32>,
) {
    // Without an address every attempt fails, and the next ones are the later for it.
    stack.wait_config_up().await;
    let reason = runner.run().await;
    log::error!("the client has ended: {reason}");
}
