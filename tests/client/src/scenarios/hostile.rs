use super::{QOS1, connect};
use crate::{Adapter, Setup, World, happenings::listen};

/// [MQTT-4.8.0-1]
pub async fn malformed_input_closes_with_the_rule_and_connects_again<A: Adapter>() {
    let rows: [(&[u8], &str); 4] = [
        (b"\x30\x04\x00\x01+m", "MQTT-3.3.2-2"),
        (&[0x40, 2, 0, 0], "MQTT-2.3.1-6"),
        (&[0x20, 2, 0, 0], "section 3.2"),
        (&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "section 2.2.3"),
    ];
    for (bytes, rule) in rows {
        let world = World::default();
        let client: A = connect(&world, Setup::default()).await;
        let mut happenings = listen(&client);
        world.inject(bytes);
        assert_eq!(happenings.disconnected().await, (Some(rule), false));
        assert!(happenings.connected().await);
        client.publish("t", b"x", QOS1).await.unwrap();
        world.assert_no_complaints();
    }
}

pub async fn unasked_answers_are_ignored<A: Adapter>() {
    let world = World::default();
    let client: A = connect(&world, Setup::default()).await;
    for bytes in [
        &[0xD0, 0][..],
        &[0x40, 2, 0, 9],
        &[0x90, 3, 0, 9, 0],
        &[0xB0, 2, 0, 9],
    ] {
        world.inject(bytes);
        client.publish("t", b"x", QOS1).await.unwrap();
    }
    assert_eq!(world.links(), 1);
}
