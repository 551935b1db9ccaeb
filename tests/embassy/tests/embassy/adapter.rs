use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use client_tests::{
    Adapter, Counts, Delivery, Ending, Failure, Happening, HappeningSource, Inbox, Setup, Source,
    Start, World,
};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorKind, ErrorType, Read};
use mqtt_client_embassy::{
    Ack, Client, CloseReason, ConnectError, Connector, DisconnectReason, Dup, Event, FirstConnect,
    Flushing, Limit, Message, Options, PublishError, QoS, Resources, Retain, Runner, SessionError,
    SessionPresent, SessionStart, SubscribeError, new,
};
use tokio::{io::DuplexStream, sync::broadcast, task::JoinHandle};

type M = NoopRawMutex;

/// Bytes of a place for a message.
const MESSAGE: usize = 256;
/// Bytes of each buffer.
const BUFFER: usize = 1_024;
const SUBSCRIPTIONS: usize = 24;
const TASKS: usize = 8;

/// The Embassy client, with the task of its runner.
#[derive(Clone, Debug)]
pub(crate) struct Embassy {
    pub(crate) client: Client<'static, M>,
    happenings: broadcast::Sender<Happening>,
}

/// Opens streams to the broker of a world.
#[derive(Debug)]
pub(crate) struct Dialler(pub(crate) World);

impl Connector for Dialler {
    type Connection<'c> = FromTokio<DuplexStream>;

    async fn connect(&mut self) -> Result<FromTokio<DuplexStream>, ConnectError> {
        match self.0.dial() {
            Ok(stream) => Ok(FromTokio::new(stream)),
            Err(error) => Err(ConnectError::Transport(match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
                _ => ErrorKind::Other,
            })),
        }
    }

    fn flushing(&self) -> Flushing {
        Flushing::AtEnd
    }
}

pub(crate) fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// The options of a client in a world.
pub(crate) fn options(setup: &Setup) -> Options<'static> {
    let micros = |duration: Duration| {
        embassy_time::Duration::from_micros(u64::try_from(duration.as_micros()).unwrap())
    };
    let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap();
    let options = Options::new(setup.client_id)
        .session_start(match setup.start {
            Start::Resume => SessionStart::Resume,
            Start::CleanSlate => SessionStart::CleanSlate,
            Start::Transient => SessionStart::Transient,
        })
        .keep_alive(u16::try_from(setup.keep_alive.as_secs()).unwrap())
        .connect_timeout(micros(setup.connect_timeout))
        .write_timeout(micros(setup.write_timeout))
        .stall_timeout(micros(setup.stall_timeout))
        .first_connect(match setup.keep_trying {
            true => FirstConnect::KeepTrying,
            false => FirstConnect::ReturnError,
        })
        .window(setup.in_flight)
        .backoff(millis(setup.backoff.0), millis(setup.backoff.1))
        .declare(leak(setup.declared.clone()));
    match setup.max_attempts {
        Some(attempts) => options.max_attempts(attempts.try_into().unwrap()),
        None => options,
    }
}

type Parts = (Client<'static, M>, Runner<'static, M, Dialler, fn() -> u32>);

fn parts<const OUTBOX: usize, const QUEUE: usize>(world: &World, setup: &Setup) -> Parts {
    let resources = leak(Resources::<
        M,
        OUTBOX,
        QUEUE,
        SUBSCRIPTIONS,
        MESSAGE,
        BUFFER,
        TASKS,
    >::new());
    let random: fn() -> u32 = || fastrand::u32(..);
    new(
        resources,
        leak(options(setup)),
        Dialler(world.clone()),
        random,
    )
    .expect("the options are right")
}

/// Capacities are types: the ones that the scenarios ask for.
macro_rules! by_capacity {
    ($world:expr, $setup:expr, [$($outbox:literal),*], $queues:tt) => {
        match $setup.outbox {
            $($outbox => by_capacity!(@queue $world, $setup, $outbox, $queues),)*
            other => panic!("an outbox of {other}: add it"),
        }
    };
    (@queue $world:expr, $setup:expr, $outbox:literal, [$($queue:literal),*]) => {
        match $setup.queue {
            $($queue => parts::<$outbox, $queue>($world, $setup),)*
            other => panic!("a queue of {other}: add it"),
        }
    };
}

impl Adapter for Embassy {
    type Ack = Pending;
    type Inbox = Stream;
    type Happenings = Events;

