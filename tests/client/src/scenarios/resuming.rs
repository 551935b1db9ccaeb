use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use mqtt_codec::wire::{Dup, PacketType};
use testkit::{AckOrder, Frame, Random};

use super::{QOS1, Sent, connect, numbered, numbers, sent};
use crate::{Adapter, Delivery, Inbox, Setup, World, happenings::listen};

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1]
pub async fn a_cut_resends_with_dup_the_same_ids_and_order_before_anything_new<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let client: A = connect(&world, Setup::default()).await;
    let mut happenings = listen(&client);
    let mut acks = Vec::new();
    for n in 0..5 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    world.arrived(PacketType::Publish, 5).await;
    world.cut();
    happenings.disconnected().await;
    for n in 5..8 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
    for ack in acks {
        ack.await.unwrap();
    }
    let (first, second) = (sent(&world.frames(0)), sent(&world.frames(1)));
    let again = first.iter().map(|sent| Sent {
        dup: Dup::Repeat,
        ..sent.clone()
    });
    assert_eq!(second[..5], again.collect::<Vec<_>>());
    assert_eq!(second[5..].len(), 3);
    assert!(second[5..].iter().all(|sent| sent.dup == Dup::First));
    assert_eq!(client.counts().resent, 5);
    assert_eq!(
        world.broker(|broker| broker.first_deliveries()),
        numbers(0..8)
    );
    world.assert_no_complaints();
}

