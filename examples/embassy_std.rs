//! The Embassy client on a host: `cargo run --example embassy_std [-- mqtt://HOST[:PORT]]`.
//!
//! On a board the connector is `TcpConnector` over embassy-net, and the executor and the clock are the board's; the
//! rest is the same.
use std::{io, process::exit};

use async_net::TcpStream;
use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Timer};
use embedded_io_adapters::futures_03::FromFutures;
use mqtt_client_embassy::{
    Client, ConnectError, Connector, Event, Flushing, Options, QoS, Resources, Retain, Runner, new,
};
use static_cell::ConstStaticCell;

const READINGS: &str = "mqboard/embassy/readings";

const OPTIONS: Options<'_> = Options::new("mqboard-embassy")
    .keep_alive(30)
    .declare(&[(READINGS, QoS::AtLeastOnce)]);

// all tasks run on one executor
type Mutex = NoopRawMutex;
// room for 8 outgoing and 8 received messages of 64 bytes, 2 subscriptions, buffers of 1 KiB
type Memory = Resources<'static, Mutex, 8, 8, 2, 64, 1_024>;
type BoardRunner = Runner<'static, Mutex, StdTcp, fn() -> u32>;

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let broker = support::broker_or_own("The Embassy client on a host.");
    let random: fn() -> u32 = || fastrand::u32(..);
    let (client, runner) = match new(MEMORY.take(), &OPTIONS, StdTcp(broker), random) {
        Ok(parts) => parts,
        Err(error) => fail(&error.to_string()),
    };
    spawner.spawn(run(runner).expect("it is spawned once"));
    spawner.spawn(measure(client).expect("it is spawned once"));

    let mut readings = client.inbox(READINGS).expect("it was declared");
    for _ in 0..3 {
        let message = readings.next().await.expect("the client goes on");
        let reading = String::from_utf8_lossy(message.payload());
        println!("received {reading} from {}", message.topic());
        // acknowledged here, when the message is dropped
    }
    client.disconnect().await;
    exit(0);
}

/// The task that owns the connection.
#[embassy_executor::task]
async fn run(mut runner: BoardRunner) {
    let reason = runner
        .run_with(|event| match event {
            Event::Connected { session } => println!("connected, session {session:?}"),
            Event::ConnectFailed { reason, retry_in } => {
                let next = retry_in.map(|time| format!("in {} ms", time.as_millis()));
                let next = next.as_deref().unwrap_or("never");
                println!("cannot connect: {reason}; again {next}");
            }
            _ => {}
        })
        .await;
    println!("disconnected: {reason}");
}

/// A task that publishes.
#[embassy_executor::task]
async fn measure(client: Client<'static, Mutex>) {
    for reading in ["21.5", "21.7", "21.6"] {
        match client
            .publish(READINGS, reading.as_bytes(), Retain::No)
            .await
        {
            Ok(()) => println!("the broker has {reading}"),
            Err(error) => fail(&error.to_string()),
        }
        Timer::after(Duration::from_millis(100)).await;
    }
}

/// Sockets of the host that never block the executor: what blocked it would stop every task, and the clock that bounds
/// the attempt. Their `read` is cancel-safe: a future that is dropped has read nothing.
struct StdTcp(String);

impl Connector for StdTcp {
    type Connection<'c> = FromFutures<TcpStream>;

    async fn connect(&mut self) -> Result<Self::Connection<'_>, ConnectError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => ConnectError::UnknownHost,
            _ => ConnectError::Transport(error.kind().into()),
        };
        // the name is looked up each time, and each of its addresses tried in turn
        let stream = TcpStream::connect(self.0.as_str()).await;
        stream.map(FromFutures::new).map_err(failed)
    }

    fn flushing(&self) -> Flushing {
        Flushing::AtEnd
    }
}

fn fail(error: &str) -> ! {
    eprintln!("error: {error}");
    exit(1);
}
