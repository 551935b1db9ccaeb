//! What the options say reaches the broker, and nobody else.
use client_tests::{Setup, World};
use mqtt_client_embassy::{
    ConnectionState, Limit, Options, OptionsError, QoS, Resources, Retain, SessionPresent,
    SessionStart, SubscribeError, Unmatched, Will,
};
use mqtt_codec::wire::{CleanSession, Packet};
use tokio::time::{Duration, sleep};

use crate::{
    adapter::options,
    client::{run, start, start_with, try_start_with},
};

#[tokio::test(start_paused = true)]
async fn connect_says_what_was_set() {
    run(async {
        let world = World::default();
        let will = Will {
            topic: "gone",
            payload: b"board",
            qos: QoS::AtLeastOnce,
            retain: Retain::Yes,
        };
        let options = Options::new("board")
            .login("user", b"secret")
            .will(will)
            .keep_alive(0)
            .session_start(SessionStart::Transient);
        // nor as bytes
        assert!(!format!("{options:?}").contains("115, 101"), "{options:?}");
        assert!(!format!("{options:?}").contains("secret"), "{options:?}");
        let (client, _) = start_with::<1, 1, 1, 16, 64>(&world, options);
        client.connected().await.unwrap();
        let session = SessionPresent::Absent;
        assert_eq!(client.state(), ConnectionState::Connected { session });
        let frames = world.frames(0);
        let Packet::Connect(connect) = frames[0].packet() else {
            panic!("{frames:?}");
        };
        assert_eq!(connect.client_id().as_str(), "board");
        assert_eq!(connect.clean_session(), CleanSession::Clean);
        assert_eq!(connect.keep_alive, 0);
        let login = connect.login.unwrap();
        assert_eq!(login.user_name.as_str(), "user");
        assert_eq!(login.password.unwrap().as_bytes(), b"secret");
        let sent = connect.will.unwrap();
        assert_eq!(sent.topic.as_str(), "gone");
        assert_eq!(sent.payload.as_bytes(), b"board");
        assert_eq!((sent.qos, sent.retain), (will.qos, will.retain));
        // without keep alive an idle client sleeps: the paused clock moves on only while every task does
        sleep(Duration::from_secs(86_400)).await;
        assert_eq!(world.frames(0).len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_needs_no_password() {
    run(async {
        let world = World::default();
        let options = Options::new("board").user_name("user");
        let (client, _) = start_with::<1, 1, 1, 16, 64>(&world, options);
        client.connected().await.unwrap();
        let frames = world.frames(0);
        let Packet::Connect(connect) = frames[0].packet() else {
            panic!("{frames:?}");
        };
        let login = connect.login.unwrap();
        assert_eq!(login.user_name.as_str(), "user");
        assert!(login.password.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_connect_cannot_say_is_refused() {
    run(async {
        let world = World::default();
        let refused = |options| {
            try_start_with::<1, 1, 1, 16, 64>(&world, options)
                .map(drop)
                .unwrap_err()
        };
        assert!(matches!(
            refused(Options::new("a\0b")),
            OptionsError::Text(_)
        ));
        assert!(matches!(
            refused(Options::new("a").login("u\0", b"")),
            OptionsError::Text(_)
        ));
        let password = &[0; 65_536];
        assert_eq!(
            refused(Options::new("a").login("u", password)),
            OptionsError::TooLong
        );
        let will = Will {
            topic: "a/#",
            payload: b"",
            qos: QoS::AtMostOnce,
            retain: Retain::No,
        };
        let will_topic = refused(Options::new("a").will(will));
        assert!(matches!(will_topic, OptionsError::WillTopic(_)));
        assert!(will_topic.to_string().contains("will"), "{will_topic}");
        let declared = refused(Options::new("a").declare(&[("a#", QoS::AtMostOnce)]));
        let text = declared.to_string();
        assert!(text.contains("declared subscription"), "{text}");
        let exactly_once = refused(Options::new("a").declare(&[("a", QoS::ExactlyOnce)]));
        let reason = SubscribeError::ExactlyOnce;
        assert_eq!(exactly_once, OptionsError::Subscription(reason));
        // the first of several, also if it was set right later, and as a constant too
        const FILTERS: &[(&str, QoS)] = &[
            ("a", QoS::AtMostOnce),
            ("b", QoS::ExactlyOnce),
            ("a", QoS::AtMostOnce),
            ("a#", QoS::AtMostOnce),
        ];
        let wrong = Options::new("a").declare(FILTERS).declare(&[]);
        assert_eq!(refused(wrong), OptionsError::Subscription(reason));
        const TWICE: &[(&str, QoS)] = &[FILTERS[0], FILTERS[2], FILTERS[3]];
        let twice = refused(Options::new("a").declare(TWICE));
        assert_eq!(twice, OptionsError::Subscription(SubscribeError::Taken));
        const WRONG: Options<'_> = Options::new("a")
            .declare(&[("a", QoS::ExactlyOnce)])
            .login("u\0", b"");
        assert_eq!(refused(WRONG), OptionsError::Subscription(reason));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_matches_nothing_is_held_or_discarded() {
    run(async {
        for unmatched in [Unmatched::Hold, Unmatched::Discard] {
            let world = World::default();
            let (earlier, _) = start(&world, &Setup::default());
            earlier.connected().await.unwrap();
            drop(earlier.subscribe("old", QoS::AtLeastOnce).await.unwrap());
            earlier.disconnect().await;
            for qos in [QoS::AtLeastOnce, QoS::AtMostOnce] {
                world.broker(|broker| broker.publish("old", b"x", qos));
            }
            let options = options(&Setup::default()).unmatched(unmatched);
            let (client, _) = start_with::<1, 4, 1, 16, 64>(&world, options);
            client.connected().await.unwrap();
            world.broker(|broker| broker.publish("old", b"x", QoS::AtMostOnce));
            sleep(Duration::from_secs(1)).await;
            let held = usize::from(unmatched == Unmatched::Hold);
            assert_eq!(
                world.broker(|broker| broker.undelivered("client")),
                held,
                "{unmatched:?}"
            );
            // a subscription that comes about gets what is held for it
            if unmatched == Unmatched::Hold {
                let mut inbox = client.subscribe("old", QoS::AtLeastOnce).await.unwrap();
                let message = inbox.next().await.unwrap();
                assert_eq!(
                    (message.payload(), message.qos()),
                    (&b"x"[..], QoS::AtLeastOnce)
                );
            }
            assert!(client.stats().dropped >= 1);
            assert_eq!(world.links(), 2);
        }
    })
    .await;
}

/// With a mutex that several executors may share, all parts but the transport may pass between threads.
/// An earlier run has left a subscription, for which the broker goes on to deliver.
#[tokio::test(start_paused = true)]
async fn a_queue_of_0_leaves_messages_with_the_broker() {
    run(async {
        let world = World::default();
        let setup = Setup {
            declared: vec![("in", QoS::AtLeastOnce)],
            ..Setup::default()
        };
        let (earlier, _) = start(&world, &setup);
        earlier.connected().await.unwrap();
        earlier.disconnect().await;
        for n in 0..10_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtLeastOnce));
        }
        let (client, _) = start_with::<1, 0, 1, 16, 64>(&world, options(&Setup::default()));
        client.connected().await.unwrap();
        for n in 0..10_u8 {
            world.broker(|broker| broker.publish("in", &[n], QoS::AtMostOnce));
            client.publish("t", &[n], Retain::No).await.unwrap();
        }
        let none = client.unmatched().map(drop);
        assert_eq!(none, Err(SubscribeError::Limit(Limit::Queue)));
        assert_eq!(world.links(), 2);
        let stats = client.stats();
        assert_eq!((stats.received, stats.dropped), (0, 10));
        assert!(stats.discarded_while_stalled > 0);
        client.disconnect().await;
        // one that has room gets them
        let (later, _) = start(&world, &setup);
        let mut inbox = later.inbox("in").unwrap();
        for n in 0..10_u8 {
            assert_eq!(inbox.next().await.unwrap().payload(), [n]);
        }
        world.assert_no_complaints();
    })
    .await;
}

#[test]
fn handles_may_be_shared_by_executors() {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex as Mutex;
    use mqtt_client_embassy::{Ack, Client, Inbox, Message, Runner, Writer};

    fn check<T: Send>() {}
    fn check_shared<T: Send + Sync>() {}

    check_shared::<Client<'_, Mutex>>();
    check::<Ack<'_, Mutex>>();
    check::<Inbox<'_, Mutex>>();
    check::<Message<'_, Mutex>>();
    check::<Writer<'_, Mutex>>();
    check::<Runner<'_, Mutex, (), fn() -> u32>>();
    check::<Resources<'_, Mutex, 1, 1, 1, 1, 16, 1>>();
}
