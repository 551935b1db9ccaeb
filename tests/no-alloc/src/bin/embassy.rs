//! A board's application on the Embassy client: CONNECT with user and password, a declared subscription, receiving,
//! publishing at QoS 1 with overlap, ping, reconnect, resume.
#![no_std]
#![no_main]

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time_driver::{Driver, time_driver_impl};
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::{
    Client, ConnectError, Connector, Flushing, Options, QoS, Resources, Retain, new,
};
use no_alloc::{any, now, receive, transmit};

no_alloc::entry!(main);

const COMMANDS: &str = "commands/#";
const OPTIONS: Options<'_> = Options::new("board")
    .login("board", b"secret")
    .declare(&[(COMMANDS, QoS::AtLeastOnce)]);

type Memory<'a> = Resources<'a, NoopRawMutex, 8, 4, 1, 128, 1_024>;

fn main() -> ! {
    run(&mut Memory::new())
}

/// Apart from the memory, which firmware has in a static.
#[inline(never)]
fn run<'a>(memory: &'a mut Memory<'a>) -> ! {
    let Ok((client, mut runner)) = new(memory, &OPTIONS, Dialler, || any(0)) else {
        loop {}
    };
    execute([
        pin!(async {
            any(runner.run().await);
        }),
        pin!(application(client)),
    ])
}

/// What an executor knows of its tasks.
#[inline(never)]
fn execute(mut tasks: [Pin<&mut dyn Future<Output = ()>>; 2]) -> ! {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        for task in &mut tasks {
            any(task.as_mut().poll(&mut context).is_ready());
        }
    }
}

async fn application(client: Client<'_, NoopRawMutex>) {
    let Ok(mut commands) = client.inbox(COMMANDS) else {
        return;
    };
    while let Ok(message) = commands.next().await {
        transmit(message.topic().as_bytes());
        transmit(message.payload());
        let Ok(first) = client
            .enqueue("board/echo", message.payload(), Retain::No)
            .await
        else {
            return;
        };
        let second = client.publish("board/done", b"1", Retain::No).await;
        any(second.is_ok());
        any(first.await.is_ok());
    }
}

struct Dialler;

impl Connector for Dialler {
    type Connection<'c> = Line;

    async fn connect(&mut self) -> Result<Line, ConnectError> {
        ready().await;
        match any(true) {
            true => Ok(Line),
            false => Err(ConnectError::UnknownHost),
        }
    }

    fn flushing(&self) -> Flushing {
        Flushing::AtEnd
    }
}

/// A transport that may be pending, or short, at any time.
struct Line;

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        ready().await;
        Ok(receive(buffer).len())
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        ready().await;
        transmit(bytes);
        Ok(any(bytes.len()))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        ready().await;
        Ok(())
    }
}

async fn ready() {
    poll_fn(|_| match any(true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        now().as_micros()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        any(at);
        any(waker.will_wake(waker));
    }
}
