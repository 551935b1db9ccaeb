//! What the client allocates once it is warm, what it holds, and what dropped futures leave behind.
#[path = "../support/counting.rs"]
mod counting;
mod held;
mod idle;

use std::{
    future::IntoFuture,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use futures::FutureExt;
use mqtt_client::{Address, Client, ConnectOptions, QoS, Topic};

const TOPIC: &str = "sensors/1/temp";
const PAYLOAD: [u8; 64] = [7; 64];
const WARM_UP: usize = 3_000;
const MEASURED: usize = 10_000;
/// One in 1,000.
const ALLOWED: usize = MEASURED / 1_000;

/// Acknowledges whatever comes, on a thread of its own; every packet here is shorter than 128 bytes.
fn start_peer() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // the client's end of it ends the test
            serve(stream.unwrap()).ok();
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = vec![0; 64 * 1_024];
    let mut filled = 0;
    let mut output = Vec::new();
    loop {
        let n = stream.read(&mut input[filled..])?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        let at = answer(&input[..filled], &mut output);
        input.copy_within(at..filled, 0);
        filled -= at;
        stream.write_all(&output)?;
        output.clear();
    }
}

/// Answers the packets that are whole and returns their length; QoS 0 messages to `t` are sent back.
fn answer(input: &[u8], output: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while input.len() - at >= 2 && input.len() - at >= 2 + usize::from(input[at + 1]) {
        let packet = &input[at..at + 2 + usize::from(input[at + 1])];
        match packet[0] {
            0x10 => output.extend([0x20, 2, 0, 0]),
            0x30 if packet[2..].starts_with(b"\x00\x01t") => output.extend(packet),
            0x32 => {
                let id = 4 + usize::from(packet[3]);
                output.extend([0x40, 2, packet[id], packet[id + 1]]);
            }
            0x82 => output.extend([0x90, 3, packet[2], packet[3], 0]),
            0xA2 => output.extend([0xB0, 2, packet[2], packet[3]]),
            0xC0 => output.extend([0xD0, 0]),
            _ => {}
        }
        at += packet.len();
    }
    at
}

/// Allocations of `MEASURED` rounds, after `WARM_UP` others.
async fn allocations(client: &Client, round: impl AsyncFn(&Client)) -> usize {
    for _ in 0..WARM_UP {
        round(client).await;
    }
    counting::reset();
    for _ in 0..MEASURED {
        round(client).await;
    }
    counting::heap().allocations
}

fn with_client(life: impl AsyncFnOnce(&Client)) {
    let address = start_peer();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = Address::tcp("127.0.0.1", address.port()).unwrap();
        let client = Client::connect(ConnectOptions::new(address)).await.unwrap();
        life(&client).await;
        client.disconnect().await.unwrap();
    });
}

#[test]
fn a_qos_0_publish_allocates_nothing() {
    with_client(async |client| {
        let publish = async |client: &Client| client.publish(TOPIC, &PAYLOAD).await.unwrap();
        let count = allocations(client, publish).await;
        assert!(
            count <= ALLOWED,
            "{count} allocations for {MEASURED} messages"
        );
    });
}

#[test]
fn a_qos_1_publish_allocates_nothing() {
    with_client(async |client| {
        let publish = async |client: &Client| {
            let publish = client.publish(TOPIC, &PAYLOAD).qos(QoS::AtLeastOnce);
            publish.await.unwrap();
        };
        let count = allocations(client, publish).await;
        assert!(
            count <= ALLOWED,
            "{count} allocations for {MEASURED} messages"
        );
    });
}

#[test]
fn qos_1_publishes_that_overlap_allocate_nothing() {
    with_client(async |client| {
        let topic = Topic::new(TOPIC).unwrap();
        let mut acks = std::collections::VecDeque::with_capacity(100);
        let mut count = 0;
        for n in 0..WARM_UP + MEASURED {
            if n == WARM_UP {
                counting::reset();
            }
            let publish = client.publish(&topic, &PAYLOAD).qos(QoS::AtLeastOnce);
            acks.push_back(publish.enqueue().await.unwrap());
            if acks.len() == 100 {
                acks.pop_front().unwrap().await.unwrap();
            }
            count = counting::heap().allocations;
        }
        assert!(
            count <= ALLOWED,
            "{count} allocations for {MEASURED} messages"
        );
        for ack in acks {
            ack.await.unwrap();
        }
    });
}

#[test]
fn futures_that_are_dropped_leave_nothing_behind() {
    with_client(async |client| {
        // the client's task has no turn in between: every one of them still waits when it is dropped
        let drop_many = || {
            for _ in 0..MEASURED {
                assert!(client.flush().now_or_never().is_none());
                let unsubscribe = client.unsubscribe("t").into_future();
                assert!(unsubscribe.now_or_never().is_none());
            }
        };
        // something for them to wait for
        let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
        let ack = publish.try_enqueue().unwrap();
        let flush = client.flush();
        let unsubscribe = client.unsubscribe("t").into_future();
        let mut waiting = Box::pin(futures::future::join(flush, unsubscribe));
        assert!((&mut waiting).now_or_never().is_none());
        counting::reset();
        drop_many();
        let live = counting::heap().live;
        assert!(live < 16 * 1_024, "{live} bytes");
        let (flushed, unsubscribed) = waiting.await;
        flushed.unwrap();
        unsubscribed.unwrap();
        ack.await.unwrap();
    });
}
