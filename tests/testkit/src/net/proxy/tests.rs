use std::time::Duration;

use mqtt_codec::wire::PacketType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::net::{Listener, Mosquitto, ScriptedPeer, script};

const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const PUBLISH: &[u8] = b"\x32\x09\x00\x01t\x00\x07four";
const PUBLISH_AGAIN: &[u8] = b"\x3a\x09\x00\x01t\x00\x07four";
const PUBACK: &[u8] = &[0x40, 2, 0, 7];

/// A client that sends this and reads until the connection ends.
async fn talk(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    received
}

/// A peer for one connection with one QoS 1 message.
async fn peer() -> ScriptedPeer {
    ScriptedPeer::start([script().accept().expect(PacketType::Publish).reply()]).await
}

async fn proxy_with(peer: &ScriptedPeer, fault: Fault) -> Proxy {
    Proxy::start(peer.address(), Plan::scripted([Some(fault)])).await
}

#[tokio::test]
async fn lets_everything_through_and_records_it() {
    let peer = ScriptedPeer::start([script()
        .accept()
        .expect(PacketType::Publish)
        .reply()
        .close()])
    .await;
    let proxy = Proxy::start(peer.address(), Plan::faithful()).await;
    let received = talk(&proxy, &[CONNECT, PUBLISH_AGAIN].concat()).await;
    assert_eq!(received, [CONNACK, PUBACK].concat());
    assert_eq!(proxy.acknowledged(), [b"four"]);
    let counters = proxy.counters();
    assert_eq!(
        (counters.connections, counters.cuts, counters.repeats),
        (1, 0, 1)
    );
    assert_eq!((counters.publishes, counters.pubacks), (1, 1));
    let mut records = proxy.records();
    records.retain(|record| record.packet_type == Some(PacketType::Publish));
    let [publish] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((publish.id, publish.topic.as_deref()), (Some(7), Some("t")));
    assert_eq!(
        (publish.payload.as_slice(), publish.whole),
        (&b"four"[..], Whole::Yes)
    );
}

#[tokio::test]
async fn cuts_within_a_packet_to_the_broker() {
    let peer = peer().await;
    let fault = Fault::CutInPacket {
        direction: Direction::ToBroker,
        packets: 1,
        bytes: 4,
    };
    let proxy = proxy_with(&peer, fault).await;
    assert_eq!(
        talk(&proxy, &[CONNECT, PUBLISH].concat()).await.len() % 4,
        0
    );
    let counters = proxy.counters();
    assert_eq!((counters.cuts, counters.cuts_in_packet_to_broker), (1, 1));
    assert_eq!((counters.cuts_in_flight, counters.publishes), (0, 0));
    let last = proxy.records().pop().unwrap();
    assert_eq!(
        (last.packet_type, last.len, last.whole),
        (Some(PacketType::Publish), 4, Whole::Cut)
    );
}

#[tokio::test]
async fn cuts_within_a_packet_to_the_client_with_a_message_in_flight() {
    let peer = peer().await;
    let fault = Fault::CutInPacket {
        direction: Direction::ToClient,
        packets: 1,
        bytes: 99,
    };
    let proxy = proxy_with(&peer, fault).await;
    let received = talk(&proxy, &[CONNECT, PUBLISH].concat()).await;
    assert_eq!(received, [CONNACK, &PUBACK[..3]].concat());
    let counters = proxy.counters();
    assert_eq!(
        (counters.cuts_in_packet_to_client, counters.cuts_in_flight),
        (1, 1)
    );
    assert!(proxy.acknowledged().is_empty());
}

