use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use client_tests::{
    Adapter, Counts, Delivery, Ending, Failure, Happening, HappeningSource, Inbox, Setup, Source,
    Start, World,
};
use mqtt_client::{
    Address, BackoffOptions, Capacity, Client, ConnectFailure, ConnectOptions, DisconnectReason,
    Event, Filter, FirstConnect, Message, PublishAck, PublishError, QoS, SessionError,
    SessionStart, SessionState, StartError, SubscribeError, Subscription, source_fn,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::broadcast,
};

/// The tokio client.
#[derive(Clone, Debug)]
pub(crate) struct Tokio(pub(crate) Client);

pub(crate) async fn connected(world: &World, setup: &Setup) -> Client {
    Client::connect(options(world, setup)).await.unwrap()
}

/// Under the paused clock, one that hangs ends at once.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    let limit = tokio::time::timeout(Duration::from_secs(24 * 3_600), future);
    limit.await.expect("it comes to its end")
}

/// The options of a client in `world`.
pub(crate) fn options(world: &World, setup: &Setup) -> ConnectOptions {
    let world = world.clone();
    let (min, max) = setup.backoff;
    let mut options = ConnectOptions::new(Address::tcp("broker.test", 1883).unwrap())
        .connector(move |_: Address| {
            let stream = world.dial();
            async { stream }
        })
        .client_id(setup.client_id)
        .session_start(match setup.start {
            Start::Resume => SessionStart::Resume,
            Start::CleanSlate => SessionStart::CleanSlate,
            Start::Transient => SessionStart::Transient,
        })
        .keep_alive(setup.keep_alive)
        .connect_timeout(setup.connect_timeout)
        .write_timeout(setup.write_timeout)
        .stall_timeout(setup.stall_timeout)
        .first_connect(match setup.keep_trying {
            true => FirstConnect::KeepTrying,
            false => FirstConnect::ReturnError,
        })
        .in_flight(setup.in_flight)
        .outbox(Capacity::new(setup.outbox, 16 << 20))
        .queue(Capacity::new(setup.queue, 16 << 20))
        .backoff(BackoffOptions::default().min(min).max(max));
    for (filter, qos) in &setup.declared {
        options = options.declare(Filter::new(*filter).unwrap(), *qos);
    }
    match setup.max_attempts {
        Some(attempts) => options.max_attempts(attempts.into()),
        None => options,
    }
}

impl Adapter for Tokio {
    type Ack = Ack;
    type Inbox = Stream;
    type Happenings = Events;

    fn start(world: &World, setup: Setup) -> Self {
        let client = Client::start(options(world, &setup)).expect("the options are right");
        // the first receiver has what happened before it was asked for
        drop(client.events());
        Self(client)
    }

    async fn connected(&self) -> Result<(), Failure> {
        self.0.connected().await.map_err(|error| match error {
            StartError::Connect(error) => match error.failure() {
                ConnectFailure::Refused(refusal) => Failure::Refused(refusal.code()),
                failure => Failure::NotConnected(failure.to_string()),
            },
            StartError::Closed(_) => Failure::Closed,
            other => Failure::Other(other.to_string()),
        })
    }

    fn happenings(&self) -> Events {
        Events(self.0.events())
    }

    async fn publish(&self, topic: &str, payload: &[u8], qos: QoS) -> Result<(), Failure> {
        let publish = self.0.publish(topic, payload).qos(qos);
        publish.await.map_err(publish_failure)
    }

    async fn enqueue(&self, topic: &str, payload: &[u8]) -> Result<Ack, Failure> {
        let publish = self.0.publish(topic, payload).qos(QoS::AtLeastOnce);
        publish.enqueue().await.map(Ack).map_err(publish_failure)
    }

    async fn publish_source(&self, topic: &str, source: Source) -> Result<(), Failure> {
        let open = move || async move {
            Ok(SourceReader {
                bytes: source.bytes(),
                at: 0,
                ending: source.ending,
            })
        };
        let publish = self
            .0
            .publish_stream(topic, source_fn(source.announced as u64, open));
        publish.await.map_err(publish_failure)
    }

    async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Stream, Failure> {
        match self.0.subscribe(filter, qos).await {
            Ok(subscription) => Ok(Stream(subscription)),
            Err(error) => Err(subscribe_failure(&error)),
        }
    }

    async fn unsubscribe(&self, filter: &str) -> Result<(), Failure> {
        let unsubscribed = self.0.unsubscribe(filter).await;
        unsubscribed.map_err(|error| subscribe_failure(&error))
    }

    fn take(&self, filter: &str) -> Stream {
        Stream(self.0.stream(filter).expect("it was declared"))
    }

