//! A message whose future is dropped after any number of polls, whatever goes on meanwhile: what becomes of it is what
//! its documentation says.
use std::{convert::Infallible, time::Duration};

use client_tests::World;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_client_embassy::Retain;
use mqtt_codec::wire::{Packet, PacketType};
use tokio::{task::spawn_local, time::sleep};

use crate::client::{TestClient, connected, poll_at_most, poll_then, run};

/// No future here completes only after more polls than this.
const POLLS: usize = 40;

/// Longer than a place of the outbox, and than the transmit buffer.
const LONG: [u8; 2_000] = [7; 2_000];

/// What the broker saw of a message whose future was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NotSent,
    LinkClosed,
    Sent,
}

use Outcome::{LinkClosed, NotSent, Sent};

/// What goes on while a future is polled and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// A message is half sent, whose source pauses.
    SlowSource,
    /// Polled before, it is dropped after somebody has called `disconnect`.
    Disconnect,
    /// There is no connection until it is dropped.
    Down,
}

async fn outcomes<F: AsyncFn(TestClient)>(name: &str, act: F) -> Vec<Outcome> {
    outcomes_while(Meanwhile::Nothing, name, act).await
}

/// Drops the future of `act` after each number of polls; the outcomes in order, each named once.
async fn outcomes_while<F: AsyncFn(TestClient)>(
    meanwhile: Meanwhile,
    name: &str,
    act: F,
) -> Vec<Outcome> {
    let mut row: Vec<(usize, Outcome)> = Vec::new();
    for polls in 0..=POLLS {
        let world = World::default();
        // a small pipe on the way, so that a long message is under way for long
        let client = connected(&world).await;
        let disconnects = meanwhile == Meanwhile::Disconnect;
        if meanwhile == Meanwhile::SlowSource {
            spawn_local(publish_slowly(client));
            sleep(Duration::from_millis(500)).await;
        }
        let is_down = meanwhile == Meanwhile::Down;
        if is_down {
            world.set_down(true);
            world.cut();
            sleep(Duration::from_millis(1)).await;
        }
        let before = async {
            if disconnects {
                let limit = embassy_time::Duration::from_secs(5);
                poll_at_most(1, client.disconnect_within(limit)).await;
            }
        };
        let done = poll_then(polls, act(client), before).await.is_some();
        if is_down {
            world.set_down(false);
            client.connected().await.unwrap();
        }
        sleep(Duration::from_secs(7)).await;
        let arrived = |frame: &testkit::Frame| match frame.packet() {
            Packet::Publish(publish) => publish.topic.as_str() == "t",
            _ => false,
        };
        let links = world.links();
        let is_sent = (0..links).any(|n| world.frames(n).iter().any(arrived));
        let outcome = match (is_sent, links - usize::from(is_down)) {
            (true, 1) => Sent,
            (false, 1) => NotSent,
            (false, 2) => LinkClosed,
            other => panic!("{name}, {polls} polls: {other:?}"),
        };
        assert!(!done || outcome == Sent, "{name}: it is done");
        if row.last().is_none_or(|&(_, last)| last != outcome) {
            row.push((polls, outcome));
        }
        // whatever became of it, the client goes on, or ends in order
        let after = client.publish("after", b"x", Retain::No).await;
        assert_eq!(after.is_err(), disconnects);
        if disconnects {
            let last = world.packet_types(links - 1).pop();
            assert_eq!(last, Some(PacketType::Disconnect), "{name}, {polls} polls");
        }
        world.assert_no_complaints();
        if done {
            break;
        }
    }
    println!("{name:<28} {row:?}");
    row.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A message whose source pauses in its midst.
async fn publish_slowly(client: TestClient) {
    struct Slow(usize);

    impl ErrorType for Slow {
        type Error = Infallible;
    }

    impl Read for Slow {
        async fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
            if self.0 == 200 {
                // longer than before the others come, and not so much that these look more often than they may
                sleep(Duration::from_millis(700)).await;
            }
            let n = self.0.min(out.len()).min(100);
            self.0 -= n;
            Ok(n)
        }
    }

    let mut buffer = [0; 100];
    let open = async || Ok(Slow(300));
    let sent = client.publish_source("slow", 300, Retain::No, &mut buffer, open);
    // unless the connection was closed, it is the same message that goes on
    sent.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_behind_a_slow_source_is_not_begun() {
    run(async {
        let meanwhile = Meanwhile::SlowSource;
        let kept = outcomes_while(meanwhile, "publish, behind a source", async |client| {
            client.publish("t", b"x", Retain::No).await.unwrap();
        });
        assert_eq!(kept.await, [NotSent, Sent]);
        let borrowed = outcomes_while(meanwhile, "borrowed, behind a source", async |client| {
            let sent = client.publish_borrowed("t", &LONG, Retain::No);
            sent.await.unwrap();
        });
        assert_eq!(borrowed.await, [NotSent, LinkClosed, Sent]);
        let source = outcomes_while(meanwhile, "source, behind a source", async |client| {
            let mut buffer = [0; 100];
            let open = async || Ok(&LONG[..]);
            let sent = client.publish_source("t", 2_000, Retain::No, &mut buffer, open);
            sent.await.unwrap();
        });
        assert_eq!(source.await, [NotSent, LinkClosed, Sent]);
        let writer = outcomes_while(meanwhile, "writer, behind a source", async |client| {
            let mut writer = client.publish_writer("t", 2_000, Retain::No).await.unwrap();
            writer.write_all(&LONG).await.unwrap();
        });
        assert_eq!(writer.await, [NotSent, LinkClosed, Sent]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_during_disconnect_does_not_keep_it_from_its_end() {
    run(async {
        let meanwhile = Meanwhile::Disconnect;
        let kept = outcomes_while(meanwhile, "publish, disconnecting", async |client| {
            client.publish("t", b"x", Retain::No).await.unwrap();
        });
        assert_eq!(kept.await, [NotSent, Sent]);
        let borrowed = outcomes_while(meanwhile, "borrowed, disconnecting", async |client| {
            let sent = client.publish_borrowed("t", &LONG, Retain::No);
            sent.await.unwrap();
        });
        assert_eq!(borrowed.await, [NotSent, LinkClosed, Sent]);
        let source = outcomes_while(meanwhile, "source, disconnecting", async |client| {
            let mut buffer = [0; 100];
            let open = async || Ok(&LONG[..]);
            let sent = client.publish_source("t", 2_000, Retain::No, &mut buffer, open);
            sent.await.unwrap();
        });
        assert_eq!(source.await, [NotSent, LinkClosed, Sent]);
        let writer = outcomes_while(meanwhile, "writer, disconnecting", async |client| {
            let mut writer = client.publish_writer("t", 2_000, Retain::No).await.unwrap();
            writer.write_all(&LONG).await.unwrap();
        });
        assert_eq!(writer.await, [NotSent, LinkClosed, Sent]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_without_a_connection_is_sent_only_if_it_is_kept() {
    run(async {
        let meanwhile = Meanwhile::Down;
        let kept = outcomes_while(meanwhile, "publish, disconnected", async |client| {
            client.publish("t", b"x", Retain::No).await.unwrap();
        });
        assert_eq!(kept.await, [NotSent, Sent]);
        let borrowed = outcomes_while(meanwhile, "borrowed, disconnected", async |client| {
            let sent = client.publish_borrowed("t", &LONG, Retain::No);
            sent.await.unwrap();
        });
        assert_eq!(borrowed.await, [NotSent]);
        let source = outcomes_while(meanwhile, "source, disconnected", async |client| {
            let mut buffer = [0; 100];
            let open = async || Ok(&LONG[..]);
            let sent = client.publish_source("t", 2_000, Retain::No, &mut buffer, open);
            sent.await.unwrap();
        });
        assert_eq!(source.await, [NotSent]);
        let writer = outcomes_while(meanwhile, "writer, disconnected", async |client| {
            let mut writer = client.publish_writer("t", 2_000, Retain::No).await.unwrap();
            writer.write_all(&LONG).await.unwrap();
        });
        assert_eq!(writer.await, [NotSent]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_publish_has_the_outcome_that_is_documented() {
    run(async {
        println!(
            "{:<28} outcome from this number of polls on",
            "dropped future"
        );
        let kept = outcomes("publish", async |client| {
            client.publish("t", b"x", Retain::No).await.unwrap();
        });
        assert_eq!(kept.await, [NotSent, Sent]);
        let enqueued = outcomes("enqueue", async |client| {
            drop(client.enqueue("t", b"x", Retain::No).await.unwrap());
        });
        assert_eq!(enqueued.await, [NotSent, Sent]);
        let ack = outcomes("enqueue, then Ack", async |client| {
            let ack = client.enqueue("t", b"x", Retain::No).await.unwrap();
            ack.await.unwrap();
        });
        assert_eq!(ack.await, [NotSent, Sent]);
        let borrowed = outcomes("publish_borrowed", async |client| {
            client
                .publish_borrowed("t", &LONG, Retain::No)
                .await
                .unwrap();
        });
        assert_eq!(borrowed.await, [NotSent, LinkClosed, Sent]);
        let source = outcomes("publish_source", async |client| {
            let mut buffer = [0; 100];
            let open = async || Ok(&LONG[..]);
            client
                .publish_source("t", 2_000, Retain::No, &mut buffer, open)
                .await
                .unwrap();
        });
        assert_eq!(source.await, [NotSent, LinkClosed, Sent]);
        let short = outcomes("publish_at_most_once, short", async |client| {
            client
                .publish_at_most_once("t", b"x", Retain::No)
                .await
                .unwrap();
        });
        assert_eq!(short.await, [NotSent, Sent]);
        let long = outcomes("publish_at_most_once, long", async |client| {
            client
                .publish_at_most_once("t", &LONG, Retain::No)
                .await
                .unwrap();
        });
        assert_eq!(long.await, [NotSent, LinkClosed, Sent]);
        let writer = outcomes("publish_writer, then writes", async |client| {
            let mut writer = client.publish_writer("t", 2_000, Retain::No).await.unwrap();
            writer.write_all(&LONG).await.unwrap();
        });
        assert_eq!(writer.await, [NotSent, LinkClosed, Sent]);
    })
    .await;
}