pub async fn a_cut_at_every_byte_loses_and_reorders_nothing<A: Adapter>() {
    // CONNECT is 20 bytes long, each PUBLISH 8
    for offset in 1..=60 {
        let world = World::default();
        world.cut_after_input(offset);
        let setup = Setup {
            keep_trying: true,
            ..Setup::default()
        };
        let client = A::start(&world, setup);
        let mut acks = Vec::new();
        for n in 0..5 {
            acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
        assert_eq!(
            world.broker(|broker| broker.first_deliveries()),
            numbers(0..5),
            "cut after {offset} bytes"
        );
        assert_eq!(world.links(), 2, "cut after {offset} bytes");
        world.assert_no_complaints();
    }
}

pub async fn a_cut_in_every_answer_of_the_broker_loses_nothing<A: Adapter>() {
    // CONNACK, SUBACK, PUBACK, and each message comes back as PUBLISH: 4, 5, 4, 8 bytes
    for offset in 1..40 {
        let world = World::default();
        world.cut_after_output(offset);
        let setup = Setup {
            keep_trying: true,
            declared: vec![("t", QOS1)],
            ..Setup::default()
        };
        let client = A::start(&world, setup);
        let mut inbox = client.take("t");
        let mut acks = Vec::new();
        for n in 0..3 {
            acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
        let mut received = Vec::new();
        let delivered = world.until(|broker| (broker.undelivered("client") == 0).then_some(()));
        let mut delivered = std::pin::pin!(delivered);
        loop {
            tokio::select! {
                biased;
                message = inbox.next() => {
                    let payload = message.unwrap().payload().to_vec();
                    if !received.contains(&payload) {
                        received.push(payload);
                    }
                }
                () = &mut delivered => break,
            }
        }
        assert_eq!(received, numbers(0..3), "cut after {offset} bytes");
        world.assert_no_complaints();
    }
}

/// Four publishers, a consumer, and a cut somewhere in the bytes of each connection; every other run the broker also
/// forgets the session at times.
pub async fn random_cuts_lose_and_reorder_nothing<A: Adapter>() {
    for seed in 0..20 {
        let forgets = seed % 2 == 1;
        let world = World::default();
        let setup = Setup {
            keep_trying: true,
            declared: vec![("t/#", QOS1)],
            in_flight: 7,
            outbox: 20,
            backoff: (Duration::from_millis(1), Duration::from_millis(50)),
            ..Setup::default()
        };
        let client = A::start(&world, setup);
        let mut inbox = client.take("t/#");
        let mut received = BTreeSet::new();
        let consuming = async {
            // with its session, the broker forgets what it had for us
            while !forgets && received.len() < 4 * MESSAGES {
                received.insert(inbox.next().await.unwrap().payload().to_vec());
            }
        };
        let publishing = async {
            tokio::join!(
                publish_all(&client, "a"),
                publish_all(&client, "b"),
                publish_all(&client, "c"),
                publish_all(&client, "d"),
            )
        };
        tokio::select! {
            _ = async { tokio::join!(consuming, publishing) } => {}
            () = sabotage(&world, seed, forgets) => unreachable!("it goes on for ever"),
        }
        assert!(world.links() > 10, "seed {seed}: {} links", world.links());
        assert!(client.counts().resent > 0, "seed {seed}");
        let first = world.broker(|broker| broker.first_deliveries());
        assert_eq!(first.len(), 4 * MESSAGES, "seed {seed}");
        if !forgets {
            for name in ["a", "b", "c", "d"] {
                let mut of_one = first.clone();
                of_one.retain(|payload| payload.starts_with(name.as_bytes()));
                let all: Vec<_> = (0..MESSAGES).map(|n| message(name, n)).collect();
                assert_eq!(of_one, all, "seed {seed}");
            }
        }
        world.assert_no_complaints();
    }
}

const MESSAGES: usize = 200;

fn message(publisher: &str, n: usize) -> Vec<u8> {
    format!("{publisher}{n}").into_bytes()
}

async fn publish_all<A: Adapter>(client: &A, name: &str) {
    let mut acks = VecDeque::new();
    for n in 0..MESSAGES {
        acks.push_back(client.enqueue("t/x", &message(name, n)).await.unwrap());
        if acks.len() == 5 {
            acks.pop_front().expect("five").await.unwrap();
        }
    }
    for ack in acks {
        ack.await.unwrap();
    }
}

/// Ends each connection somewhere.
async fn sabotage(world: &World, seed: u64, forgets: bool) {
    let mut random = Random::new(seed);
    loop {
        let dials = world.dials().len();
        match random.below(2) {
            0 => world.cut_after_input(random.below(600)),
            _ => world.cut_after_output(1 + random.below(600)),
        }
        world.dialed(dials + 1).await;
        if forgets && random.one_in(5) {
            world.broker(|broker| broker.forget_session("client"));
        }
    }
}

pub async fn what_was_never_sent_goes_out_without_dup<A: Adapter>() {
    let world = World::default();
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let setup = Setup {
        in_flight: 2,
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    let mut acks = Vec::new();
    for n in 0..6 {
        acks.push(client.enqueue("t", &numbered(n)).await.unwrap());
    }
    world.arrived(PacketType::Publish, 2).await;
    world.broker(|broker| broker.ack_order = AckOrder::AsReceived);
    world.cut();
    for ack in acks {
        ack.await.unwrap();
    }
    let dups: Vec<Dup> = sent(&world.frames(1)).iter().map(|sent| sent.dup).collect();
    let (again, first) = (Dup::Repeat, Dup::First);
    assert_eq!(dups, [again, again, first, first, first, first]);
}

pub async fn a_lost_session_renews_subscriptions_before_any_publish<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inboxes = Vec::new();
    // more filters than one SUBSCRIBE carries
    for n in 0..20 {
        let filter = format!("f/{n}/+");
        inboxes.push(client.subscribe(&filter, QOS1).await.unwrap());
    }
    world.broker(|broker| broker.ack_order = AckOrder::Held);
    let mut acks = Vec::new();
    for n in 0..5 {
        acks.push(client.enqueue("f/7/x", &numbered(n)).await.unwrap());
    }
    world.arrived(PacketType::Publish, 5).await;
    let mut happenings = listen(&client);
    world.broker(|broker| {
        broker.ack_order = AckOrder::AsReceived;
        broker.forget_session("client");
    });
    assert!(!happenings.connected().await);
    for ack in acks {
        ack.await.unwrap();
    }
    let types = world.packet_types(1);
    let first_publish = types.iter().position(|&t| t == PacketType::Publish);
    let last_subscribe = types.iter().rposition(|&t| t == PacketType::Subscribe);
    assert!(last_subscribe < first_publish, "{types:?}");
    assert_eq!(
        world.broker(|broker| broker.subscriptions("client")).len(),
        20
    );
    let resent = sent(&world.frames(1));
    assert_eq!(
        resent
            .iter()
            .map(|sent| sent.payload.clone())
            .collect::<Vec<_>>(),
        numbers(0..5)
    );
    assert!(
        resent.iter().all(|sent| sent.dup == Dup::First),
        "{resent:?}"
    );
    // they were routed to the renewed subscription
    for _ in 0..5 {
        assert_eq!(inboxes[7].next().await.unwrap().topic(), "f/7/x");
    }
    world.assert_no_complaints();
}

/// The broker has a new session by then, which knows nothing of them.
pub async fn subscriptions_are_renewed_when_the_connack_of_a_new_session_was_lost<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t", b"first", QOS1));
    // it is there when the answer behind it is
    client.publish("u", b"x", QOS1).await.unwrap();
    world.cut_after_output(2);
    world.broker(|broker| broker.forget_session("client"));
    world.dialed(3).await;
    client.publish("u", b"x", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t", b"second", QOS1));
    assert_eq!(inbox.next().await.unwrap().payload(), b"first");
    assert_eq!(inbox.next().await.unwrap().payload(), b"second");
    world.assert_no_complaints();
}

/// The session that they came with is gone: no later connection brings them again.
pub async fn messages_that_outlived_their_session_outlive_a_resumed_connection_too<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut inbox = client.subscribe("t", QOS1).await.unwrap();
    world.broker(|broker| broker.publish("t", b"first", QOS1));
    client.publish("u", b"x", QOS1).await.unwrap();
    world.broker(|broker| broker.forget_session("client"));
    world.arrived(PacketType::Subscribe, 2).await;
    world.broker(|broker| broker.publish("t", b"second", QOS1));
    client.publish("u", b"x", QOS1).await.unwrap();
    world.cut();
    world.dialed(3).await;
    client.publish("u", b"x", QOS1).await.unwrap();
    assert_eq!(inbox.next().await.unwrap().payload(), b"first");
    assert_eq!(inbox.next().await.unwrap().payload(), b"second");
    world
        .until(|broker| (broker.undelivered("client") == 0).then_some(()))
        .await;
    world.assert_no_complaints();
}

/// Flags 0b0010 both times [MQTT-3.8.1-1]: brokers reject the DUP of older versions.
pub async fn an_unacknowledged_subscribe_goes_out_again_with_its_id<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let mut happenings = listen(&client);
    // half of SUBACK
    world.cut_after_output(2);
    client.subscribe("a", QOS1).await.unwrap();
    assert!(happenings.connected().await);
    assert_same_request(&world, PacketType::Subscribe);
}

