//! The board by itself: an address by DHCP, then bytes to a peer of the host and back.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{IpAddress, Stack, StackResources, tcp::TcpSocket};
use embassy_time::{Duration, Instant};
use embedded_io_async::{Read as _, Write as _};
use qemu_board::{Board, Network, exit, figure, required, stack_use};
use static_cell::StaticCell;

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, board| spawner.spawn(exchange(spawner, board).expect("spawned once")))
}

#[embassy_executor::task]
async fn exchange(spawner: Spawner, mut board: Board) {
    // DHCP, DNS, and the socket.
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        board.network,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        board.entropy.random(),
    );
    spawner.spawn(network(runner).expect("spawned once"));
    stack.wait_config_up().await;
    figure("dhcp_us", Instant::now().as_micros());
    echo(stack).await;
    figure("exchange_us", Instant::now().as_micros());
    let stack = stack_use();
    figure("stack", stack.deepest);
    exit(0)
}

/// Sends so many bytes in pieces, each when the one before has come back.
async fn echo(stack: Stack<'_>) {
    let (mut receive, mut transmit) = ([0; 4096], [0; 4096]);
    let mut socket = TcpSocket::new(stack, &mut receive, &mut transmit);
    socket.set_timeout(Some(Duration::from_secs(10)));
    let gateway = stack
        .config_v4()
        .and_then(|config| config.gateway)
        .expect("DHCP names the host");
    let peer = (IpAddress::Ipv4(gateway), required("port"));
    socket.connect(peer).await.expect("the host listens");

    let mut sent = [0; 1000];
    for piece in 0..required::<u32>("pieces") {
        for (byte, place) in sent.iter_mut().zip(0_u32..) {
            *byte = (piece.wrapping_mul(31).wrapping_add(place) % 251) as u8;
        }
        socket.write_all(&sent).await.expect("the host reads");
        let mut came = [0; 1000];
        socket
            .read_exact(&mut came)
            .await
            .expect("the host answers");
        assert_eq!(sent, came, "piece {piece}");
    }
    socket.close();
    socket.flush().await.expect("the host closes");
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Network>) -> ! {
    runner.run().await
}
