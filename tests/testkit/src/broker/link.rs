use mqtt_codec::wire::{Ack, AckType, Delivery, PacketId, Publish, Retain};

use crate::Splitter;

/// One connection as the broker sees it.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) input: Splitter,
    pub(super) output: Vec<u8>,
    pub(super) client: Option<String>,
    pub(super) will: Option<Vec<u8>>,
    pub(super) held_acks: Vec<PacketId>,
    pub(super) is_closed: bool,
}

impl Link {
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn send_ack(&mut self, ack_type: AckType, id: PacketId) {
        self.output.extend(Ack { ack_type, id }.to_bytes());
    }

    pub(super) fn send_publish(&mut self, topic: &str, payload: &[u8], delivery: Delivery) {
        let publish = Publish {
            topic: topic.try_into().expect("checked when it came"),
            delivery,
            retain: Retain::No,
            payload,
        };
        let len = publish.encoded_len().expect("not too long");
        let from = self.output.len();
        self.output.resize(from + len, 0);
        publish
            .encode(&mut self.output[from..])
            .expect("room for the packet");
    }
}
