//! Decoding and encoding each packet; PUBLISH with payloads of 0, 64, 1 Ki and 16 Ki bytes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_codec::wire::{
    Delivery, Dup, Packet, PacketId, Publish, QoS, Retain, Subscribe, TopicFilter, TopicName,
    Unsubscribe,
};

const PAYLOADS: [usize; 4] = [0, 64, 1024, 16_384];
const TOPIC: &str = "sensors/1/temp";
const FILTER: &str = "sensors/+/temp";

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, bytes) in packets() {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(Packet::decode(black_box(&bytes))).is_ok());
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let mut buffer = vec![0; 32 * 1024];
    for (name, bytes) in packets() {
        let packet = whole(&bytes);
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&packet).encode(black_box(&mut buffer)));
        });
    }
    group.finish();
}

/// What a client does with the filters of its own requests.
fn encode_requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode a request");
    let filter = TopicFilter::new(FILTER).expect("a legal filter");
    let mut buffer = [0; 64];
    group.bench_function("SUBSCRIBE", |bencher| {
        bencher.iter(|| {
            let filters = [(black_box(filter), QoS::AtLeastOnce)];
            Subscribe::new(PacketId::MIN, filters).map(|it| it.encode(black_box(&mut buffer)))
        });
    });
    group.bench_function("UNSUBSCRIBE", |bencher| {
        bencher.iter(|| {
            let filters = [black_box(filter)];
            Unsubscribe::new(PacketId::MIN, filters).map(|it| it.encode(black_box(&mut buffer)))
        });
    });
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    let topic = TopicName::new(TOPIC).expect("a legal topic");
    for filter in [TOPIC, FILTER, "sensors/#", "#", "actors/+/temp"] {
        let filter = TopicFilter::new(filter).expect("a legal filter");
        group.bench_function(filter.as_str(), |bencher| {
            bencher.iter(|| black_box(filter).matches(black_box(topic)));
        });
    }
    group.finish();
}

/// The fourteen packets, PUBLISH in each size.
fn packets() -> Vec<(BenchmarkId, Vec<u8>)> {
    let mut packets: Vec<(BenchmarkId, Vec<u8>)> = PAYLOADS
        .into_iter()
        .map(|len| (BenchmarkId::new("PUBLISH", len), publish(len)))
        .collect();
    let others: [(&str, &[u8]); 13] = [
        (
            "CONNECT",
            b"\x10\x15\x00\x04MQTT\x04\x02\x00\x3c\x00\x09gateway-1",
        ),
        ("CONNACK", b"\x20\x02\x00\x00"),
        ("PUBACK", b"\x40\x02\x00\x0a"),
        ("PUBREC", b"\x50\x02\x00\x0a"),
        ("PUBREL", b"\x62\x02\x00\x0a"),
        ("PUBCOMP", b"\x70\x02\x00\x0a"),
        ("SUBSCRIBE", b"\x82\x13\x00\x0a\x00\x0esensors/+/temp\x01"),
        ("SUBACK", b"\x90\x03\x00\x0a\x01"),
        ("UNSUBSCRIBE", b"\xa2\x12\x00\x0a\x00\x0esensors/+/temp"),
        ("UNSUBACK", b"\xb0\x02\x00\x0a"),
        ("PINGREQ", b"\xc0\x00"),
        ("PINGRESP", b"\xd0\x00"),
        ("DISCONNECT", b"\xe0\x00"),
    ];
    for (name, bytes) in others {
        whole(bytes);
        packets.push((BenchmarkId::from_parameter(name), bytes.to_vec()));
    }
    packets
}

fn publish(payload_len: usize) -> Vec<u8> {
    let payload = vec![b'x'; payload_len];
    let publish = Publish {
        topic: TopicName::new(TOPIC).expect("a legal topic"),
        delivery: Delivery::AtLeastOnce {
            id: PacketId::MIN,
            dup: Dup::First,
        },
        retain: Retain::No,
        payload: &payload,
    };
    let mut bytes = vec![0; publish.encoded_len().expect("a legal length")];
    publish.encode(&mut bytes).expect("it has room");
    bytes
}

fn whole(bytes: &[u8]) -> Packet<'_> {
    let (packet, len) = Packet::decode(bytes)
        .expect("it is legal")
        .expect("it is complete");
    assert_eq!(len, bytes.len());
    packet
}

criterion_group!(codec, decode, encode, encode_requests, matching);
criterion_main!(codec);
