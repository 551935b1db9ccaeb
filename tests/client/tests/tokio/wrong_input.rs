//! What callers and brokers can get wrong, each with its typed error; nothing that was accepted is lost.
use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use client_tests::{Setup, World};
use futures::FutureExt;
use mqtt_client::{
    Address, Capacity, Client, CloseReason, ConnectFailure, ConnectOptions, ConnectPhase,
    Credentials, DisconnectReason, Event, FilterError, OptionsError, Oversized, PublishError, QoS,
    SessionError, SessionStart, StartError, StreamError, SubscribeError, TakeStreamError,
    TopicError, TryPublishError, source_fn,
};
use mqtt_codec::wire::PacketType;

use crate::adapter::options;

async fn connected(world: &World) -> Client {
    Client::connect(options(world, &Setup::default()))
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn wrong_topics_are_refused_in_every_call() {
    let world = World::default();
    let client = connected(&world).await;
    let long = "t".repeat(65_536);
    let rows = [
        ("", TopicError::Empty),
        ("a/+", TopicError::Wildcard),
        ("#", TopicError::Wildcard),
        ("a\0b", TopicError::Nul),
        (&long, TopicError::TooLong),
    ];
    for (topic, expected) in rows {
        let is_expected = |error: PublishError| match error {
            PublishError::Topic(error) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        };
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            is_expected(client.publish(topic, "x").qos(qos).await.unwrap_err());
            let enqueued = client.publish(topic, "x").qos(qos).enqueue().await;
            is_expected(enqueued.unwrap_err());
            match client.publish(topic, "x").qos(qos).try_enqueue() {
                Err(TryPublishError::Failed(error)) => is_expected(error),
                other => panic!("{other:?}"),
            }
        }
        let source = source_fn(1, || async { Ok(&b"x"[..]) });
        is_expected(client.publish_stream(topic, source).await.unwrap_err());
    }
    assert_sound(&client, &world).await;
}

#[tokio::test(start_paused = true)]
async fn wrong_filters_are_refused_in_every_call() {
    let world = World::default();
    let client = connected(&world).await;
    let long = "t".repeat(65_536);
    for filter in ["", "a/#/b", "a#", "a+", "+a/b", "a\0b", &long] {
        let subscribed = client.subscribe(filter, QoS::AtLeastOnce).await;
        assert_filter(subscribed.map(drop));
        let second = client.subscribe("ok", QoS::AtLeastOnce);
        let subscribed = second.filter(filter, QoS::AtLeastOnce).await;
        assert_filter(subscribed.map(drop));
        assert_filter(client.unsubscribe(filter).await);
    }
    let twice = client.subscribe("a", QoS::AtLeastOnce);
    let twice = twice.filter("a", QoS::AtMostOnce).await;
    assert!(matches!(twice, Err(SubscribeError::Duplicate { filter }) if filter.as_str() == "a"));
    assert_eq!(world.broker(|broker| broker.subscriptions("client")), []);
    assert_sound(&client, &world).await;
}

fn assert_filter(outcome: Result<(), SubscribeError>) {
    let Err(SubscribeError::Filter(_)) = outcome else {
        panic!("{outcome:?}");
    };
    // the reason is the codec's, typed
    let _: fn(SubscribeError) -> Option<FilterError> = |error| match error {
        SubscribeError::Filter(error) => Some(error),
        _ => None,
    };
}

#[tokio::test(start_paused = true)]
async fn qos_2_is_refused() {
    let world = World::default();
    let client = connected(&world).await;
    let published = client.publish("t", "x").qos(QoS::ExactlyOnce).await;
    assert!(matches!(published, Err(PublishError::QoS2)));
    let subscribed = client.subscribe("t", QoS::ExactlyOnce).await;
    assert!(matches!(subscribed, Err(SubscribeError::QoS2)));
    assert_sound(&client, &world).await;
}

