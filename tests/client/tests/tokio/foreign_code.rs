//! Code of the user's that the client runs may call the client: wakers, sources and payloads.
use std::{
    future::{Future, IntoFuture},
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use client_tests::{Setup, World};
use mqtt_client::{Client, Event, PayloadSource, PublishError, QoS};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::{
    io::{AsyncRead, ReadBuf},
    runtime::Builder,
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

/// Runs it in a thread of its own: a deadlock stops that one for good.
fn without_deadlock<F: Future<Output = ()>>(test: impl FnOnce(World) -> F + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(test(World::default()));
        drop(done);
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "deadlock");
    thread.join().unwrap();
}

async fn connected(world: &World) -> Client {
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    Client::connect(options(world, &setup)).await.unwrap()
}

/// Calls the client when it is dropped or woken.
#[derive(Clone)]
struct Caller(Client);

impl Caller {
    fn call(&self) {
        let _ = (self.0.stats(), self.0.events(), self.0.connection());
        self.0.publish("called", "x").try_enqueue().ok();
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.call();
    }
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.call();
    }
}

impl AsRef<[u8]> for Caller {
    fn as_ref(&self) -> &[u8] {
        &[7; 10_000]
    }
}

/// A source, and a reader, whose end calls the client.
struct Source {
    caller: Caller,
    has: usize,
    opens: bool,
}

struct Reader {
    _caller: Caller,
    has: usize,
}

const LEN: usize = 100_000;

impl PayloadSource for Source {
    type Reader = Reader;

    fn len(&self) -> u64 {
        LEN as u64
    }

    async fn open(&self) -> io::Result<Reader> {
        let reader = Reader {
            _caller: self.caller.clone(),
            has: self.has,
        };
        match self.opens {
            true => Ok(reader),
            false => Err(io::Error::other("it does not open")),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.has.min(buffer.remaining());
        self.has -= n;
        buffer.put_slice(&[7; LEN][..n]);
        Poll::Ready(Ok(()))
    }
}

fn source(client: &Client) -> Source {
    Source {
        caller: Caller(client.clone()),
        has: LEN,
        opens: true,
    }
}

#[test]
fn a_source_may_call_the_client_when_it_is_dropped() {
    without_deadlock(|world| async move {
        let client = connected(&world).await;
        let whole = source(&client);
        client.publish_stream("t", whole).await.unwrap();
        let short = Source {
            has: 1,
            ..source(&client)
        };
        let outcome = client.publish_stream("t", short).await;
        assert!(matches!(outcome, Err(PublishError::SourceTooShort { .. })));
        let closed = Source {
            opens: false,
            ..source(&client)
        };
        let outcome = client.publish_stream("t", closed).await;
        assert!(matches!(outcome, Err(PublishError::Source(_))));
        // unacknowledged when the client ends
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let left = client.publish_stream("t", source(&client)).enqueue();
        drop(left.await.unwrap());
        let waits = client.publish_stream("t", source(&client)).enqueue();
        let waits = waits.await.unwrap();
        world.cut();
        let limit = Duration::from_secs(1);
        let left = client.disconnect_within(limit).await.unwrap_err();
        assert!(left.messages.len() >= 2);
        assert!(waits.await.is_err());
    });
}

#[test]
fn a_payload_may_call_the_client_when_it_is_dropped() {
    without_deadlock(|world| async move {
        let client = connected(&world).await;
        let payload = || Bytes::from_owner(Caller(client.clone()));
        client.publish("t", payload()).qos(QOS1).await.unwrap();
        client.publish("t", payload()).await.unwrap();
        client.flush().await.unwrap();
        // lost with the connection
        world.take_nothing();
        for _ in 0..20 {
            let publish = client.publish("t", payload());
            publish.try_enqueue().ok();
            let publish = client.publish("t", payload()).qos(QOS1);
            drop(publish.enqueue().await.unwrap());
        }
        world.cut();
        client
            .disconnect_within(Duration::from_secs(1))
            .await
            .unwrap_err();
    });
}

/// Has two tasks poll it, so that the waker of one takes the place of the other's.
fn poll_twice<'f>(
    client: &Client,
    future: impl Future<Output = ()> + 'f,
) -> Pin<Box<dyn Future<Output = ()> + 'f>> {
    let mut future = Box::pin(future);
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Caller(client.clone())));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    future
}

#[test]
fn a_waker_may_call_the_client_when_it_is_woken_or_dropped() {
    without_deadlock(|world| async move {
        let setup = Setup {
            outbox: 2,
            ..Setup::default()
        };
        let client = Client::connect(options(&world, &setup)).await.unwrap();
        let mut stream = client.subscribe("t", QOS1).await.unwrap();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let mut connection = client.connection();
        connection.borrow_and_update();
        let mut events = client.events();
        let mut acks = Vec::new();
        for _ in 0..2 {
            let publish = client.publish("t", "x").qos(QOS1);
            acks.push(publish.enqueue().await.unwrap());
        }
        let wait = || client.publish("t", "x").qos(QOS1).into_future();
        drop(poll_twice(&client, async { drop(wait().await) }));
        drop(poll_twice(&client, async { drop((&mut acks[0]).await) }));
        let mut second = acks.pop().unwrap();
        let first = acks.pop().unwrap();
        drop(first);
        let mut waiting = vec![
            poll_twice(&client, async { drop(wait().await) }),
            poll_twice(&client, async { drop(wait().await) }),
            poll_twice(&client, async { drop((&mut second).await) }),
            poll_twice(&client, async { drop(stream.next().await) }),
            poll_twice(&client, async { drop(client.flush().await) }),
            poll_twice(&client, async {
                drop(client.unsubscribe("u").into_future().await);
            }),
        ];
        let _watching = [
            poll_twice(&client, async { drop(connection.changed().await) }),
            poll_twice(&client, async {
                while !matches!(events.recv().await, Ok(Event::Closed { .. })) {}
            }),
        ];
        world.arrived(PacketType::Publish, 2).await;
        world.broker(|broker| {
            broker.ack_order = AckOrder::AsReceived;
            broker.release_acks(testkit::LinkId(0), &[0]);
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(waiting.split_off(3));
        client.disconnect().await.ok();
    });
}
