//! The client on an executor that polls in the order of embassy's: what was woken last comes first.
use std::{
    cell::Cell,
    convert::Infallible,
    future::pending,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
};

use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{ConnectError, Connector, Options, QoS, Resources, new};

use crate::{
    adapter::leak,
    client::{M, run},
};

const MESSAGES: u32 = 1_000;

/// CONNACK, then a QoS 0 message with each read, at once.
struct Flood {
    reads: u32,
}

struct Flooding;

impl Connector for Flooding {
    type Connection<'c> = Flood;

    async fn connect(&mut self) -> Result<Flood, ConnectError> {
        Ok(Flood { reads: 0 })
    }
}

impl ErrorType for Flood {
    type Error = Infallible;
}

impl Read for Flood {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        let packet: &[u8] = match self.reads {
            0 => &[0x20, 2, 0, 0],
            1..=MESSAGES => b"\x30\x05\x00\x02inx",
            _ => pending().await,
        };
        self.reads += 1;
        out[..packet.len()].copy_from_slice(packet);
        Ok(packet.len())
    }
}

impl Write for Flood {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Numbers of the tasks that are woken, each once, the last one at the end.
type Woken = Arc<Mutex<Vec<usize>>>;

struct Task {
    number: usize,
    woken: Woken,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock().unwrap();
        if !woken.contains(&self.number) {
            woken.push(self.number);
        }
    }
}

/// Polls until no task is woken any more.
fn execute(mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>) {
    let woken = Woken::default();
    let waker = |number| {
        let woken = woken.clone();
        Waker::from(Arc::new(Task { number, woken }))
    };
    let wakers: Vec<_> = (0..tasks.len()).map(waker).collect();
    wakers.iter().for_each(Waker::wake_by_ref);
    loop {
        let round = std::mem::take(&mut *woken.lock().unwrap());
        if round.is_empty() {
            return;
        }
        for number in round.into_iter().rev() {
            let mut cx = Context::from_waker(&wakers[number]);
            let _ = tasks[number].as_mut().poll(&mut cx);
        }
    }
}

/// Half of two places, one, is for QoS 0.
#[tokio::test(start_paused = true)]
async fn a_flood_of_qos_0_leaves_its_consumer_a_turn_for_each_message() {
    run(async {
        for runner_comes_first in [true, false] {
            let resources = leak(Resources::<M, 1, 2, 1, 16, 64>::new());
            let options = leak(Options::new("client").declare(&[("in", QoS::AtMostOnce)]));
            let random: fn() -> u32 = || 0;
            let (client, mut runner) = new(resources, options, Flooding, random).unwrap();
            let received = Rc::new(Cell::new(0));
            let (mut inbox, count) = (client.inbox("in").unwrap(), received.clone());
            let running = Box::pin(async move {
                runner.run().await;
            });
            let consuming = Box::pin(async move {
                loop {
                    inbox.next().await.unwrap();
                    count.set(count.get() + 1);
                }
            });
            execute(match runner_comes_first {
                true => vec![running, consuming],
                false => vec![consuming, running],
            });
            assert_eq!((received.get(), client.stats().dropped), (MESSAGES, 0));
        }
    })
    .await;
}