    fn start(world: &World, setup: Setup) -> Self {
        let (client, mut runner) =
            by_capacity!(world, &setup, [2, 3, 20, 1_000], [1, 2, 3, 10, 19, 32, 64]);
        let (happenings, _) = broadcast::channel(256);
        let tell = happenings.clone();
        tokio::task::spawn_local(async move {
            runner
                .run_with(|event| {
                    // nobody listens at the moment: fine
                    let _ = tell.send(happening(event));
                })
                .await
        });
        Self { client, happenings }
    }

    async fn connected(&self) -> Result<(), Failure> {
        self.client
            .connected()
            .await
            .map_err(|reason| match reason {
                CloseReason::Refused(refusal) => Failure::Refused(refusal.code()),
                CloseReason::Connect(_) | CloseReason::Session(_) => {
                    Failure::NotConnected(reason.to_string())
                }
                CloseReason::Requested => Failure::Closed,
                other => Failure::Other(other.to_string()),
            })
    }

    fn happenings(&self) -> Events {
        Events(self.happenings.subscribe())
    }

    async fn publish(&self, topic: &str, payload: &[u8], qos: QoS) -> Result<(), Failure> {
        let published = match qos {
            QoS::AtMostOnce => {
                self.client
                    .publish_at_most_once(topic, payload, Retain::No)
                    .await
            }
            _ => match self.client.publish(topic, payload, Retain::No).await {
                Err(PublishError::Limit(Limit::Message)) => {
                    self.client
                        .publish_borrowed(topic, payload, Retain::No)
                        .await
                }
                published => published,
            },
        };
        published.map_err(publish_failure)
    }

    async fn enqueue(&self, topic: &str, payload: &[u8]) -> Result<Pending, Failure> {
        match self.client.enqueue(topic, payload, Retain::No).await {
            Ok(ack) => Ok(Pending::Kept(ack)),
            // too long to be kept: somebody has to supply it
            Err(PublishError::Limit(Limit::Message)) => {
                let (client, topic, payload) = (self.client, topic.to_owned(), payload.to_vec());
                let mut publish =
                    Box::pin(
                        async move { client.publish_borrowed(&topic, &payload, Retain::No).await },
                    );
                // it has its place before the call returns
                let first = poll_fn(|cx| Poll::Ready(publish.as_mut().poll(cx))).await;
                assert!(first.is_pending(), "{first:?}");
                Ok(Pending::Supplied(tokio::task::spawn_local(publish)))
            }
            Err(error) => Err(publish_failure(error)),
        }
    }

    async fn publish_source(&self, topic: &str, source: Source) -> Result<(), Failure> {
        let mut buffer = [0; 1_000];
        let len = u32::try_from(source.announced).unwrap();
        let open = async || {
            Ok(SourceReader {
                bytes: source.bytes(),
                at: 0,
                ending: source.ending,
            })
        };
        self.client
            .publish_source(topic, len, Retain::No, &mut buffer, open)
            .await
            .map_err(publish_failure)
    }

    async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Stream, Failure> {
        let filter = leak(filter.to_owned());
        match self.client.subscribe(filter, qos).await {
            Ok(inbox) => Ok(Stream(Some(inbox))),
            Err(error) => Err(subscribe_failure(error)),
        }
    }

    async fn unsubscribe(&self, filter: &str) -> Result<(), Failure> {
        let filter = leak(filter.to_owned());
        let unsubscribed = self.client.unsubscribe(filter).await;
        unsubscribed.map_err(subscribe_failure)
    }

    fn take(&self, filter: &str) -> Stream {
        Stream(Some(self.client.inbox(filter).expect("it was declared")))
    }

    fn take_unmatched(&self) -> Stream {
        Stream(Some(self.client.unmatched().expect("nobody has it")))
    }

    async fn flush(&self) -> Result<(), Failure> {
        self.client.flush().await.map_err(publish_failure)
    }

    async fn disconnect(&self, within: Option<Duration>) -> Vec<Vec<u8>> {
        match within {
            Some(limit) => {
                let micros = u64::try_from(limit.as_micros()).unwrap();
                let limit = embassy_time::Duration::from_micros(micros);
                self.client.disconnect_within(limit).await;
            }
            None => self.client.disconnect().await,
        }
        std::iter::from_fn(|| self.client.undelivered())
            .map(|message| message.payload().to_vec())
            .collect()
    }