#[tokio::test(start_paused = true)]
async fn payloads_over_a_limit_are_refused() {
    let world = World::default();
    let client = connected(&world).await;
    // untouched zeroes: the system gives no memory for them
    let huge = Bytes::from(vec![0; 268_435_456]);
    let published = client.publish("t", huge.clone()).await;
    assert!(matches!(
        published,
        Err(PublishError::TooLong { .. } | PublishError::OutboxTooSmall { .. })
    ));
    let published = client
        .publish("t", huge.slice(..16_777_216))
        .qos(QoS::AtLeastOnce)
        .await;
    assert!(matches!(
        published,
        Err(PublishError::OutboxTooSmall {
            limit: 16_777_216,
            ..
        })
    ));
    for len in [268_435_451, 268_435_456, u64::from(u32::MAX), u64::MAX] {
        let source = source_fn(len, || async { Ok(&b""[..]) });
        let published = client.publish_stream("topic", source).await;
        assert!(
            matches!(published, Err(PublishError::TooLong { .. })),
            "{len}: {published:?}"
        );
    }
    assert_sound(&client, &world).await;

    let setup = Setup {
        client_id: "large",
        ..Setup::default()
    };
    let options = options(&world, &setup).outbox(Capacity::new(10, 1 << 30));
    let client = Client::connect(options).await.unwrap();
    let published = client.publish("t", huge).qos(QoS::AtLeastOnce).await;
    assert!(matches!(
        published,
        Err(PublishError::TooLong { len: 268_435_457 })
    ));
    assert_sound(&client, &world).await;
}

#[tokio::test(start_paused = true)]
async fn a_payload_too_long_for_mqtt_is_refused_whatever_it_would_wait_for() {
    let world = World::default();
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let options = options(&world, &setup).outbox(Capacity::new(1, usize::MAX));
    let client = Client::start(options).unwrap();
    let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
    let ack = publish.try_enqueue().unwrap();
    // untouched zeroes: the system gives no memory for them
    for len in [268_435_455, (1 << 32) + 1] {
        let Ok(huge) = usize::try_from(len).map(|len| Bytes::from(vec![0; len])) else {
            continue;
        };
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let refused = client.publish("t", huge.clone()).qos(qos).try_enqueue();
            assert!(
                matches!(
                    refused,
                    Err(TryPublishError::Failed(PublishError::TooLong { len: told }))
                        if told == len + 1
                ),
                "{qos:?}, {len}: {refused:?}"
            );
        }
    }
    world.set_down(false);
    ack.await.unwrap();
    assert_sound(&client, &world).await;
}

#[tokio::test(start_paused = true)]
async fn options_that_contradict_each_other_start_nothing() {
    let world = World::default();
    let right = || options(&world, &Setup::default());
    let start = |options: ConnectOptions| match Client::start(options) {
        Err(StartError::Options(error)) => error,
        other => panic!("{other:?}"),
    };
    let long = right().keep_alive(Duration::from_secs(65_536));
    assert!(matches!(
        start(long),
        OptionsError::KeepAliveTooLong { seconds: 65_536 }
    ));
    for way in [SessionStart::Resume, SessionStart::CleanSlate] {
        let nobody = right().client_id("").session_start(way);
        assert!(matches!(start(nobody), OptionsError::ClientIdRequired { start } if start == way));
    }
    assert!(matches!(
        Client::connect("mqtt://").await,
        Err(StartError::Options(OptionsError::Url(_)))
    ));
    assert_eq!(world.links(), 0);
}

