//! The board by itself: an address by DHCP, then bytes to a peer of the host and back.
#![no_std]
#![no_main]

use embassy_net::{IpAddress, Stack, tcp::TcpSocket};
use embassy_time::{Duration, Instant};
use embedded_io_async::{Read as _, Write as _};
use qemu_board::{exit, figure, required, stack_use, start_network};

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, network| {
        let stack = start_network(spawner, network);
        spawner.spawn(exchange(stack).expect("spawned once"));
    })
}

#[embassy_executor::task]
async fn exchange(stack: Stack<'static>) {
    stack.wait_config_up().await;
    figure("dhcp_us", Instant::now().as_micros());
    echo(stack).await;
    figure("exchange_us", Instant::now().as_micros());
    figure("stack", stack_use().deepest);
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
