//! Whatever a server sends first: closed with the rule's id, little memory taken, the next connection works.
#[path = "../support/counting.rs"]
mod counting;

use std::{future::Future, net::SocketAddr, time::Duration};

use mqtt_client::{
    Address, BackoffOptions, Client, ConnectFailure, ConnectOptions, DisconnectReason, Event,
    FirstConnect, QoS, SessionError, SessionStart, Subscription,
};
use mqtt_codec::wire::PacketType;
use testkit::net::{Opening, PeerScript, Place, ScriptedPeer, openings, script};
use tokio::{
    runtime::{Builder, Runtime},
    sync::broadcast::Receiver,
    time::timeout,
};

/// More than a normal connection's, bytes.
const ALLOWANCE: isize = 64 * 1_024;

/// A peer on threads of its own, so that only the client's memory counts here.
struct Stage {
    peers: Runtime,
    clients: Runtime,
}

impl Stage {
    fn new() -> Self {
        let mut peers = Builder::new_multi_thread();
        let mut clients = Builder::new_current_thread();
        Self {
            peers: peers.worker_threads(1).enable_all().build().unwrap(),
            clients: clients.enable_all().build().unwrap(),
        }
    }

    fn peer(&self, scripts: impl IntoIterator<Item = PeerScript>) -> ScriptedPeer {
        self.peers.block_on(ScriptedPeer::start(scripts))
    }

    /// Runs a client; what `life` returns, and the most memory that it held.
    fn run<T>(&self, life: impl Future<Output = T>) -> (T, isize) {
        counting::reset();
        let limit = Duration::from_secs(20);
        let result = self.clients.block_on(async { timeout(limit, life).await });
        let peak = counting::heap().peak;
        (result.expect("in time"), peak)
    }

    /// What a connection takes on which nothing is wrong, bytes.
    fn normal(&self) -> isize {
        let peer = self.peer([good(Place::Subscribed)]);
        let options = options(peer.address(), Place::Subscribed);
        let ((), peak) = self.run(async {
            let client = Client::start(options).unwrap();
            let _events = client.events();
            live_well(client, Place::Subscribed).await;
        });
        peak
    }
}

fn options(peer: SocketAddr, place: Place) -> ConnectOptions {
    let backoff = BackoffOptions::default()
        .min(Duration::from_millis(1))
        .max(Duration::from_millis(2));
    let address = Address::tcp(&peer.ip().to_string(), peer.port()).unwrap();
    ConnectOptions::new(address)
        .client_id("c")
        .session_start(match place {
            Place::FirstIfClean => SessionStart::Transient,
            _ => SessionStart::Resume,
        })
        .first_connect(FirstConnect::KeepTrying)
        .backoff(backoff)
}

/// What comes after the hostile connection.
fn good(place: Place) -> PeerScript {
    let connected = match place {
        Place::Subscribed => script().accept().expect(PacketType::Subscribe).reply(),
        _ => script().accept(),
    };
    connected
        .expect(PacketType::Publish)
        .reply()
        .expect(PacketType::Disconnect)
}

async fn live_well(client: Client, place: Place) {
    let subscription = subscribe(&client, place).await;
    leave_well(client).await;
    drop(subscription);
}

async fn subscribe(client: &Client, place: Place) -> Option<Subscription> {
    match place {
        Place::Subscribed => Some(client.subscribe("a", QoS::AtLeastOnce).await.unwrap()),
        _ => None,
    }
}

async fn leave_well(client: Client) {
    let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
    publish.await.unwrap();
    client.disconnect().await.unwrap();
}

