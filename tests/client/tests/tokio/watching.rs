//! What is told to those who watch a client, and when that ends.
use std::time::Duration;

use client_tests::{Setup, World};
use mqtt_client::{Client, ConnectionState, DisconnectReason, Event, QoS, Unmatched};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{sleep, timeout},
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

/// A client that has tried so often, in vain, to connect.
async fn after_failures(world: &World, failures: u64) -> Client {
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        backoff: (Duration::from_millis(100), Duration::from_millis(200)),
        ..Setup::default()
    };
    let client = Client::start(options(world, &setup)).unwrap();
    while client.stats().failed_attempts < failures {
        sleep(Duration::from_millis(1)).await;
    }
    world.set_down(false);
    client.connected().await.unwrap();
    client
}

/// The next one that is here already.
fn here(events: &mut Receiver<Event>) -> Event {
    events.try_recv().expect("it has happened")
}

async fn assert_closes(events: &mut Receiver<Event>) {
    let limit = Duration::from_secs(60);
    let closed = timeout(limit, async {
        while !matches!(events.recv().await, Ok(Event::Closed { .. })) {}
        events.recv().await
    });
    let end = closed.await.expect("it ends").unwrap_err();
    assert_eq!(end, RecvError::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_first_receiver_has_the_events_since_the_start() {
    for failures in [1, 12] {
        let world = World::default();
        let client = after_failures(&world, failures).await;
        let mut first = client.events();
        let mut second = client.events();
        for _ in 0..client.stats().failed_attempts {
            assert!(matches!(here(&mut first), Event::ConnectFailed { .. }));
        }
        assert!(matches!(here(&mut first), Event::Connected { .. }));
        assert_eq!(first.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(second.try_recv().unwrap_err(), TryRecvError::Empty);
        world.cut();
        for events in [&mut first, &mut second] {
            assert!(matches!(
                events.recv().await,
                Ok(Event::Disconnected { .. })
            ));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_receiver_that_comes_late_begins_with_the_last_events() {
    let world = World::default();
    let client = after_failures(&world, 300).await;
    let mut events = client.events();
    for _ in 0..15 {
        assert!(matches!(here(&mut events), Event::ConnectFailed { .. }));
    }
    assert!(matches!(here(&mut events), Event::Connected { .. }));
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test(start_paused = true)]
async fn events_end_with_the_client_though_a_handle_lives() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    let (mut first, mut second) = (client.events(), client.events());
    client.disconnect().await.unwrap();
    assert_closes(&mut first).await;
    assert_closes(&mut second).await;
    let mut later = client.events();
    assert_eq!(later.recv().await.unwrap_err(), RecvError::Closed);
}

#[tokio::test(start_paused = true)]
async fn who_asks_first_for_events_after_the_end_has_the_last_ones() {
    for failures in [0, 12] {
        let world = World::default();
        let client = after_failures(&world, failures).await;
        client.disconnect().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let mut events = client.events();
        for _ in 0..client.stats().failed_attempts {
            assert!(matches!(here(&mut events), Event::ConnectFailed { .. }));
        }
        assert!(matches!(here(&mut events), Event::Connected { .. }));
        assert_closes(&mut events).await;
        let mut later = client.events();
        assert_eq!(later.recv().await.unwrap_err(), RecvError::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_state_of_the_connection_ends_with_the_client_though_a_handle_lives() {
    let world = World::default();
    let client = Client::connect(options(&world, &Setup::default()))
        .await
        .unwrap();
    let mut before = client.connection();
    client.disconnect().await.unwrap();
    let mut after = client.connection();
    before.changed().await.unwrap();
    for connection in [&mut before, &mut after] {
        let state = connection.borrow_and_update().clone();
        assert!(matches!(state, ConnectionState::Closed { .. }), "{state:?}");
        let limit = Duration::from_secs(60);
        let changed = timeout(limit, connection.changed()).await;
        changed.expect("it ends").unwrap_err();
    }
    // and whoever asks by another way is answered
    client.connected().await.unwrap_err();
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_is_told_though_it_was_asked_for() {
    for drops_handle in [false, true] {
        let world = World::default();
        let client = Client::connect(options(&world, &Setup::default()))
            .await
            .unwrap();
        let mut events = client.events();
        match drops_handle {
            true => drop(client),
            false => client.disconnect().await.unwrap(),
        }
        assert!(matches!(here(&mut events), Event::Connected { .. }));
        let Ok(Event::Disconnected { reason, retry_in }) = events.recv().await else {
            panic!("it was connected");
        };
        assert!(matches!(reason, DisconnectReason::Requested), "{reason:?}");
        assert_eq!(retry_in, None);
        assert!(matches!(events.recv().await, Ok(Event::Closed { .. })));
    }
}

/// They are most likely of a subscription that an earlier version of the program made, and may starve all others.
#[tokio::test(start_paused = true)]
async fn that_messages_are_held_for_want_of_a_stream_is_told_once_a_connection() {
    let world = World::default();
    let setup = Setup::default();
    let earlier = Client::connect(options(&world, &setup)).await.unwrap();
    earlier.subscribe("old/+", QOS1).await.unwrap();
    earlier.disconnect().await.unwrap();
    let client = Client::connect(options(&world, &setup)).await.unwrap();
    let mut stream = client.subscribe("new", QOS1).await.unwrap();
    let mut events = client.events();
    for _connection in 0..2 {
        assert!(matches!(events.recv().await, Ok(Event::Connected { .. })));
        world.broker(|broker| {
            for topic in ["new", "old/1", "old/2"] {
                broker.publish(topic, b"x", QOS1);
            }
        });
        drop(stream.next().await.unwrap().unwrap());
        let told = timeout(Duration::from_secs(1), events.recv()).await;
        assert!(
            matches!(&told, Ok(Ok(Event::Unmatched { topic })) if topic == "old/1"),
            "{told:?}"
        );
        sleep(Duration::from_secs(1)).await;
        assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
        world.cut();
        assert!(matches!(
            events.recv().await,
            Ok(Event::Disconnected { .. })
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_not_held_are_not_told_of() {
    for discards in [false, true] {
        let world = World::default();
        let mut options = options(&world, &Setup::default());
        if discards {
            options = options.unmatched(Unmatched::Discard);
        }
        let client = Client::connect(options).await.unwrap();
        let _rest = (!discards).then(|| client.default_stream().unwrap());
        drop(client.subscribe("t", QOS1).await.unwrap());
        let mut events = client.events();
        world.broker(|broker| broker.publish("t", b"x", QOS1));
        sleep(Duration::from_secs(1)).await;
        assert!(matches!(here(&mut events), Event::Connected { .. }));
        assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
    }
}