    fn take_unmatched(&self) -> Stream {
        Stream(self.0.default_stream().expect("nobody has it"))
    }

    async fn flush(&self) -> Result<(), Failure> {
        self.0.flush().await.map_err(|_| Failure::Closed)
    }

    async fn disconnect(&self, within: Option<Duration>) -> Vec<Vec<u8>> {
        let done = match within {
            Some(limit) => self.0.disconnect_within(limit).await,
            None => self.0.disconnect().await,
        };
        let messages = done.err().into_iter().flat_map(|left| left.messages);
        messages
            .map(|message| message.payload.unwrap_or_default().to_vec())
            .collect()
    }

    fn counts(&self) -> Counts {
        let stats = self.0.stats();
        Counts {
            acknowledged: stats.acknowledged,
            resent: stats.resent,
            lost_with_connection: stats.lost_with_connection,
            dropped_by_full_queue: stats.dropped_by_full_queue,
            discarded_while_stalled: stats.discarded_while_stalled,
            disconnections: stats.disconnections,
            outbox_messages: stats.outbox_messages,
        }
    }
}

fn publish_failure(error: PublishError) -> Failure {
    match error {
        PublishError::Closed(_) => Failure::Closed,
        PublishError::Undeliverable { attempts } => Failure::Undeliverable { attempts },
        PublishError::Source(_) => Failure::SourceFailed,
        PublishError::SourceTooShort { .. } => Failure::SourceTooShort,
        PublishError::SourceTooLong { .. } => Failure::SourceTooLong,
        other => Failure::Other(other.to_string()),
    }
}

fn subscribe_failure(error: &SubscribeError) -> Failure {
    match error {
        SubscribeError::Closed(_) => Failure::Closed,
        SubscribeError::Refused { .. } => Failure::FilterRefused,
        other => Failure::Other(other.to_string()),
    }
}

#[derive(Debug)]
pub(crate) struct Ack(PublishAck);

impl Future for Ack {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(outcome.map_err(publish_failure))
    }
}

#[derive(Debug)]
pub(crate) struct Stream(Subscription);

impl Inbox for Stream {
    type Delivery = Received;

    async fn next(&mut self) -> Option<Received> {
        let message = self.0.next().await?;
        Some(Received(message.expect("nothing is refused here")))
    }

    fn acknowledge_manually(&mut self) {
        self.0.set_manual_ack();
    }
}

#[derive(Debug)]
pub(crate) struct Received(Message);

impl Delivery for Received {
    fn topic(&self) -> &str {
        self.0.topic()
    }

    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn is_duplicate(&self) -> bool {
        self.0.is_duplicate()
    }

    fn ack(self) {
        self.0.ack();
    }
}

#[derive(Debug)]
pub(crate) struct Events(broadcast::Receiver<Event>);

impl HappeningSource for Events {
    async fn next(&mut self) -> Option<Happening> {
        let happening = match self.0.recv().await.ok()? {
            Event::Connected { session, .. } => Happening::Connected {
                resumed: session == SessionState::Resumed,
            },
            Event::ConnectFailed { error, retry_in } => Happening::ConnectFailed {
                rule: match error.failure() {
                    ConnectFailure::Protocol(violation) => Some(violation.id()),
                    _ => None,
                },
                retry_in,
            },
            Event::Disconnected { reason, retry_in } => Happening::Disconnected {
                rule: rule(&reason),
                timed_out: matches!(reason, DisconnectReason::Session(SessionError::Timeout(_))),
                retry_in,
            },
            Event::Suspect { topic, attempts } => Happening::Suspect { topic, attempts },
            Event::Undeliverable { topic, attempts } => {
                Happening::Undeliverable { topic, attempts }
            }
            Event::Stalled => Happening::Stalled,
            Event::Closed { .. } => Happening::Closed,
            _ => Happening::Other,
        };
        Some(happening)
    }
}

fn rule(reason: &DisconnectReason) -> Option<&'static str> {
    match reason {
        DisconnectReason::Session(SessionError::Protocol(violation)) => Some(violation.id()),
        _ => None,
    }
}

/// Yields a [`Source`], at most 10,000 bytes at a time.
struct SourceReader {
    bytes: Vec<u8>,
    at: usize,
    ending: Ending,
}

impl AsyncRead for SourceReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = (self.bytes.len() - self.at)
            .min(buffer.remaining())
            .min(10_000);
        if n == 0 && self.ending == Ending::Error {
            return Poll::Ready(Err(io::Error::other("the disk is gone")));
        }
        buffer.put_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Poll::Ready(Ok(()))
    }
}
