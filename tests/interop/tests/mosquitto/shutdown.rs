//! The end of a client, with the broker there, gone, silent or coming back.
use std::time::{Duration, Instant};

use mqtt_client::{
    BackoffOptions, Client, CloseReason, ConnectOptions, ConnectionState, PublishAck, PublishError,
    QoS,
};
use testkit::net::{Listener, Mode, Mosquitto, PATIENCE, Plan, Proxy, Subscriber};
use tokio::time::timeout;

use crate::support::{assert_works, next_text, options};

const MESSAGES: usize = 50;

#[tokio::test]
async fn disconnect_waits_for_a_broker_that_comes_back() {
    let mut broker = Mosquitto::start().await;
    let judge = Subscriber::persistent(&broker, "judge", "last/+").await;
    let client = Client::connect(persistent(&broker)).await.unwrap();
    broker.stop().await;
    let acks = enqueue(&client).await;
    let leaving = client.disconnect_within(PATIENCE);
    let (left, ()) = tokio::join!(leaving, broker.start_again());
    left.unwrap();
    for ack in acks {
        ack.await.unwrap();
    }
    let received = judge.wait_for_payload(b"49").await;
    assert!(received.len() >= MESSAGES);
}

#[tokio::test]
async fn disconnect_tells_what_a_broker_that_is_gone_has_not_got() {
    let mut broker = Mosquitto::start().await;
    let client = Client::connect(persistent(&broker)).await.unwrap();
    broker.stop().await;
    let acks: Vec<_> = enqueue(&client)
        .await
        .into_iter()
        .map(tokio::spawn)
        .collect();
    let begin = Instant::now();
    let undelivered = client
        .disconnect_within(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    let payloads: Vec<_> = undelivered
        .messages
        .iter()
        .map(|message| message.payload.clone().unwrap())
        .collect();
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(payloads, expected);
    for ack in acks {
        let outcome = timeout(PATIENCE, ack)
            .await
            .expect("every future completes");
        assert_closed(outcome.unwrap(), |reason| {
            matches!(reason, CloseReason::Disconnected)
        });
    }
    let publish = client.publish("last/word", "no").qos(QoS::AtLeastOnce);
    assert_closed(publish.await, |reason| {
        matches!(reason, CloseReason::Disconnected)
    });
}

#[tokio::test]
async fn disconnect_ends_in_time_when_the_network_has_gone_silent() {
    let broker = Mosquitto::start().await;
    for mode in [Mode::Swallow, Mode::Block] {
        let proxy = Proxy::start(broker.address(Listener::Plain), Plan::faithful()).await;
        let options = ConnectOptions::new(proxy.address().into());
        let client = Client::connect(options).await.unwrap();
        assert_works(&client).await;
        proxy.set_mode(mode);
        let acks = enqueue(&client).await;
        let begin = Instant::now();
        let undelivered = client
            .disconnect_within(Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(5), "{mode:?}");
        assert_eq!(undelivered.messages.len(), MESSAGES, "{mode:?}");
        for ack in acks {
            assert!(ack.await.is_err());
        }
    }
}

/// At whatever moment the broker goes.
#[tokio::test]
async fn disconnect_always_ends_while_the_broker_does() {
    let mut broker = Mosquitto::start().await;
    for round in 0..5 {
        let client = Client::connect(persistent(&broker)).await.unwrap();
        let acks = enqueue(&client).await;
        let leaving = async {
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
            }
            client.disconnect_within(Duration::from_millis(500)).await
        };
        let (left, ()) = tokio::join!(leaving, broker.stop());
        let mut undelivered = 0;
        for ack in acks {
            let outcome = timeout(PATIENCE, ack)
                .await
                .expect("every future completes");
            undelivered += usize::from(outcome.is_err());
        }
        let told = left.map_or_else(|undelivered| undelivered.messages.len(), |()| 0);
        assert_eq!(told, undelivered, "round {round}");
        broker.start_again().await;
    }
}

