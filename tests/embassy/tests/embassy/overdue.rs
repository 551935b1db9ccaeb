//! Publishers who do not hand out the payload that is due: their message fails alone.
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use client_tests::{Setup, World};
use embedded_io_async::Write;
use mqtt_client_embassy::{PublishError, Retain};
use mqtt_codec::wire::PacketType;
use testkit::AckOrder;
use tokio::time::{sleep, timeout};

use crate::client::{TestClient, connected, run, start};

/// Longer than a place of the outbox, and than the transmit buffer.
const LONG: [u8; 2_000] = [7; 2_000];

/// Of [`Setup::default`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// A publisher who has a place, polled for the last time before a byte of its message could leave.
async fn poll_before_its_turn<F>(world: &World, client: TestClient, publisher: &mut F)
where
    F: Future<Output = Result<(), PublishError>> + Unpin,
{
    world.set_down(true);
    world.cut();
    sleep(Duration::from_millis(1)).await;
    let polled = timeout(Duration::from_millis(10), publisher).await;
    assert!(polled.is_err());
    world.set_down(false);
    client.connected().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_forgotten_before_its_first_byte_does_not_hold_up_others() {
    run(async {
        let world = World::default();
        world.broker(|broker| broker.ack_order = AckOrder::Held);
        let setup = Setup {
            in_flight: 1,
            ..Setup::default()
        };
        let (client, _) = start(&world, &setup);
        client.connected().await.unwrap();
        // the window is full
        let first = client.enqueue("t", b"first", Retain::No).await.unwrap();
        world.arrived(PacketType::Publish, 1).await;
        let mut supplied = Box::pin(client.publish_borrowed("t", &LONG, Retain::No));
        let polled = poll_fn(|cx| Poll::Ready(supplied.as_mut().poll(cx).is_ready()));
        assert!(!polled.await);
        std::mem::forget(supplied);
        world.broker(|broker| {
            broker.ack_order = AckOrder::AsReceived;
            broker.release_acks(testkit::LinkId(0), &[0]);
        });
        first.await.unwrap();
        let after = timeout(2 * WRITE_TIMEOUT, client.publish("after", b"x", Retain::No));
        after.await.expect("it waits").unwrap();
        assert_eq!(world.links(), 1);
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled_when_it_is_its_turn_fails_alone() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut borrowed = pin!(client.publish_borrowed("t", &LONG, Retain::No));
        poll_before_its_turn(&world, client, &mut borrowed).await;
        let alarm = timeout(2 * WRITE_TIMEOUT, client.publish("alarm", b"x", Retain::No));
        alarm.await.expect("it waits").unwrap();
        assert_eq!(borrowed.await, Err(PublishError::Source));
        assert_eq!(world.links(), 2);
        world.assert_no_complaints();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_turn_a_qos_0_message_takes_has_its_time_behind_it() {
    run(async {
        let world = World::default();
        let client = connected(&world).await;
        let mut borrowed = pin!(client.publish_borrowed("t", &LONG, Retain::No));
        poll_before_its_turn(&world, client, &mut borrowed).await;
        sleep(WRITE_TIMEOUT / 2).await;
        let mut writer = client.publish_writer("qos 0", 4, Retain::No).await.unwrap();
        for byte in 0..4 {
            sleep(WRITE_TIMEOUT / 2).await;
            writer.write_all(&[byte]).await.unwrap();
        }
        sleep(WRITE_TIMEOUT / 2).await;
        borrowed.await.unwrap();
        assert_eq!(world.links(), 2);
        world.assert_no_complaints();
    })
    .await;
}