pub async fn an_unacknowledged_unsubscribe_goes_out_again_with_its_id<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let _inbox = client.subscribe("a", QOS1).await.unwrap();
    world.cut_after_output(2);
    client.unsubscribe("a").await.unwrap();
    assert_same_request(&world, PacketType::Unsubscribe);
}

pub async fn a_session_that_is_present_is_not_asked_for_subscriptions_again<A: Adapter>() {
    let world = World::default();
    let setup = Setup {
        declared: vec![("a", QOS1), ("b/#", QOS1)],
        ..Setup::default()
    };
    let client: A = connect(&world, setup).await;
    world
        .until(|broker| (broker.subscriptions("client").len() == 2).then_some(()))
        .await;
    client.publish("t", b"x", QOS1).await.unwrap();
    let mut happenings = listen(&client);
    world.cut();
    assert!(happenings.connected().await);
    client.publish("t", b"x", QOS1).await.unwrap();
    assert_eq!(
        world.packet_types(1),
        [PacketType::Connect, PacketType::Publish]
    );
}

fn assert_same_request(world: &World, packet_type: PacketType) {
    let request = |frames: Vec<Frame>| {
        let mut requests = frames
            .into_iter()
            .filter(|frame| frame.packet_type() == packet_type);
        (requests.next(), requests.next())
    };
    let (first, second) = (request(world.frames(0)), request(world.frames(1)));
    assert!(first.0.is_some());
    assert_eq!(first, second);
    world.assert_no_complaints();
}
