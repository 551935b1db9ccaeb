use std::time::Duration;

use mqtt_codec::wire::{CleanSession, ConnectRefusal, Packet, PacketType};
use testkit::Frame;

use super::{QOS1, connect};
use crate::{Adapter, Failure, Setup, Start, World, happenings::listen};

pub async fn connects_and_disconnects<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    assert_eq!(client.disconnect(None).await, Vec::<Vec<u8>>::new());
    world.all_closed().await;
    assert_eq!(
        world.packet_types(0),
        [PacketType::Connect, PacketType::Disconnect]
    );
    world.assert_no_complaints();
}

pub async fn each_refusal_ends_the_start_with_its_code<A: Adapter>() {
    for code in 1..=5 {
        let world = World::default();
        world.broker(|broker| broker.refusal = ConnectRefusal::from_code(code));
        let client = A::start(&world, Setup::default());
        assert_eq!(client.connected().await, Err(Failure::Refused(code)));
        assert_eq!(
            client.publish("t", b"x", QOS1).await,
            Err(Failure::Closed),
            "code {code}"
        );
        assert_eq!(world.links(), 1);
    }
}

pub async fn a_server_that_is_unavailable_is_tried_again<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.refusal = Some(ConnectRefusal::ServerUnavailable));
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let client = A::start(&world, setup);
    world.dialed(4).await;
    world.broker(|broker| broker.refusal = None);
    client.connected().await.unwrap();
}

pub async fn a_silent_server_fails_the_attempt_in_time<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.swallows = true);
    let start = tokio::time::Instant::now();
    let client = A::start(&world, Setup::default());
    assert!(matches!(
        client.connected().await,
        Err(Failure::NotConnected(_))
    ));
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
        "{waited:?}"
    );
}

pub async fn the_backoff_grows_while_nobody_listens<A: Adapter>() {
    let world = World::default();
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let client = A::start(&world, setup);
    let mut happenings = listen(&client);
    let mut longest = Duration::ZERO;
    for attempt in 0..12 {
        let bound = Duration::from_millis(500 << attempt).min(Duration::from_secs(60));
        let delay = happenings.retry_in().await;
        assert!(delay <= bound, "attempt {attempt}: {delay:?}");
        longest = longest.max(delay);
    }
    // 12 random delays that all lie below 2 s: less than one in 10^7
    assert!(longest > Duration::from_secs(2), "{longest:?}");
    world.set_down(false);
    client.connected().await.unwrap();
}

pub async fn a_clean_slate_is_wiped_first_and_resumed_later<A: Adapter>() {
    let world = World::default();
    let earlier: A = connect(&world, Setup::default()).await;
    earlier.subscribe("left/behind", QOS1).await.unwrap();
    earlier.disconnect(None).await;
    let setup = Setup {
        start: Start::CleanSlate,
        ..Setup::default()
    };
    let client = A::start(&world, setup);
    let mut happenings = listen(&client);
    assert!(!happenings.connected().await);
    assert_eq!(
        world.broker(|broker| broker.subscriptions("client")),
        [],
        "the broker has forgotten"
    );
    world.cut();
    assert!(happenings.connected().await, "it goes on with the session");
    assert_eq!(clean(&world.frames(1)), Some(CleanSession::Clean));
    assert_eq!(
        world.packet_types(1),
        [PacketType::Connect, PacketType::Disconnect]
    );
    assert_eq!(clean(&world.frames(2)), Some(CleanSession::Persistent));
    assert_eq!(clean(&world.frames(3)), Some(CleanSession::Persistent));
    world.assert_no_complaints();
}

pub async fn a_transient_session_is_clean_each_time<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        start: Start::Transient,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let _inbox = client.subscribe("a", QOS1).await.unwrap();
    let mut happenings = listen(&client);
    world.cut();
    assert!(!happenings.connected().await);
    world.arrived(PacketType::Subscribe, 2).await;
    assert_eq!(clean(&world.frames(0)), Some(CleanSession::Clean));
    assert_eq!(clean(&world.frames(1)), Some(CleanSession::Clean));
}

fn clean(frames: &[Frame]) -> Option<CleanSession> {
    match frames.first()?.packet() {
        Packet::Connect(connect) => Some(connect.clean_session()),
        _ => None,
    }
}