    fn counts(&self) -> Counts {
        let stats = self.client.stats();
        Counts {
            acknowledged: stats.acknowledged.into(),
            resent: stats.resent.into(),
            lost_with_connection: stats.lost_with_connection.into(),
            dropped_by_full_queue: stats.dropped.into(),
            discarded_while_stalled: stats.discarded_while_stalled.into(),
            disconnections: stats.disconnections.into(),
            outbox_messages: 0,
        }
    }
}

pub(crate) fn publish_failure(error: PublishError) -> Failure {
    match error {
        PublishError::Closed => Failure::Closed,
        PublishError::Undeliverable { attempts } => Failure::Undeliverable { attempts },
        PublishError::Source => Failure::SourceFailed,
        PublishError::TooShort => Failure::SourceTooShort,
        PublishError::TooLong => Failure::SourceTooLong,
        other => Failure::Other(other.to_string()),
    }
}

fn subscribe_failure(error: SubscribeError) -> Failure {
    match error {
        SubscribeError::Closed => Failure::Closed,
        SubscribeError::Refused => Failure::FilterRefused,
        other => Failure::Other(other.to_string()),
    }
}

#[derive(Debug)]
pub(crate) enum Pending {
    Kept(Ack<'static, M>),
    Supplied(JoinHandle<Result<(), PublishError>>),
}

impl Future for Pending {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut *self {
            Self::Kept(ack) => Pin::new(ack).poll(cx),
            Self::Supplied(task) => Pin::new(task)
                .poll(cx)
                .map(|outcome| outcome.expect("it does not panic")),
        };
        outcome.map_err(publish_failure)
    }
}

#[derive(Debug)]
pub(crate) struct Stream(Option<mqtt_client_embassy::Inbox<'static, M>>);

impl Inbox for Stream {
    type Delivery = Received;

    async fn next(&mut self) -> Option<Received> {
        match self.0.as_mut()?.next().await {
            Ok(message) => Some(Received(message)),
            Err(SubscribeError::Closed | SubscribeError::Unsubscribed) => None,
            Err(error) => panic!("nothing is refused here: {error}"),
        }
    }

    fn acknowledge_manually(&mut self) {
        self.0 = self.0.take().map(|inbox| inbox.acknowledging_manually());
    }
}

#[derive(Debug)]
pub(crate) struct Received(Message<'static, M>);

impl Delivery for Received {
    fn topic(&self) -> &str {
        self.0.topic()
    }

    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn is_duplicate(&self) -> bool {
        self.0.dup() == Dup::Repeat
    }

    fn ack(self) {
        self.0.acknowledge();
    }
}

#[derive(Debug)]
pub(crate) struct Events(broadcast::Receiver<Happening>);

impl HappeningSource for Events {
    async fn next(&mut self) -> Option<Happening> {
        self.0.recv().await.ok()
    }
}

fn happening(event: Event<'_>) -> Happening {
    let retry_in = |delay: Option<embassy_time::Duration>| {
        delay.map(|delay| Duration::from_micros(delay.as_micros()))
    };
    match event {
        Event::Connected { session } => Happening::Connected {
            resumed: session == SessionPresent::Present,
        },
        Event::ConnectFailed {
            reason,
            retry_in: delay,
        } => Happening::ConnectFailed {
            rule: rule(reason),
            retry_in: retry_in(delay),
        },
        Event::Disconnected {
            reason,
            retry_in: delay,
        } => Happening::Disconnected {
            rule: rule(reason),
            timed_out: matches!(reason, DisconnectReason::Session(SessionError::Timeout(_))),
            retry_in: retry_in(delay),
        },
        Event::Suspect { topic, attempts } => Happening::Suspect {
            topic: topic.to_owned(),
            attempts,
        },
        Event::Undeliverable { topic, attempts } => Happening::Undeliverable {
            topic: topic.to_owned(),
            attempts,
        },
        Event::Stalled => Happening::Stalled,
        Event::Closed(_) => Happening::Closed,
        _ => Happening::Other,
    }
}

fn rule(reason: DisconnectReason) -> Option<&'static str> {
    match reason {
        DisconnectReason::Session(SessionError::Protocol(violation)) => Some(violation.id()),
        _ => None,
    }
}

/// Yields a [`Source`], at most 700 bytes at a time.
struct SourceReader {
    bytes: Vec<u8>,
    at: usize,
    ending: Ending,
}

impl ErrorType for SourceReader {
    type Error = io::Error;
}

impl Read for SourceReader {
    async fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = (self.bytes.len() - self.at).min(out.len()).min(700);
        if n == 0 && self.ending == Ending::Error {
            return Err(io::Error::other("the disk is gone"));
        }
        out[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
