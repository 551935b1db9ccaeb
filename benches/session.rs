//! One message through the session engine: published until acknowledged, and received.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_codec::session::{
    Config, Content, FixedStorage, Identity, Input, Instant, Outgoing, Session, Start,
};
use mqtt_codec::wire::{
    Ack, AckType, ClientId, Delivery, Dup, PacketId, Publish, QoS, Retain, TopicFilter, TopicName,
};

const WINDOW: usize = 100;
const PAYLOAD: [u8; 64] = [b'x'; 64];
const NOW: Instant = Instant::from_micros(1);

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    group.throughput(Throughput::Elements(1));
    group.bench_function("QoS 0", |bencher| {
        let mut engine = Engine::connected();
        bencher.iter(|| engine.publish_at_most_once());
    });
    group.bench_function("QoS 1, one in flight", |bencher| {
        let mut engine = Engine::connected();
        bencher.iter(|| {
            let id = engine.enqueue();
            engine.transmit();
            engine.acknowledge(id);
        });
    });
    group.throughput(Throughput::Elements(WINDOW as u64));
    group.bench_function("QoS 1, a window of 100", |bencher| {
        let mut engine = Engine::connected();
        let mut ids = Vec::with_capacity(WINDOW);
        bencher.iter(|| {
            ids.extend((0..WINDOW).map(|_| engine.enqueue()));
            engine.transmit();
            for id in ids.drain(..) {
                engine.acknowledge(id);
            }
        });
    });
    group.finish();
}

fn receive(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("receive");
    group.throughput(Throughput::Elements(1));
    group.bench_function("QoS 0", |bencher| {
        let mut engine = Engine::connected();
        let message = message(Delivery::AtMostOnce);
        bencher.iter(|| engine.receive(black_box(&message)));
    });
    group.bench_function("QoS 1, acknowledged", |bencher| {
        let mut engine = Engine::connected();
        let message = message(Delivery::AtLeastOnce {
            id: PacketId::MIN,
            dup: Dup::First,
        });
        bencher.iter(|| {
            engine.receive(black_box(&message));
            engine.transmit();
        });
    });
    group.finish();
}

fn reconnect(criterion: &mut Criterion) {
    criterion.bench_function("replay of a window of 100", |bencher| {
        let in_flight = || {
            let mut engine = Engine::connected();
            for _ in 0..WINDOW {
                engine.enqueue();
            }
            engine.transmit();
            engine.session.handle_closed();
            engine
        };
        bencher.iter_batched(
            in_flight,
            |mut engine| {
                engine.connect();
                engine.transmit();
            },
            BatchSize::SmallInput,
        );
    });
}

/// A message of the benchmark: all are the same.
#[derive(Debug)]
struct Reading {
    topic: TopicName<'static>,
}

impl Outgoing for Reading {
    fn content(&self) -> Content<'_> {
        Content::Publish {
            topic: self.topic,
            retain: Retain::No,
            payload_len: PAYLOAD.len() as u32,
        }
    }

    fn filter(&self, _index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        None
    }
}

/// An engine with the buffers that an adapter would have.
struct Engine {
    session: Session<FixedStorage<Reading, 128, 4, 128>>,
    output: Vec<u8>,
    topic: TopicName<'static>,
}

impl Engine {
    fn connected() -> Self {
        let mut config = Config::new();
        config.start = Start::Transient;
        config.window = WINDOW as u16;
        let mut engine = Self {
            session: Session::new(config, FixedStorage::new()),
            output: vec![0; 64 * 1024],
            topic: topic(),
        };
        engine.connect();
        engine
    }

    fn connect(&mut self) {
        let client_id = ClientId::new("bench").expect("a legal client id");
        let identity = Identity {
            client_id,
            login: None,
            will: None,
        };
        let len = self
            .session
            .open(NOW, &identity, &mut self.output)
            .expect("CONNECT fits");
        self.session.handle_written(NOW, len);
        let (_, input) = self
            .session
            .handle_input(NOW, b"\x20\x02\x00\x00")
            .expect("a legal CONNACK");
        assert!(matches!(input, Some(Input::Connected { .. })));
        while self.session.wants_renewal() {
            self.session.renew(None).expect("nothing to renew");
        }
    }

    fn publish_at_most_once(&mut self) {
        let len = self
            .session
            .publish_at_most_once(
                self.topic,
                Retain::No,
                PAYLOAD.len() as u32,
                &mut self.output,
            )
            .expect("it fits")
            .expect("it is connected");
        self.output[len..len + PAYLOAD.len()].copy_from_slice(&PAYLOAD);
        self.session.advance(len + PAYLOAD.len());
        self.session.handle_written(NOW, len + PAYLOAD.len());
    }

    fn enqueue(&mut self) -> PacketId {
        self.session
            .enqueue(Reading { topic: self.topic })
            .expect("there is room")
    }

    /// Copies all that waits into one buffer, which the transport then takes.
    fn transmit(&mut self) {
        let mut at = 0;
        while let Some(transmit) = self.session.poll_transmit() {
            let before = at;
            let payload = transmit.payload.map_or(&[][..], |range| {
                &PAYLOAD[range.offset as usize..][..range.len as usize]
            });
            for bytes in transmit.bytes.into_iter().chain([payload]) {
                self.output[at..at + bytes.len()].copy_from_slice(bytes);
                at += bytes.len();
            }
            self.session.advance(at - before);
        }
        assert!(at > 0);
        self.session.handle_written(NOW, at);
    }

    fn acknowledge(&mut self, id: PacketId) {
        let mut puback = [0; Ack::LEN];
        Ack {
            ack_type: AckType::PubAck,
            id,
        }
        .encode(&mut puback)
        .expect("it fits");
        let (_, input) = self
            .session
            .handle_input(NOW, &puback)
            .expect("a legal PUBACK");
        assert!(matches!(input, Some(Input::Acknowledged { .. })));
    }

    fn receive(&mut self, message: &[u8]) {
        let (_, input) = self
            .session
            .handle_input(NOW, message)
            .expect("a legal PUBLISH");
        let Some(Input::Message(message)) = input else {
            panic!("not a message")
        };
        black_box(message.payload);
        if let Some(token) = message.token {
            self.session.acknowledge(token);
        }
    }
}

fn message(delivery: Delivery) -> Vec<u8> {
    let publish = Publish {
        topic: topic(),
        delivery,
        retain: Retain::No,
        payload: &PAYLOAD,
    };
    let mut bytes = vec![0; publish.encoded_len().expect("a legal length")];
    publish.encode(&mut bytes).expect("it has room");
    bytes
}

fn topic() -> TopicName<'static> {
    TopicName::new("sensors/1/temp").expect("a legal topic")
}

criterion_group!(session, publish, receive, reconnect);
criterion_main!(session);