#[tokio::test]
async fn an_address_that_refuses_is_named() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = ConnectOptions::new(Address::tcp("127.0.0.1", unused.port()).unwrap());
    let Err(StartError::Connect(error)) = Client::connect(options).await else {
        panic!("nobody listens there");
    };
    assert!(
        matches!(error.failure(), ConnectFailure::Tcp(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains(&unused.to_string()), "{error}");
    assert!(!error.is_terminal());
}

#[tokio::test(start_paused = true)]
async fn no_connack_is_a_time_out_that_says_so() {
    let world = World::default();
    world.broker(|broker| broker.swallows = true);
    let Err(StartError::Connect(error)) = Client::connect(options(&world, &Setup::default())).await
    else {
        panic!("nobody answers");
    };
    let expected = ConnectPhase::ConnAck;
    assert!(matches!(error.failure(), ConnectFailure::TimedOut { during } if *during == expected));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_no_mqtt_broker_is_told_with_what_may_be_wrong() {
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        // a TLS alert: protocol version, as of a listener that got no handshake
        &[0x15, 3, 1, 0, 2, 2, 70],
        // and a handshake record
        &[0x16, 3, 3, 0, 4, 14, 0, 0, 0],
    ];
    for answer in answers {
        let world = World::default();
        world.broker(|broker| broker.swallows = true);
        let answering = async {
            world.arrived(PacketType::Connect, 1).await;
            world.inject(answer);
        };
        let connect = Client::connect(options(&world, &Setup::default()));
        let (connected, ()) = tokio::join!(connect, answering);
        let Err(StartError::Connect(error)) = connected else {
            panic!("that is no CONNACK");
        };
        let told = error.to_string();
        assert!(
            matches!(error.failure(), ConnectFailure::Protocol(_)),
            "{told}"
        );
        assert!(told.contains("no MQTT broker answers so"), "{told}");
        assert!(told.contains("`mqtts://`"), "{told}");
        assert!(told.contains("web server"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_credentials_fails_the_attempt() {
    let world = World::default();
    let provider = || async { Err::<Credentials, _>(std::io::Error::other("the vault is shut")) };
    let options = options(&world, &Setup::default()).credentials_provider(provider);
    let Err(StartError::Connect(error)) = Client::connect(options).await else {
        panic!("there are no credentials");
    };
    assert!(matches!(error.failure(), ConnectFailure::Credentials(_)));
    assert!(error.to_string().contains("the vault is shut"), "{error}");
    assert_eq!(world.links(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_the_broker_refuses_is_named_and_the_others_are_granted() {
    let world = World::default();
    let client = connected(&world).await;
    world.broker(|broker| broker.swallows = true);
    let subscribe = client.subscribe("a", QoS::AtLeastOnce);
    let subscribe = subscribe.filter("secret", QoS::AtLeastOnce);
    let answer = async {
        world.arrived(PacketType::Subscribe, 1).await;
        world.inject(&[0x90, 4, 0xFC, 0, 1, 0x80]);
        world.inject(b"\x30\x04\x00\x01ax");
    };
    let (outcome, ()) = tokio::join!(subscribe.into_future(), answer);
    let Err(SubscribeError::Refused { refused, granted }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].as_str(), "secret");
    let mut granted = granted.expect("`a` is granted");
    assert_eq!(granted.granted().len(), 1);
    assert_eq!(granted.next().await.unwrap().unwrap().topic(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_ends_its_stream_with_an_error() {
    let world = World::default();
    let client = connected(&world).await;
    let mut stream = client.subscribe("a", QoS::AtLeastOnce).await.unwrap();
    world.broker(|broker| {
        broker.forget_session("client");
        broker.swallows = true;
    });
    let answer = async {
        world.arrived(PacketType::Connect, 2).await;
        world.inject(&[0x20, 2, 0, 0]);
        let requests = world.arrived(PacketType::Subscribe, 2).await;
        let id = &requests[1].bytes()[2..4];
        world.inject(&[0x90, 3, id[0], id[1], 0x80]);
    };
    let (end, ()) = tokio::join!(stream.next(), answer);
    assert!(
        matches!(&end, Some(Err(StreamError::Refused { filter })) if filter.as_str() == "a"),
        "{end:?}"
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_declared_subscription_that_is_refused_or_granted_less_is_an_event() {
    let world = World::default();
    world.broker(|broker| broker.swallows = true);
    let setup = Setup {
        declared: vec![
            ("a", QoS::AtLeastOnce),
            ("b", QoS::AtLeastOnce),
            ("c", QoS::AtLeastOnce),
        ],
        ..Setup::default()
    };
    let client = Client::start(options(&world, &setup)).unwrap();
    let mut events = client.events();
    world.arrived(PacketType::Connect, 1).await;
    world.inject(&[0x20, 2, 0, 0]);
    let requests = world.arrived(PacketType::Subscribe, 1).await;
    let id = &requests[0].bytes()[2..4];
    world.inject(&[0x90, 5, id[0], id[1], 1, 0, 0x80]);
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Connected { .. }
    ));
    let downgraded = events.recv().await.unwrap();
    assert!(
        matches!(
            &downgraded,
            Event::SubscriptionDowngraded { filter, requested: QoS::AtLeastOnce, granted: QoS::AtMostOnce }
                if filter.as_str() == "b"
        ),
        "{downgraded:?}"
    );
    let refused = events.recv().await.unwrap();
    assert!(
        matches!(&refused, Event::SubscriptionRefused { filter } if filter.as_str() == "c"),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_not_there_are_not_given() {
    let world = World::default();
    let setup = Setup {
        declared: vec![("a", QoS::AtLeastOnce)],
        ..Setup::default()
    };
    let client = Client::connect(options(&world, &setup)).await.unwrap();
    let unknown = client.stream("b").unwrap_err();
    assert_eq!(unknown, TakeStreamError::Unknown { filter: "b".into() });
    let first = client.stream("a").unwrap();
    let taken = client.stream("a").unwrap_err();
    assert_eq!(taken, TakeStreamError::Taken { filter: "a".into() });
    drop(first);
    let _again = client.stream("a").unwrap();
    let rest = client.default_stream().unwrap();
    let taken = client.default_stream().unwrap_err();
    assert_eq!(taken, TakeStreamError::DefaultTaken);
    drop(rest);
    client.default_stream().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_incoming_message_over_the_limit_is_told_and_acknowledged_or_closes() {
    for policy in [Oversized::Acknowledge, Oversized::Close] {
        let world = World::default();
        let options = options(&world, &Setup::default());
        let options = options.packet_limit(1_000).oversized(policy);
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
        let mut events = client.events().resubscribe();
        world.broker(|broker| {
            broker.publish("t", &[0; 2_000], QoS::AtLeastOnce);
            broker.publish("t", b"behind", QoS::AtLeastOnce);
        });
        match (policy, events.recv().await.unwrap()) {
            (Oversized::Acknowledge, Event::Oversized { topic, .. }) => {
                assert_eq!(topic.as_deref(), Some("t"));
                let behind = stream.next().await.unwrap().unwrap();
                assert_eq!(behind.payload(), b"behind");
                drop(behind);
                world
                    .until(|broker| (broker.undelivered("client") == 0).then_some(()))
                    .await;
            }
            (
                Oversized::Close,
                Event::Disconnected {
                    reason: DisconnectReason::Session(SessionError::Oversized { .. }),
                    ..
                },
            ) => {}
            (_, event) => panic!("{event:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_delivers_qos_2_ends_the_client_and_says_how_to_clear_it() {
    let world = World::default();
    let client = connected(&world).await;
    let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    world.inject(b"\x34\x06\x00\x01t\x00\x01x");
    let Some(Err(StreamError::Closed(error))) = stream.next().await else {
        panic!("it goes on");
    };
    let expected = SessionError::QoS2Session;
    assert!(matches!(error.reason(), CloseReason::Session(error) if *error == expected));
    assert!(error.to_string().contains("clean"), "{error}");
    assert!(stream.next().await.is_none());
    let published = client.publish("t", "x").qos(QoS::AtLeastOnce).await;
    assert!(matches!(published, Err(PublishError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_refused_at_once_where_nothing_may_wait() {
    let world = World::default();
    let setup = Setup {
        outbox: 1,
        ..Setup::default()
    };
    let client = Client::connect(options(&world, &setup)).await.unwrap();
    let publish = || client.publish("t", "x").qos(QoS::AtLeastOnce);
    let first = publish().try_enqueue().unwrap();
    assert!(matches!(
        publish().try_enqueue(),
        Err(TryPublishError::Full)
    ));
    first.await.unwrap();
    publish().try_enqueue().unwrap().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_may_not_wait_is_told_what_it_would_wait_for() {
    let world = World::default();
    world.set_down(true);
    let setup = Setup {
        keep_trying: true,
        ..Setup::default()
    };
    let options = options(&world, &setup).outbox(Capacity::new(10, 100_000));
    let client = Client::start(options).unwrap();
    let payload = vec![0; 60_000];
    let publish = || client.publish("t", &payload);
    // whether others wait or not
    let refused = publish().try_enqueue();
    assert!(matches!(refused, Err(TryPublishError::NotConnected)));
    let mut waiting = publish().into_future();
    assert!((&mut waiting).now_or_never().is_none());
    let refused = publish().try_enqueue();
    assert!(matches!(refused, Err(TryPublishError::NotConnected)));
    // QoS 1 needs none
    let ack = publish().qos(QoS::AtLeastOnce).try_enqueue().unwrap();
    world.set_down(false);
    waiting.await.unwrap();
    ack.await.unwrap();
    client.flush().await.unwrap();
    drop(publish().try_enqueue().unwrap());
    let refused = publish().try_enqueue();
    assert!(matches!(refused, Err(TryPublishError::Full)), "{refused:?}");
    let mut waiting = publish().into_future();
    assert!((&mut waiting).now_or_never().is_none());
    client.disconnect_within(Duration::ZERO).await.ok();
    let refused = publish().try_enqueue();
    let Err(TryPublishError::Failed(PublishError::Closed(_))) = refused else {
        panic!("{refused:?}");
    };
}

/// The calls that failed have done no harm.
async fn assert_sound(client: &Client, world: &World) {
    let publish = client.publish("t", "x").qos(QoS::AtLeastOnce);
    publish.await.unwrap();
    client.flush().await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.outbox_messages, stats.disconnections), (0, 0));
    world.assert_no_complaints();
}