#[tokio::test]
async fn cuts_between_packets_after_bytes_and_with_messages_in_flight() {
    for (fault, publishes) in [
        (
            Fault::CutAfterPackets {
                direction: Direction::ToBroker,
                packets: 1,
            },
            0,
        ),
        (
            Fault::CutAfterBytes {
                direction: Direction::ToBroker,
                bytes: CONNECT.len() as u64,
            },
            0,
        ),
        (Fault::CutInFlight { messages: 1 }, 1),
    ] {
        let peer = peer().await;
        let proxy = proxy_with(&peer, fault.clone()).await;
        talk(&proxy, &[CONNECT, PUBLISH].concat()).await;
        let counters = proxy.counters();
        assert_eq!(
            (counters.cuts, counters.publishes),
            (1, publishes),
            "{fault:?}"
        );
        assert_eq!(counters.cuts_in_packet_to_broker, 0, "{fault:?}");
        assert_eq!(counters.cuts_in_flight, publishes, "{fault:?}");
    }
}

#[tokio::test]
async fn swallows_without_a_word() {
    let peer = peer().await;
    let fault = Fault::Swallow {
        direction: Direction::ToClient,
        packets: 1,
    };
    let proxy = proxy_with(&peer, fault).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    stream.write_all(PUBLISH).await.unwrap();
    assert!(
        timeout(Duration::from_millis(50), stream.read_u8())
            .await
            .is_err()
    );
    assert_eq!(proxy.counters().publishes, 0);
}

#[tokio::test]
async fn what_was_swallowed_is_not_made_good() {
    let peer = peer().await;
    let proxy = Proxy::start(peer.address(), Plan::faithful()).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    proxy.set_mode(Mode::Swallow);
    while proxy.counters().swallowed == 0 {
        stream.write_all(&[0xC0, 0]).await.unwrap();
        tokio::task::yield_now().await;
    }
    proxy.set_mode(Mode::Forward);
    assert!(stream.read_u8().await.is_err());
    assert_eq!(proxy.counters().cuts, 1);
}

#[tokio::test]
async fn cuts_on_demand() {
    let peer = peer().await;
    let proxy = Proxy::start(peer.address(), Plan::faithful()).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    proxy.cut();
    assert!(stream.read_u8().await.is_err());
    assert_eq!(proxy.counters().cuts, 1);
}

#[tokio::test]
async fn a_blocked_connection_fills_up_and_goes_on() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.address(Listener::Plain), Plan::faithful()).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    proxy.set_mode(Mode::Block);
    stream.write_all(PUBLISH).await.unwrap();
    assert!(
        timeout(Duration::from_millis(50), stream.read_u8())
            .await
            .is_err()
    );
    proxy.set_mode(Mode::Forward);
    let mut puback = [0; 4];
    stream.read_exact(&mut puback).await.unwrap();
    assert_eq!(puback, PUBACK);
}

#[tokio::test]
async fn refuses_and_accepts_again_on_the_same_port() {
    let peer = ScriptedPeer::start([script().accept(), script().accept().close()]).await;
    let proxy = Proxy::start(peer.address(), Plan::faithful()).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(CONNECT).await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    proxy.set_mode(Mode::Refuse);
    assert!(stream.read_u8().await.is_err());
    while TcpStream::connect(proxy.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    proxy.set_mode(Mode::Forward);
    while TcpStream::connect(proxy.address()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_random_plan_makes_all_its_cuts_and_then_none() {
    let broker = Mosquitto::start().await;
    let plan = Plan::random(7, 40).packets_between(3);
    let proxy = Proxy::start(broker.address(Listener::Plain), plan).await;
    let messages: Vec<u8> = PUBLISH.repeat(30);
    let stream = [CONNECT, &messages, &[0xE0, 0]].concat();
    for _ in 0..200 {
        talk(&proxy, &stream).await;
    }
    let counters = proxy.counters();
    assert_eq!(counters.cuts, 40, "{counters:?}");
    assert!(counters.cuts_in_packet_to_broker > 0, "{counters:?}");
    assert!(counters.cuts_in_packet_to_client > 0, "{counters:?}");
    assert!(counters.cuts_in_flight > 0, "{counters:?}");
}

#[test]
fn the_same_seed_is_the_same_plan() {
    let faults = |seed| {
        let mut plan = Plan::random(seed, 100);
        (0..100)
            .map(|cuts| plan.next_fault(cuts))
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(1), faults(1));
    assert_ne!(faults(1), faults(2));
    assert_eq!(Plan::random(1, 100).next_fault(100), None);
}
