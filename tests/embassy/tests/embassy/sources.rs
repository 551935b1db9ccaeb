//! Payloads that are read from a source while they are sent.
use std::{
    future::{pending, ready},
    io,
    time::Duration,
};

use client_tests::{Setup, World};
use embedded_io_async::{ErrorType, Read};
use mqtt_client_embassy::{Limit, PublishError, Retain};
use tokio::time::{sleep, timeout};

use crate::client::{connected, run, start_with};

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_open_holds_up_nobody() {
    run(async {
        let world = World::default();
        // a single place for messages
        let options = crate::adapter::options(&Setup::default());
        let (client, _) = start_with::<1, 1, 1, 64, 256>(&world, options);
        client.connected().await.unwrap();
        let mut buffer = [0; 100];
        let open = async || pending::<io::Result<Endless>>().await;
        let never = client.publish_source("t", 300, Retain::No, &mut buffer, open);
        let others = async {
            sleep(Duration::from_secs(1)).await;
            client.publish("t", b"x", Retain::No).await.unwrap();
            client
                .publish_borrowed("t", &[7; 300], Retain::No)
                .await
                .unwrap();
        };
        tokio::select! {
            _ = never => panic!("it cannot complete"),
            done = timeout(Duration::from_secs(5), others) => done.unwrap(),
        }
        assert_eq!(world.links(), 1);
    })
    .await;
}

/// Gives its bytes, and after them nothing, not even an end.
struct Endless {
    left: usize,
}

impl ErrorType for Endless {
    type Error = io::Error;
}

impl Read for Endless {
    async fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            pending::<()>().await;
        }
        let n = self.left.min(out.len());
        out[..n].fill(7);
        self.left -= n;
        Ok(n)
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_say_where_it_ends_is_not_waited_for() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        for left in [0, 50, 300] {
            let mut buffer = [0; 100];
            let open = || ready(Ok(Endless { left }));
            let len = u32::try_from(left).unwrap();
            let sent = client.publish_source("t", len, Retain::No, &mut buffer, open);
            let sent = timeout(Duration::from_secs(5), sent).await;
            sent.unwrap().unwrap();
        }
        let arrived = world.broker(|broker| broker.published());
        assert_eq!(arrived, [vec![], vec![7; 50], vec![7; 300]]);
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_needs_memory_for_a_piece() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let open = || ready(Ok(Endless { left: 5 }));
        let refused = client.publish_source("t", 5, Retain::No, &mut [], open);
        assert_eq!(refused.await, Err(PublishError::NoBuffer));
        client.publish("t", b"x", Retain::No).await.unwrap();
        assert_eq!(world.links(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_publisher_whose_source_is_stuck_learns_that_the_client_has_ended() {
    run(async {
        // before it has given its first piece, in its midst, and while it opens
        for (opens, left) in [(true, 0), (true, 100), (false, 0)] {
            let world = World::default();
            let options = crate::adapter::options(&Setup::default());
            let (client, runner) = start_with::<1, 1, 1, 64, 256>(&world, options);
            client.connected().await.unwrap();
            let mut buffer = [0; 100];
            let open = async || {
                if !opens {
                    pending::<()>().await;
                }
                Ok(Endless { left })
            };
            let sent = client.publish_source("t", 300, Retain::No, &mut buffer, open);
            let end = async {
                sleep(Duration::from_secs(1)).await;
                runner.abort();
            };
            let (sent, ()) = tokio::join!(timeout(Duration::from_secs(60), sent), end);
            assert_eq!(sent.expect("it hangs"), Err(PublishError::Closed));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_publisher_whose_source_is_stuck_fails_alone() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut buffer = [0; 100];
        let open = async || Ok(Endless { left: 100 });
        let sent = client.publish_source("t", 300, Retain::No, &mut buffer, open);
        let others = async {
            sleep(Duration::from_secs(1)).await;
            client.publish("after", b"x", Retain::No).await.unwrap();
        };
        let (sent, ()) = tokio::join!(timeout(Duration::from_secs(60), sent), others);
        assert_eq!(sent.expect("it hangs"), Err(PublishError::Source));
        assert_eq!(world.links(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_is_not_opened_for_what_cannot_be_published() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut buffer = [0; 100];
        let mut opened = 0;
        let mut open = async || {
            opened += 1;
            Ok(Endless { left: 300 })
        };
        let mut publish = async |topic, len| {
            let sent = client.publish_source(topic, len, Retain::No, &mut buffer, &mut open);
            sent.await.unwrap_err()
        };
        assert!(matches!(publish("a/#", 300).await, PublishError::Topic(_)));
        // 4 bytes beside topic and payload
        let too_long = publish("t", 268_435_455 - 4).await;
        assert_eq!(too_long, PublishError::Limit(Limit::Packet));
        client.disconnect().await;
        assert_eq!(publish("t", 300).await, PublishError::Closed);
        assert_eq!(opened, 0);
    })
    .await;
}
