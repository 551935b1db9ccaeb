//! Messages larger than the memory of the board.

use ring::digest::{SHA256, digest};
use testkit::net::{Listener, Mosquitto, Subscriber};

use super::{Lab, Measured};
use crate::machine::Figures;

const LEN: usize = 4_000_000;

/// From a source at QoS 1, from a writer at QoS 0, and to a reader: hashes of both ends are compared.
pub(crate) async fn streams(lab: Lab) -> Measured {
    let broker = Mosquitto::start().await;
    let judge = Subscriber::start(&broker, "up/#").await;
    let port = broker.address(Listener::Plain).port();
    let firmware = lab.firmware("streams").with("port", port);
    let mut machine = firmware.with("bytes", LEN).start();
    machine.wait_for("ready for down").await;
    let sent = noise();
    let hash = hash(&sent);
    broker.publish_bytes("down", 1, sent).await;
    let figures = machine.end().await;

    let received = judge.wait_for(2).await;
    for (message, name) in received.iter().zip(["source", "writer"]) {
        assert_eq!(message.payload.len(), LEN, "{name}");
        assert_eq!(
            self::hash(&message.payload),
            figures.number::<String>(name),
            "{name}"
        );
    }
    assert_eq!(hash, figures.number::<String>("reader"));
    let mut measured: Vec<_> = ["source", "writer", "reader"]
        .map(|name| format!("{name} {:.1} MB/s", rate(&figures, name)))
        .to_vec();
    measured.push(format!("stack {} B", figures.number::<u32>("stack")));
    measured
}

/// Hashing included.
fn rate(figures: &Figures, name: &str) -> f64 {
    LEN as f64 / figures.number::<f64>(&format!("{name}_us"))
}

fn hash(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Bytes no part of which repeats.
fn noise() -> Vec<u8> {
    (0..LEN as u64)
        .map(|place| (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect()
}
