//! All ways to publish and to receive at once, and a cut somewhere in the bytes of each connection.
use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use client_tests::{Setup, World};
use embedded_io_async::{Read, Write};
use mqtt_client_embassy::{PublishError, QoS, ReadError, Retain};
use testkit::Random;
use tokio::time::sleep;

use crate::client::{M, TestClient, run, start};

const MESSAGES: usize = 100;

/// Of a length between nothing and several buffers, and with its number.
fn payload(name: char, n: usize) -> Vec<u8> {
    let mut payload = format!("{name}{n} ").into_bytes();
    let len = [0, 10, 40, 70, 300, 1_500][n % 6];
    payload.extend((0..len).map(|n| (n % 251) as u8));
    payload
}

async fn borrowed(client: TestClient) {
    for n in 0..MESSAGES {
        let payload = payload('b', n);
        client
            .publish_borrowed("out", &payload, Retain::No)
            .await
            .unwrap();
    }
}

async fn from_sources(client: TestClient) {
    for n in 0..MESSAGES {
        let payload = payload('s', n);
        let len = u32::try_from(payload.len()).unwrap();
        let open = async || {
            sleep(Duration::from_millis(3)).await;
            Ok(&payload[..])
        };
        client
            .publish_source("out", len, Retain::No, &mut [0; 50], open)
            .await
            .unwrap();
    }
}

async fn kept(client: TestClient) {
    let mut acks = std::collections::VecDeque::new();
    for n in 0..MESSAGES {
        let payload = format!("k{n} ");
        let enqueued = client.enqueue("out", payload.as_bytes(), Retain::No);
        acks.push_back(enqueued.await.unwrap());
        if acks.len() == 2 {
            acks.pop_front().unwrap().await.unwrap();
        }
    }
    for ack in acks {
        ack.await.unwrap();
    }
}

/// These may be lost, and must not be torn.
async fn written(client: TestClient) {
    for n in 0..MESSAGES {
        let payload = payload('w', n);
        let len = u32::try_from(payload.len()).unwrap();
        let mut writer = client
            .publish_writer("qos 0", len, Retain::No)
            .await
            .unwrap();
        match writer.write_all(&payload).await {
            Ok(()) | Err(PublishError::ConnectionLost) => {}
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn receive(
    inbox: &mut mqtt_client_embassy::Inbox<'static, M>,
    received: &RefCell<BTreeSet<Vec<u8>>>,
) {
    loop {
        let mut message = inbox.next().await.unwrap();
        let mut whole = vec![0; message.payload_len() as usize];
        match message.read_exact(&mut whole).await {
            Ok(()) => drop(received.borrow_mut().insert(whole)),
            // it comes again
            Err(embedded_io_async::ReadExactError::Other(
                ReadError::ConnectionLost | ReadError::Stalled,
            )) => message.give_up(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Ends each connection somewhere.
async fn sabotage(world: &World, seed: u64) {
    let mut random = Random::new(seed);
    loop {
        let dials = world.dials().len();
        match random.below(2) {
            0 => world.cut_after_input(random.below(1_500)),
            _ => world.cut_after_output(1 + random.below(1_500)),
        }
        world.dialed(dials + 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_torn_or_stuck() {
    run(async {
        let mut links = 0;
        for seed in 0..20 {
            let world = World::default();
            let setup = Setup {
                keep_trying: true,
                declared: vec![("in", QoS::AtLeastOnce)],
                stall_timeout: Duration::from_millis(500),
                backoff: (Duration::from_millis(1), Duration::from_millis(20)),
                ..Setup::default()
            };
            let (client, _) = start(&world, &setup);
            client.connected().await.unwrap();
            let expected: BTreeSet<_> = (0..MESSAGES).map(|n| payload('i', n)).collect();
            for message in &expected {
                world.broker(|broker| broker.publish("in", message, QoS::AtLeastOnce));
            }
            let received = RefCell::default();
            let mut inbox = client.inbox("in").unwrap();
            let receiving = receive(&mut inbox, &received);
            let publishing = async {
                tokio::join!(
                    borrowed(client),
                    from_sources(client),
                    kept(client),
                    written(client)
                );
                while received.borrow().len() < MESSAGES {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                () = publishing => {}
                () = receiving => unreachable!("it goes on for ever"),
                () = sabotage(&world, seed) => unreachable!("it goes on for ever"),
            }
            assert!(*received.borrow() == expected, "seed {seed}");
            let delivered = world.broker(|broker| broker.first_deliveries());
            for name in ['b', 's'] {
                let mut of_one = delivered.clone();
                of_one.retain(|payload| payload.first() == Some(&(name as u8)));
                let all: Vec<_> = (0..MESSAGES).map(|n| payload(name, n)).collect();
                assert!(of_one == all, "seed {seed}, {name}");
            }
            let kept = delivered.iter().filter(|payload| payload[0] == b'k');
            assert_eq!(kept.count(), MESSAGES, "seed {seed}");
            links += world.links();
            world.assert_no_complaints();
        }
        assert!(links > 100, "{links} links");
    })
    .await;
}
