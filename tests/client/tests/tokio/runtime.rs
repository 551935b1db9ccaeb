//! There is no runtime, or it ends before the client does.
use std::future::{Future, IntoFuture};

use client_tests::{Setup, World};
use futures::{FutureExt, executor::block_on};
use mqtt_client::{
    Client, CloseReason, ConnectionState, Event, PublishError, QoS, StartError, StreamError,
};
use testkit::AckOrder;
use tokio::{
    runtime::{Builder, Runtime},
    sync::broadcast::error::TryRecvError,
};

use crate::adapter::options;

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[test]
fn every_pending_future_resolves_when_the_runtime_is_shut_down() {
    let runtime = runtime();
    let world = World::default();
    let (client, ack, mut subscription, mut events) = runtime.block_on(async {
        let client = Client::connect(options(&world, &Setup::default()))
            .await
            .unwrap();
        let subscription = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
        let ack = publish.enqueue().await.unwrap();
        let events = client.events();
        (client, ack, subscription, events)
    });
    let publishing = client.publish("t", "y").qos(QoS::AtLeastOnce);
    let mut publishing = Box::pin(publishing.into_future());
    assert!(is_pending(&mut publishing));
    let mut flushing = Box::pin(client.flush());
    assert!(is_pending(&mut flushing));
    let mut unsubscribing = Box::pin(client.unsubscribe("t").into_future());
    assert!(is_pending(&mut unsubscribing));
    let mut connection = client.connection();
    drop(runtime);
    while !matches!(events.try_recv().unwrap(), Event::Closed { .. }) {}
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Closed);
    let state = connection.borrow_and_update().clone();
    assert!(matches!(state, ConnectionState::Closed { .. }), "{state:?}");
    connection.has_changed().unwrap_err();
    assert_closed(block_on(ack));
    assert_closed(block_on(publishing));
    assert!(block_on(flushing).is_err());
    assert!(block_on(unsubscribing).is_err());
    let end = block_on(subscription.next());
    assert!(matches!(end, Some(Err(StreamError::Closed(_)))), "{end:?}");
    assert!(block_on(subscription.next()).is_none());
    assert_closed(block_on(client.publish("t", "z").into_future()));
    let undelivered = block_on(client.disconnect()).unwrap_err();
    assert_eq!(undelivered.messages.len(), 2);
}

#[test]
fn qos_0_lost_with_the_runtime_is_counted() {
    let runtime = runtime();
    let world = World::default();
    let client = runtime.block_on(async {
        let client = Client::connect(options(&world, &Setup::default()))
            .await
            .unwrap();
        for _ in 0..3 {
            // the driver has no turn before the runtime is gone
            drop(client.publish("t", "x").try_enqueue().unwrap());
        }
        client
    });
    drop(runtime);
    assert_eq!(client.stats().lost_with_connection, 3);
    let undelivered = block_on(client.disconnect()).unwrap_err();
    assert_eq!(undelivered.qos0, 3);
}

#[test]
fn without_a_runtime_nothing_starts_and_nothing_panics() {
    let started = Client::start("mqtt://broker.example");
    assert!(matches!(started, Err(StartError::NoRuntime)), "{started:?}");
    let connected = block_on(Client::connect("mqtt://broker.example"));
    assert!(matches!(connected, Err(StartError::NoRuntime)));
}

fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    future.now_or_never().is_none()
}

fn assert_closed(outcome: Result<(), PublishError>) {
    let Err(PublishError::Closed(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(matches!(error.reason(), CloseReason::Runtime), "{error}");
}
