use mqtt_codec::wire::{Dup, PacketType};

use super::{QOS1, connect, numbered, sent};
use crate::{Adapter, Ending, Failure, Setup, Source, World};

const LEN: usize = 300_000;

pub async fn a_source_arrives_whole<A: Adapter>() {
    for len in [0, 1, 16_384, LEN] {
        let world = World::default();
        let client: A = connect(&world, Setup::default()).await;
        let source = Source::honest(len);
        client.publish_source("t", source).await.unwrap();
        assert!(
            world.broker(|broker| broker.published()) == [source.bytes()],
            "{len} bytes"
        );
        client.publish("t", b"x", QOS1).await.unwrap();
        assert_eq!(world.links(), 1);
    }
}

pub async fn a_source_that_is_cut_is_sent_again<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    world.cut_after_input(LEN / 2);
    let source = Source::honest(LEN);
    client.publish_source("t", source).await.unwrap();
    assert_eq!(world.links(), 2);
    let sent = sent(&world.frames(1));
    assert_eq!((sent.len(), sent[0].dup), (1, Dup::Repeat));
    assert!(sent[0].payload == source.bytes());
}

pub async fn a_source_too_short_fails_alone<A: Adapter>() {
    let source = Source {
        has: LEN - 1,
        ..Source::honest(LEN)
    };
    assert_fails_alone::<A>(source, Failure::SourceTooShort).await;
    let nothing = Source { has: 0, ..source };
    assert_fails_alone::<A>(nothing, Failure::SourceTooShort).await;
}

pub async fn a_source_too_long_fails_alone<A: Adapter>() {
    for announced in [1, LEN - 1] {
        let source = Source {
            announced,
            ..Source::honest(LEN)
        };
        assert_fails_alone::<A>(source, Failure::SourceTooLong).await;
    }
}

pub async fn a_source_that_fails_half_way_fails_alone<A: Adapter>() {
    for has in [0, LEN / 2] {
        let source = Source {
            announced: LEN,
            has,
            ending: Ending::Error,
        };
        assert_fails_alone::<A>(source, Failure::SourceFailed).await;
    }
}

/// Those before and behind it arrive.
async fn assert_fails_alone<A: Adapter>(source: Source, failure: Failure) {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    let before = client.enqueue("t", &numbered(0)).await.unwrap();
    let behind = async {
        world.arrived(PacketType::Publish, 1).await;
        client.publish("t", &numbered(1), QOS1).await
    };
    let (upload, behind) = tokio::join!(client.publish_source("bad", source), behind);
    assert_eq!(upload, Err(failure), "{source:?}");
    before.await.unwrap();
    behind.unwrap();
    client.publish("t", &numbered(2), QOS1).await.unwrap();
    let arrived = world.broker(|broker| broker.first_deliveries());
    assert_eq!(arrived, super::numbers(0..3), "{source:?}");
    world.assert_no_complaints();
}
