//! A message of megabytes each way, with 4 KiB of buffers in all: two of the client's, one to send from, one to read to.
#![no_std]
#![no_main]

use core::{convert::Infallible, fmt::Write as _};

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Instant;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{Client, Options, QoS, Resources, Retain};
use qemu_board::{exit, figure, required, stack_use, start_client, start_network};
use sha2::{Digest as _, Sha256};
use static_cell::ConstStaticCell;

const BUFFER: usize = 1024;
const DOWN: &str = "down";
static OPTIONS: Options<'_> = Options::new("streams").declare(&[(DOWN, QoS::AtLeastOnce)]);

type Handle = Client<'static, NoopRawMutex>;

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, network| {
        let stack = start_network(spawner, network);
        spawner.spawn(stream(spawner, stack).expect("spawned once"));
    })
}

#[embassy_executor::task]
async fn stream(spawner: Spawner, stack: Stack<'static>) {
    static RESOURCES: ConstStaticCell<Resources<'_, NoopRawMutex, 1, 1, 1, 32, BUFFER>> =
        ConstStaticCell::new(Resources::new());
    let client = start_client(spawner, stack, RESOURCES.take(), &OPTIONS);
    let len = required("bytes");
    client.connected().await.expect("the broker is there");

    measure("source", publish_source(client, len)).await;
    measure("writer", publish_writer(client, len)).await;
    log::info!("ready for {DOWN}");
    measure("reader", read(client, len)).await;

    client.disconnect().await;
    figure("stack", stack_use().deepest);
    exit(0)
}

/// At QoS 1.
async fn publish_source(client: Handle, len: u32) -> Sha256 {
    let open = async || Ok(Noise::new(1, len));
    let mut piece = [0; BUFFER];
    let published = client.publish_source("up/source", len, Retain::No, &mut piece, open);
    published.await.expect("the source is as long as it says");
    let mut hash = Sha256::new();
    let mut noise = Noise::new(1, len);
    while let filled @ 1.. = noise.fill(&mut piece) {
        hash.update(&piece[..filled]);
    }
    hash
}

/// At QoS 0.
async fn publish_writer(client: Handle, len: u32) -> Sha256 {
    let writer = client.publish_writer("up/writer", len, Retain::No).await;
    let mut writer = writer.expect("it is well formed");
    let mut hash = Sha256::new();
    let mut noise = Noise::new(2, len);
    let mut buffer = [0; BUFFER];
    while let filled @ 1.. = noise.fill(&mut buffer) {
        hash.update(&buffer[..filled]);
        writer
            .write_all(&buffer[..filled])
            .await
            .expect("the connection stays");
    }
    writer.flush().await.expect("the connection stays");
    hash
}

async fn read(client: Handle, len: u32) -> Sha256 {
    let mut inbox = client.inbox(DOWN).expect("it is declared");
    let mut message = inbox.next().await.expect("the client goes on");
    assert_eq!(message.payload_len(), len);
    let mut hash = Sha256::new();
    let mut buffer = [0; BUFFER];
    loop {
        match message
            .read(&mut buffer)
            .await
            .expect("the connection stays")
        {
            0 => return hash,
            filled => hash.update(&buffer[..filled]),
        }
    }
}

/// Prints how long it took, and the hash.
async fn measure(name: &str, run: impl Future<Output = Sha256>) {
    let begin = Instant::now();
    let hash = run.await;
    let elapsed = begin.elapsed();
    let mut text = heapless::String::<64>::new();
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").expect("there is room");
    }
    figure(name, text);
    let mut timed = heapless::String::<16>::new();
    write!(timed, "{name}_us").expect("there is room");
    figure(&timed, elapsed.as_micros());
}

/// So many bytes that no part of it repeats: xorshift of a seed.
struct Noise {
    state: u32,
    left: u32,
}

impl Noise {
    fn new(seed: u32, len: u32) -> Self {
        Self {
            state: seed,
            left: len,
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let len = buffer.len().min(self.left as usize);
        for byte in &mut buffer[..len] {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            *byte = self.state as u8;
        }
        self.left -= len as u32;
        len
    }
}

impl ErrorType for Noise {
    type Error = Infallible;
}

impl Read for Noise {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.fill(buffer))
    }
}