#[tokio::test]
async fn a_broker_that_is_restarted_finds_its_subscribers_again() {
    let mut broker = Mosquitto::start().await;
    let client = Client::connect(persistent(&broker)).await.unwrap();
    let mut stream = client.subscribe("news", QoS::AtLeastOnce).await.unwrap();
    for news in ["one", "two"] {
        broker.restart().await;
        broker.publish("news", 1, [news.to_owned()]).await;
        assert_eq!(next_text(&mut stream).await, news);
        // its PUBACK goes out before this
        let behind = client.publish("other", "").qos(QoS::AtLeastOnce);
        behind.await.unwrap();
    }
    broker.wipe_store().await;
    assert_works(&client).await;
    broker.publish("news", 1, ["three".to_owned()]).await;
    assert_eq!(next_text(&mut stream).await, "three");
}

#[tokio::test]
async fn the_last_handle_ends_the_client() {
    let broker = Mosquitto::start().await;
    let client = Client::connect(persistent(&broker)).await.unwrap();
    let mut connection = client.connection();
    let stream = client.subscribe("news", QoS::AtLeastOnce).await.unwrap();
    drop(client);
    assert!(matches!(
        *connection.borrow_and_update(),
        ConnectionState::Connected { .. }
    ));
    drop(stream);
    let closed = connection.wait_for(|state| matches!(state, ConnectionState::Closed { .. }));
    let state = timeout(PATIENCE, closed).await.unwrap().unwrap().clone();
    let ConnectionState::Closed { reason } = state else {
        unreachable!("it was waited for")
    };
    assert!(matches!(reason, CloseReason::Dropped), "{reason}");
}

#[test]
fn a_runtime_that_ends_leaves_no_future_waiting() {
    let here = tokio::runtime::Runtime::new().unwrap();
    let there = tokio::runtime::Runtime::new().unwrap();
    let mut broker = here.block_on(Mosquitto::start());
    let options = persistent(&broker);
    let (client, mut stream) = there.block_on(async {
        let client = Client::connect(options).await.unwrap();
        let stream = client.subscribe("news", QoS::AtLeastOnce).await.unwrap();
        (client, stream)
    });
    here.block_on(broker.stop());
    let acks = here.block_on(enqueue(&client)).into_iter();
    let acks: Vec<_> = acks.map(|ack| here.spawn(ack)).collect();
    there.shutdown_background();
    here.block_on(async {
        for ack in acks {
            let outcome = timeout(PATIENCE, ack)
                .await
                .expect("every future completes");
            assert_closed(outcome.unwrap(), |reason| {
                matches!(reason, CloseReason::Runtime)
            });
        }
        let last = timeout(PATIENCE, stream.next()).await.unwrap();
        assert!(matches!(last, Some(Err(_))), "{last:?}");
        let left = timeout(PATIENCE, client.disconnect()).await.unwrap();
        assert_eq!(left.unwrap_err().messages.len(), MESSAGES);
    });
}

fn persistent(broker: &Mosquitto) -> ConnectOptions {
    options(broker, Listener::Plain)
        .client_id("leaving")
        .backoff(
            BackoffOptions::default()
                .min(Duration::from_millis(5))
                .max(Duration::from_millis(50)),
        )
}

async fn enqueue(client: &Client) -> Vec<PublishAck> {
    let mut acks = Vec::new();
    for number in 0..MESSAGES {
        let publish = client.publish("last/word", number.to_string());
        acks.push(publish.qos(QoS::AtLeastOnce).enqueue().await.unwrap());
    }
    acks
}

fn assert_closed(outcome: Result<(), PublishError>, expected: fn(&CloseReason) -> bool) {
    match outcome {
        Err(PublishError::Closed(closed)) => {
            assert!(expected(closed.reason()), "{closed}");
        }
        other => panic!("{other:?}"),
    }
}