/// The rule that the client says the peer has broken.
async fn rule(events: &mut Receiver<Event>) -> &'static str {
    loop {
        match events.recv().await.unwrap() {
            Event::ConnectFailed { error, .. } => match error.failure() {
                ConnectFailure::Protocol(violation) => {
                    assert!(error.to_string().contains(violation.id()), "{error}");
                    return violation.id();
                }
                other => panic!("{other:?}"),
            },
            Event::Disconnected { reason, .. } => match &reason {
                DisconnectReason::Session(SessionError::Protocol(violation)) => {
                    assert!(reason.to_string().contains(violation.id()), "{reason}");
                    return violation.id();
                }
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }
}

fn assert_closes(stage: &Stage, opening: &Opening, normal: isize) {
    let peer = stage.peer([opening.script(), good(opening.place)]);
    let options = options(peer.address(), opening.place);
    let (rule, peak) = stage.run(async {
        let client = Client::start(options).unwrap();
        let mut events = client.events();
        let subscribing = subscribe(&client, opening.place);
        let (rule, _subscription) = tokio::join!(rule(&mut events), subscribing);
        leave_well(client).await;
        rule
    });
    assert_eq!(rule, opening.rule, "{}", opening.name);
    assert!(
        peak <= normal + ALLOWANCE,
        "{}: {peak} bytes, of a normal connection {normal}",
        opening.name
    );
    stage.peers.block_on(peer.played(2));
}

#[test]
fn each_hostile_opening_is_closed_with_its_rule_and_the_next_connection_works() {
    let stage = Stage::new();
    let normal = stage.normal();
    for opening in openings() {
        assert_closes(&stage, opening, normal);
    }
}

/// Legal beginnings of packets that never end: `30 ff ff ff 7f` among them.
#[test]
fn a_declared_length_takes_no_memory() {
    let stage = Stage::new();
    let normal = stage.normal();
    let rows: [&[u8]; 5] = [
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, b't'],
        b"\x30\xff\xff\xff\x7f\x00\x01tsome of it",
        b"\x32\xff\xff\xff\x7f\x00\x01t\x00\x01some of it",
        // within the packet limit: 15 MiB
        b"\x32\x80\x80\xc0\x07\x00\x01a\x00\x01some of it",
    ];
    for bytes in rows {
        let place = Place::Subscribed;
        let begun = script().accept().expect(PacketType::Subscribe).send(bytes);
        let peer = stage.peer([begun.close(), good(place)]);
        let options = options(peer.address(), place);
        let ((), peak) = stage.run(async {
            let client = Client::start(options).unwrap();
            live_well(client, place).await;
        });
        assert!(
            peak <= normal + ALLOWANCE,
            "{bytes:02x?}: {peak} bytes, of a normal connection {normal}"
        );
        stage.peers.block_on(peer.played(2));
    }
}

/// 8 MiB of a message over the limit are read through.
#[test]
fn an_oversized_message_is_not_kept() {
    let stage = Stage::new();
    let normal = stage.normal();
    let len = 8 << 20;
    let mut bytes = b"\x32\x85\x80\x80\x04\x00\x01a\x00\x01".to_vec();
    bytes.resize(bytes.len() + len, b'x');
    bytes.extend(b"\x30\x09\x00\x01abehind");
    let oversized = script()
        .accept()
        .expect(PacketType::Subscribe)
        .reply()
        .send(bytes)
        .expect(PacketType::PubAck)
        .expect(PacketType::Publish)
        .reply()
        .expect(PacketType::Disconnect);
    let peer = stage.peer([oversized]);
    let options = options(peer.address(), Place::Subscribed).packet_limit(1 << 20);
    let ((), peak) = stage.run(async {
        let client = Client::start(options).unwrap();
        let mut events = client.events();
        let mut subscription = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
        while !matches!(events.recv().await.unwrap(), Event::Oversized { .. }) {}
        let behind = subscription.next().await.unwrap().unwrap();
        assert_eq!(behind.payload(), b"behind");
        leave_well(client).await;
    });
    assert!(
        peak <= normal + 2 * ALLOWANCE,
        "{peak} bytes, of a normal connection {normal}"
    );
    stage.peers.block_on(peer.played(1));
}
