//! What a broker does with messages beyond passing them on.
use mqtt_client::{Capacity, Client, QoS, SessionStart, Topic, TryRecvError, Will};
use testkit::net::{Listener, Mosquitto, Plan, Proxy, Subscriber};

use crate::support::{client, next, next_text, options};

const AT_LEAST_ONCE: QoS = QoS::AtLeastOnce;

#[tokio::test]
async fn a_retained_message_comes_first_and_is_marked() {
    let broker = Mosquitto::start().await;
    let client = client(&broker).await;
    client
        .publish("state", "old")
        .qos(AT_LEAST_ONCE)
        .retain()
        .await
        .unwrap();
    let mut stream = client.subscribe("state", AT_LEAST_ONCE).await.unwrap();
    client
        .publish("state", "new")
        .qos(AT_LEAST_ONCE)
        .await
        .unwrap();
    let first = next(&mut stream).await;
    assert_eq!((first.payload(), first.is_retained()), (&b"old"[..], true));
    let second = next(&mut stream).await;
    assert_eq!(
        (second.payload(), second.is_retained()),
        (&b"new"[..], false)
    );
}

#[tokio::test]
async fn the_will_is_published_after_a_loss_and_not_after_disconnect() {
    let broker = Mosquitto::start().await;
    let judge = Subscriber::start(&broker, "will/+").await;
    let with_will = |address, topic: &str| {
        let will = Will::new(Topic::new(topic).unwrap(), "gone")
            .unwrap()
            .qos(AT_LEAST_ONCE);
        mqtt_client::ConnectOptions::new(address).will(will)
    };
    let plain = || broker.address(Listener::Plain).into();

    let polite = Client::connect(with_will(plain(), "will/polite"))
        .await
        .unwrap();
    polite.disconnect().await.unwrap();
    let dropped = Client::connect(with_will(plain(), "will/dropped"))
        .await
        .unwrap();
    let mut connection = dropped.connection();
    drop(dropped);
    connection
        .wait_for(|state| matches!(state, mqtt_client::ConnectionState::Closed { .. }))
        .await
        .unwrap();

    let proxy = Proxy::start(broker.address(Listener::Plain), Plan::faithful()).await;
    let lost = Client::connect(with_will(proxy.address().into(), "will/lost"))
        .await
        .unwrap();
    proxy.set_mode(testkit::net::Mode::Refuse);
    let received = judge.wait_for(1).await;
    assert_eq!(received[0].topic, "will/lost");
    assert_eq!(received[0].payload, b"gone");
    drop(lost);

    broker.publish("will/end", 1, ["end".to_owned()]).await;
    let topics: Vec<_> = judge
        .wait_for_payload(b"end")
        .await
        .into_iter()
        .map(|received| received.topic)
        .collect();
    assert_eq!(topics, ["will/lost", "will/end"]);
}

#[tokio::test]
async fn a_client_that_leaves_while_messages_pour_in_says_disconnect() {
    let broker = Mosquitto::start().await;
    let judge = Subscriber::start(&broker, "will").await;
    for _ in 0..5 {
        let will = Will::new(Topic::new("will").unwrap(), "gone").unwrap();
        let leaving = Client::connect(options(&broker, Listener::Plain).will(will))
            .await
            .unwrap();
        let mut stream = leaving
            .subscribe("flood", AT_LEAST_ONCE)
            .queue(Capacity::new(1, 1))
            .await
            .unwrap();
        let flood = (0..3_000).map(|number| number.to_string());
        let publishing = broker.publish("flood", 0, flood);
        let leaving = async {
            drop(next(&mut stream).await);
            leaving.disconnect().await.unwrap();
        };
        tokio::join!(publishing, leaving);
    }
    broker.publish("will", 1, ["end".to_owned()]).await;
    assert_eq!(judge.wait_for_payload(b"end").await.len(), 1);
}

