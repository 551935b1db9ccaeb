//! Over a real network stack, embassy-net, whose packets come back to it.
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use client_tests::{Setup, World};
use embassy_net::{
    Config, Ipv4Cidr, Stack, StackResources, StaticConfigV4,
    driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken},
    tcp::{
        TcpSocket,
        client::{TcpClient, TcpClientState},
    },
};
use embedded_io_async::{ErrorKind, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use mqtt_client_embassy::{
    CloseReason, ConnectError, FirstConnect, QoS, Resources, Retain, TcpConnector, new,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::spawn_local,
    time::sleep,
};

use crate::{
    adapter::{leak, options},
    client::{M, TestClient, run},
};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 1883;

/// A medium whose packets come back.
#[derive(Clone, Debug, Default)]
struct Loop(Rc<RefCell<Medium>>);

#[derive(Debug, Default)]
struct Medium {
    packets: VecDeque<Vec<u8>>,
    receiver: Option<Waker>,
}

struct Received(Vec<u8>);

impl Driver for Loop {
    type RxToken<'a> = Received;
    type TxToken<'a> = Self;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Self)> {
        let mut medium = self.0.borrow_mut();
        medium.receiver = Some(cx.waker().clone());
        Some((Received(medium.packets.pop_front()?), self.clone()))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Self> {
        Some(self.clone())
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 576;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, take: F) -> R {
        take(&mut self.0)
    }
}

impl TxToken for Loop {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut packet = vec![0; len];
        let result = fill(&mut packet);
        let mut medium = self.0.borrow_mut();
        medium.packets.push_back(packet);
        if let Some(waker) = medium.receiver.take() {
            waker.wake();
        }
        result
    }
}

fn stack() -> Stack<'static> {
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(HERE, 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = leak(StackResources::<4>::new());
    let (stack, mut runner) = embassy_net::new(Loop::default(), config, resources, 7);
    spawn_local(async move { runner.run().await });
    stack
}

type Tcp = TcpClient<'static, 1, 256, 256>;

fn tcp(stack: Stack<'static>) -> &'static Tcp {
    let state = leak(TcpClientState::<1, 256, 256>::new());
    leak(TcpClient::new(stack, state))
}

/// Knows one name.
struct Names;

impl Dns for Names {
    type Error = ();

    async fn get_host_by_name(&self, host: &str, _: AddrType) -> Result<IpAddr, ()> {
        match host {
            "broker.test" => Ok(HERE.into()),
            _ => Err(()),
        }
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

/// Hands each connection on to the world's broker, until one of the two ends it.
async fn serve(stack: Stack<'static>, world: World) {
    let (receive, transmit) = (leak([0; 1_000]), leak([0; 1_000]));
    let mut socket = TcpSocket::new(stack, receive, transmit);
    loop {
        if socket.accept(PORT).await.is_err() {
            return;
        }
        let Ok(mut broker) = world.dial() else {
            socket.abort();
            continue;
        };
        let (mut from_client, mut from_broker) = ([0; 300], [0; 300]);
        loop {
            let is_over = tokio::select! {
                read = socket.read(&mut from_client) => match read {
                    Ok(n) if n > 0 => broker.write_all(&from_client[..n]).await.is_err(),
                    _ => true,
                },
                read = broker.read(&mut from_broker) => match read {
                    Ok(n) if n > 0 => socket.write_all(&from_broker[..n]).await.is_err(),
                    _ => true,
                },
            };
            if is_over {
                break;
            }
        }
        socket.abort();
        let _ = socket.flush().await;
    }
}

/// A client that connects to this host.
fn start(stack: Stack<'static>, host: &'static str, setup: &Setup) -> TestClient {
    let resources = leak(Resources::<M, 4, 4, 4, 64, 256, 4>::new());
    let options = leak(options(setup).first_connect(match setup.keep_trying {
        true => FirstConnect::KeepTrying,
        false => FirstConnect::ReturnError,
    }));
    let connector = TcpConnector::new(tcp(stack), Names, host, PORT);
    let random: fn() -> u32 = || fastrand::u32(..);
    let (client, mut runner) = new(resources, options, connector, random).unwrap();
    spawn_local(async move { runner.run().await });
    client
}

/// What [`Connector::Connection`](mqtt_client_embassy::Connector) asks of a transport.
#[tokio::test(start_paused = true)]
async fn a_read_that_is_dropped_has_taken_nothing() {
    run(async {
        let stack = stack();
        let bytes: Vec<u8> = (0..5_000).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        spawn_local(async move {
            let (receive, transmit) = (leak([0; 1_000]), leak([0; 1_000]));
            let mut socket = TcpSocket::new(stack, receive, transmit);
            socket.accept(PORT).await.unwrap();
            for piece in sent.chunks(37) {
                socket.write_all(piece).await.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
            socket.flush().await.unwrap();
            sleep(Duration::from_secs(60)).await;
        });
        let tcp = tcp(stack);
        let mut connection = TcpConnect::connect(&tcp, SocketAddr::from((HERE, PORT)))
            .await
            .unwrap();
        let (mut got, mut dropped) = (Vec::<u8>::new(), 0);
        while got.len() < bytes.len() {
            let mut buffer = [0; 50];
            // dropped after one poll, which may be the one that finds something
            let n = {
                let mut read = pin!(connection.read(&mut buffer));
                poll_fn(|cx| match read.as_mut().poll(cx) {
                    Poll::Ready(n) => Poll::Ready(Some(n.unwrap())),
                    Poll::Pending => Poll::Ready(None),
                })
                .await
            };
            match n {
                Some(n) => got.extend(&buffer[..n]),
                None => {
                    dropped += 1;
                    sleep(Duration::from_micros(300)).await;
                }
            }
        }
        assert!(got == bytes);
        assert!(dropped > 100, "{dropped}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_any_length_pass_both_ways_and_through_cuts() {
    run(async {
        let stack = stack();
        let world = World::default();
        spawn_local(serve(stack, world.clone()));
        let setup = Setup {
            keep_trying: true,
            ..Setup::default()
        };
        let client = start(stack, "broker.test", &setup);
        client.connected().await.unwrap();
        let mut inbox = client.subscribe("in", QoS::AtLeastOnce).await.unwrap();
        for round in 0..4_u8 {
            for len in [1, 50, 3_000] {
                let payload = vec![round; len];
                client
                    .publish_borrowed("out", &payload, Retain::No)
                    .await
                    .unwrap();
                world.broker(|broker| broker.publish("in", &payload, QoS::AtLeastOnce));
                // one whose acknowledgement was cut off comes again
                let mut got = Vec::new();
                while got != payload {
                    let mut message = inbox.next().await.unwrap();
                    got = vec![0; message.payload_len() as usize];
                    message.read_exact(&mut got).await.unwrap();
                }
            }
            world.cut();
        }
        assert_eq!(world.broker(|broker| broker.first_deliveries()).len(), 12);
        assert!(world.links() > 3, "{} connections", world.links());
        client.disconnect().await;
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_host_and_a_closed_port_are_told() {
    run(async {
        let stack = stack();
        let unknown = start(stack, "nowhere.test", &Setup::default());
        assert_eq!(
            unknown.connected().await,
            Err(CloseReason::Connect(ConnectError::UnknownHost))
        );
        // nobody listens
        let refused = start(stack, "10.0.0.1", &Setup::default());
        let reason = refused.connected().await;
        assert_eq!(
            reason,
            Err(CloseReason::Connect(ConnectError::Transport(
                ErrorKind::ConnectionReset
            )))
        );
    })
    .await;
}
