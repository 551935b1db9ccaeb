//! So many messages at QoS 1 and at QoS 0, each way, each compared byte by byte.
#![no_std]
#![no_main]

use core::fmt::Write as _;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Instant, with_timeout};
use mqtt_client_embassy::{Client, Options, QoS, Resources, Retain};
use qemu_board::{exit, figure, instructions, required, stack_use, start_client, start_network};
use static_cell::ConstStaticCell;

/// For one message.
const PATIENCE: Duration = Duration::from_secs(10);
/// To the board.
const DOWN: [(&str, QoS); 2] = [("down/0", QoS::AtMostOnce), ("down/1", QoS::AtLeastOnce)];
static OPTIONS: Options<'_> = Options::new("messages").declare(&DOWN);

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, network| {
        let stack = start_network(spawner, network);
        spawner.spawn(exchange(spawner, stack).expect("spawned once"));
    })
}

#[embassy_executor::task]
async fn exchange(spawner: Spawner, stack: Stack<'static>) {
    static RESOURCES: ConstStaticCell<Resources<'_, NoopRawMutex, 16, 40, 2, 128, 2048>> =
        ConstStaticCell::new(Resources::new());
    let client = start_client(spawner, stack, RESOURCES.take(), &OPTIONS);
    let count: u32 = required("count");

    client.connected().await.expect("the broker is there");
    let before = (Instant::now(), instructions());
    publish_at_least_once(client, count).await;
    report("qos1_out", before);
    let before = (Instant::now(), instructions());
    publish_at_most_once(client, count).await;
    report("qos0_out", before);

    for (topic, _) in DOWN.into_iter().rev() {
        log::info!("ready for {topic}");
        receive(client, topic, required("count_down")).await;
    }
    client.disconnect().await;
    figure("stack", stack_use().deepest);
    exit(0)
}

/// As many in flight as the outbox takes.
async fn publish_at_least_once(client: Client<'static, NoopRawMutex>, count: u32) {
    for number in 0..count {
        let payload = payload(number);
        let enqueued = client.enqueue("up/1", payload.as_bytes(), Retain::No).await;
        drop(enqueued.expect("it is well formed"));
    }
    // Acknowledged in order: when this one is, all are.
    client
        .publish("up/1", b"end", Retain::No)
        .await
        .expect("it is well formed");
}

async fn publish_at_most_once(client: Client<'static, NoopRawMutex>, count: u32) {
    for number in 0..count {
        let payload = payload(number);
        let published = client
            .publish_at_most_once("up/0", payload.as_bytes(), Retain::No)
            .await;
        published.expect("the connection stays");
    }
    client.flush().await.expect("the connection stays");
}

async fn receive(client: Client<'static, NoopRawMutex>, topic: &str, count: u32) {
    let mut inbox = client.inbox(topic).expect("it is declared");
    let mut begin = None;
    for number in 0..count {
        let next = with_timeout(PATIENCE, inbox.next()).await;
        let message = next
            .unwrap_or_else(|_| panic!("no message {number}: {:?}", client.stats()))
            .expect("the client goes on");
        begin.get_or_insert_with(|| (Instant::now(), instructions()));
        assert_eq!(message.topic(), topic);
        let stats = client.stats();
        assert_eq!(message.payload(), payload(number).as_bytes(), "{stats:?}");
    }
    if let Some(begin) = begin {
        report(
            if topic == "down/1" {
                "qos1_in"
            } else {
                "qos0_in"
            },
            begin,
        );
    }
}

/// 64 bytes that tell one message from every other.
fn payload(number: u32) -> heapless::String<64> {
    let mut text = heapless::String::new();
    write!(text, "{number:064x}").expect("there is room");
    text
}

fn report(what: &str, (begin, counted): (Instant, u32)) {
    let (elapsed, instructions) = (begin.elapsed(), instructions().wrapping_sub(counted));
    let mut name = heapless::String::<32>::new();
    write!(name, "{what}_us").expect("there is room");
    figure(&name, elapsed.as_micros());
    name.clear();
    write!(name, "{what}_instructions").expect("there is room");
    figure(&name, instructions);
}
