//! What happens to a message with its source happens to it alone.
use std::{
    future::{IntoFuture, pending},
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use client_tests::{Setup, World};
use mqtt_client::{Client, Event, FileSource, PayloadSource, PublishError, QoS, source_fn};
use mqtt_codec::wire::{Packet, PacketType};

use tokio::{
    io::{AsyncWriteExt, duplex},
    time::{Instant, sleep},
};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;

async fn connected(world: &World) -> Client {
    let options = options(world, &Setup::default()).write_timeout(Duration::from_secs(2));
    Client::connect(options).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_opened_leaves_the_connection_untouched() {
    let world = World::default();
    let client = connected(&world).await;
    let before = client.publish("t", "before").qos(QOS1).enqueue();
    let before = before.await.unwrap();
    let missing = source_fn(100, || async {
        Err::<&[u8], _>(io::ErrorKind::NotFound.into())
    });
    let upload = client.publish_stream("t", missing).into_future();
    let behind = client.publish("t", "behind").qos(QOS1).into_future();
    let (upload, behind) = tokio::join!(upload, behind);
    assert!(
        matches!(&upload, Err(PublishError::Source(error)) if error.kind() == io::ErrorKind::NotFound),
        "{upload:?}"
    );
    before.await.unwrap();
    behind.unwrap();
    assert_untouched(&world, &client).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_never_opened_leaves_the_connection_untouched() {
    let world = World::default();
    let client = connected(&world).await;
    for _ in 0..2 {
        let never = source_fn(100, || async {
            pending::<()>().await;
            Ok(&b""[..])
        });
        let upload = client.publish_stream("t", never).into_future();
        let behind = client.publish("t", "behind").qos(QOS1).into_future();
        let (upload, behind) = tokio::join!(upload, behind);
        assert!(
            matches!(&upload, Err(PublishError::Source(error)) if error.kind() == io::ErrorKind::TimedOut)
        );
        behind.unwrap();
    }
    assert_untouched(&world, &client).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_one_that_is_never_opened_has_a_write_time_out_of_its_own() {
    let world = World::default();
    let client = connected(&world).await;
    let mut events = client.events();
    world.take_nothing();
    client.publish("t", "the last one taken").await.unwrap();
    world.arrived(PacketType::Publish, 1).await;
    // fills the stream to its last byte, seven for header and topic
    client.publish("t", &[0; 64 * 1_024 - 7]).await.unwrap();
    client.flush().await.unwrap();
    let begun = Instant::now();
    let never = source_fn(100, || async {
        pending::<()>().await;
        Ok(&b""[..])
    });
    let upload = client.publish_stream("t", never).enqueue().await.unwrap();
    let _behind = client.publish("t", "behind").qos(QOS1).enqueue().await;
    upload.await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3));
    while !matches!(events.recv().await.unwrap(), Event::Disconnected { .. }) {}
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_folder_is_no_file_to_be_sent() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let error = FileSource::new(folder).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains(folder), "{error}");
    let file = FileSource::new(format!("{folder}/Cargo.toml"))
        .await
        .unwrap();
    assert!(file.len() > 0);
}

async fn assert_untouched(world: &World, client: &Client) {
    client.publish("t", "last").qos(QOS1).await.unwrap();
    assert_eq!((world.links(), client.stats().disconnections), (1, 0));
    world.assert_no_complaints();
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_opened_again_fails_with_the_connection_it_was_sent_on() {
    let world = World::default();
    let client = connected(&world).await;
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let once = source_fn(100_000, || async {
        match OPENED.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(tokio::io::AsyncReadExt::take(tokio::io::repeat(7), 100_000)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    });
    assert_eq!(once.len(), 100_000);
    world.cut_after_input(50_000);
    let outcome = client.publish_stream("t", once).await;
    assert!(
        matches!(outcome, Err(PublishError::Source(_))),
        "{outcome:?}"
    );
    client.publish("t", "x").qos(QOS1).await.unwrap();
    // no byte of it on the second connection
    assert_eq!(world.links(), 2);
    let frames = world.arrived(PacketType::Publish, 1).await;
    for frame in frames {
        let Packet::Publish(publish) = frame.packet() else {
            unreachable!("asked for");
        };
        assert_eq!(publish.payload, b"x");
    }
}

#[tokio::test(start_paused = true)]
async fn while_one_is_opened_pings_acknowledgements_and_qos_0_go_out() {
    let world = World::default();
    let options = options(&world, &Setup::default()).keep_alive(Duration::from_secs(4));
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscribe("in", QOS1).await.unwrap();
    let slow = source_fn(3, || async {
        sleep(Duration::from_secs(15)).await;
        Ok(&b"abc"[..])
    });
    let upload = client.publish_stream("t", slow).enqueue().await.unwrap();
    let behind = client.publish("t", "behind").qos(QOS1).enqueue();
    let behind = behind.await.unwrap();
    let begun = Instant::now();
    world.broker(|broker| broker.publish("in", b"x", QOS1));
    drop(stream.next().await.unwrap().unwrap());
    world.arrived(PacketType::PubAck, 1).await;
    client.publish("t", "passes").await.unwrap();
    world.arrived(PacketType::PingReq, 3).await;
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    upload.await.unwrap();
    behind.await.unwrap();
    let published = world.broker(|broker| broker.published());
    assert_eq!(published, [&b"abc"[..], b"behind"], "at QoS 1");
    assert_eq!(world.links(), 1);
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_the_last_byte_of_one() {
    let world = World::default();
    let client = connected(&world).await;
    let slow = source_fn(2, || async {
        let (reader, mut writer) = duplex(1);
        tokio::spawn(async move {
            writer.write_all(b"a").await.unwrap();
            sleep(Duration::from_secs(1)).await;
            writer.write_all(b"b").await.unwrap();
        });
        Ok(reader)
    });
    let upload = client.publish_stream("t", slow).enqueue().await.unwrap();
    let begun = Instant::now();
    client.flush().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    upload.await.unwrap();
}
