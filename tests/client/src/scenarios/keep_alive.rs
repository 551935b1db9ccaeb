use std::time::Duration;

use mqtt_codec::wire::PacketType;
use tokio::time::{Instant, sleep, timeout};

use super::{QOS0, QOS1, connect, numbered};
use crate::{Adapter, Inbox, Setup, World, happenings::listen};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn setup() -> Setup {
    Setup {
        keep_alive: KEEP_ALIVE,
        ..Setup::default()
    }
}

/// [MQTT-3.1.2-23]
pub async fn an_idle_link_is_kept_by_pings<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, setup()).await;
    let mut happenings = listen(&client);
    let ended = timeout(100 * KEEP_ALIVE, happenings.disconnected()).await;
    assert!(ended.is_err(), "{ended:?}");
    let pings = world.packet_types(0).len() - 1;
    // no fewer than needed, and not many more
    assert!(
        (99..=150).contains(&pings),
        "{pings} pings in 100 intervals"
    );
}

pub async fn a_link_that_only_receives_is_kept_by_pings<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, setup()).await;
    let mut inbox = client.subscribe("t", QOS0).await.unwrap();
    let before = Instant::now();
    for n in 0..200 {
        sleep(Duration::from_secs(1)).await;
        world.broker(|broker| broker.publish("t", &numbered(n), QOS0));
        inbox.next().await.unwrap();
    }
    let intervals = before.elapsed().as_secs() / KEEP_ALIVE.as_secs();
    let types = world.packet_types(0);
    let pings = types.iter().filter(|&&t| t == PacketType::PingReq).count() as u64;
    assert!(
        pings + 1 >= intervals,
        "{pings} pings in {intervals} intervals"
    );
    assert_eq!(world.links(), 1);
}

pub async fn a_peer_that_swallows_everything_is_found_while_qos_0_flows<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, setup()).await;
    client.publish("t", b"x", QOS1).await.unwrap();
    let mut happenings = listen(&client);
    world.broker(|broker| broker.swallows = true);
    let before = Instant::now();
    let publisher = client.clone();
    let publishing = async {
        loop {
            publisher.publish("t", b"x", QOS0).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (_, timed_out) = tokio::select! {
        ended = happenings.disconnected() => ended,
        () = publishing => unreachable!("it goes on for ever"),
    };
    assert!(timed_out);
    let waited = before.elapsed();
    assert!(waited <= KEEP_ALIVE * 3 / 2, "{waited:?}");
}

pub async fn a_silent_peer_is_found_while_idle<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, setup()).await;
    let mut happenings = listen(&client);
    world.broker(|broker| broker.swallows = true);
    let before = Instant::now();
    let (_, timed_out) = happenings.disconnected().await;
    assert!(timed_out);
    let waited = before.elapsed();
    assert!(waited <= KEEP_ALIVE * 3 / 2, "{waited:?}");
}

pub async fn a_transport_that_takes_nothing_is_dead<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        keep_alive: Duration::from_secs(3_600),
        write_timeout: Duration::from_secs(5),
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut happenings = listen(&client);
    world.take_nothing();
    let before = Instant::now();
    // more than the stream between them holds
    for _ in 0..3 {
        let _ack = client.enqueue("t", &[0; 60_000]).await.unwrap();
    }
    let (_, timed_out) = happenings.disconnected().await;
    assert!(timed_out);
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_secs(5) && waited <= Duration::from_secs(6),
        "{waited:?}"
    );
}

pub async fn a_slow_transport_is_not_a_dead_one<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        keep_alive: Duration::from_secs(60),
        write_timeout: Duration::from_secs(10),
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut happenings = listen(&client);
    world.take_slowly(10_000);
    let large = vec![7; 1_000_000];
    let before = Instant::now();
    let publishing = async {
        client.publish("t", &large, QOS1).await.unwrap();
        client.publish("t", &large, QOS0).await.unwrap();
        client.publish("t", b"behind", QOS1).await.unwrap();
    };
    tokio::select! {
        ended = happenings.disconnected() => panic!("{ended:?} after {:?}", before.elapsed()),
        () = publishing => {}
    }
    assert!(before.elapsed() >= Duration::from_secs(180));
    assert_eq!(world.links(), 1);
}