#[tokio::test]
async fn a_clean_slate_forgets_what_the_broker_kept() {
    let broker = Mosquitto::start().await;
    let options = || options(&broker, Listener::Plain).client_id("keeper");
    let first = Client::connect(options()).await.unwrap();
    let stream = first.subscribe("kept", AT_LEAST_ONCE).await.unwrap();
    first.disconnect().await.unwrap();
    drop(stream);
    broker.publish("kept", 1, ["while away".to_owned()]).await;

    let clean = options().session_start(SessionStart::CleanSlate);
    let second = Client::connect(clean).await.unwrap();
    let mut all = second.default_stream().unwrap();
    let mut own = second.subscribe("own", AT_LEAST_ONCE).await.unwrap();
    second
        .publish("kept", "nobody subscribed")
        .qos(AT_LEAST_ONCE)
        .await
        .unwrap();
    second
        .publish("own", "last")
        .qos(AT_LEAST_ONCE)
        .await
        .unwrap();
    assert_eq!(next_text(&mut own).await, "last");
    let nothing = all.try_recv();
    assert!(matches!(nothing, Err(TryRecvError::Empty)), "{nothing:?}");

    // the session of a clean slate persists
    second.disconnect().await.unwrap();
    broker.publish("own", 1, ["while away".to_owned()]).await;
    let third = Client::connect(options()).await.unwrap();
    let mut all = third.default_stream().unwrap();
    assert_eq!(next_text(&mut all).await, "while away");
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_of_the_group() {
    let broker = Mosquitto::start().await;
    let (one, two) = (client(&broker).await, client(&broker).await);
    let mut streams = [
        one.subscribe("$share/group/work/+", AT_LEAST_ONCE)
            .await
            .unwrap(),
        two.subscribe("$share/group/work/+", AT_LEAST_ONCE)
            .await
            .unwrap(),
    ];
    broker
        .publish("work/a", 1, (0..20).map(|n| n.to_string()))
        .await;
    let mut received = Vec::new();
    while received.len() < 20 {
        let [first, second] = &mut streams;
        let text = tokio::select! {
            text = next_text(first) => text,
            text = next_text(second) => text,
        };
        received.push(text.parse::<u32>().unwrap());
    }
    received.sort_unstable();
    assert_eq!(received, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_message_goes_out_and_comes_in() {
    let broker = Mosquitto::start().await;
    let client = client(&broker).await;
    let mut stream = client.subscribe("large", AT_LEAST_ONCE).await.unwrap();
    let payload: Vec<u8> = (0..1_048_576_u32).map(|n| (n / 251 + n) as u8).collect();
    for qos in [QoS::AtMostOnce, AT_LEAST_ONCE] {
        client.publish("large", &payload).qos(qos).await.unwrap();
        let message = next(&mut stream).await;
        assert_eq!(message.qos(), qos);
        assert!(message.payload() == payload);
    }
}

#[tokio::test]
async fn nothing_comes_after_unsubscribe() {
    let broker = Mosquitto::start().await;
    let client = client(&broker).await;
    let mut stream = client.subscribe("ended", AT_LEAST_ONCE).await.unwrap();
    let mut other = client.subscribe("other", AT_LEAST_ONCE).await.unwrap();
    client.unsubscribe("ended").await.unwrap();
    broker.publish("ended", 1, ["too late".to_owned()]).await;
    broker.publish("other", 1, ["end".to_owned()]).await;
    assert_eq!(next_text(&mut other).await, "end");
    assert!(stream.next().await.is_none());
    let stats = client.stats();
    assert_eq!(stats.received_qos1, 1, "{stats:?}");
}

#[tokio::test]
async fn topics_of_the_broker_match_their_own_filters_alone() {
    let broker = Mosquitto::start().await;
    let client = client(&broker).await;
    let mut all = client.subscribe("#", AT_LEAST_ONCE).await.unwrap();
    let mut system = client
        .subscribe("$SYS/broker/version", AT_LEAST_ONCE)
        .await
        .unwrap();
    let version = next(&mut system).await;
    assert_eq!(version.topic(), "$SYS/broker/version");
    assert!(version.payload().starts_with(b"mosquitto"));
    client
        .publish("mine", "first")
        .qos(AT_LEAST_ONCE)
        .await
        .unwrap();
    assert_eq!(next(&mut all).await.topic(), "mine");
}
