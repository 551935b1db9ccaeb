//! What the broker does and sends.

use mqtt_codec::wire::{CleanSession, Retain};

use super::item::{Item, Kind};
use super::world::{Sent, World};

impl World {
    pub(super) fn broker_accepts(&mut self) {
        let present = u8::from(self.broker_has_session);
        if let Some(link) = &mut self.link {
            self.broker_has_session = link.clean_session == CleanSession::Persistent;
            link.inbound.extend([0x20, 2, present, 0]);
        }
    }

    pub(super) fn broker_refuses(&mut self, code: u8) {
        self.broker_sends(&[0x20, 2, 0, code]);
    }

    pub(super) fn broker_forgets(&mut self) {
        self.broker_has_session = false;
    }

    pub(super) fn broker_publishes(&mut self, flags: u8, payload_len: u8) {
        let Some(link) = &mut self.link else { return };
        let item = Item {
            number: flags.into(),
            kind: Kind::Publish {
                retain: Retain::No,
                payload_len: payload_len.into(),
            },
        };
        let qos = flags >> 1 & 1;
        let dup = if qos == 1 { flags & 0b1000 } else { 0 };
        let topic = item.topic();
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        if qos == 1 {
            link.broker_id = link.broker_id % 65_535 + 1;
            body.extend(link.broker_id.to_be_bytes());
        }
        body.extend(item.payload(0, payload_len.into()));
        link.inbound.push_back(0x30 | dup | qos << 1 | flags & 1);
        let mut rest = body.len();
        while rest > 0x7F {
            link.inbound.push_back((rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        link.inbound.push_back(rest as u8);
        link.inbound.extend(body);
    }

    /// Answers one of the packets that have reached the broker whole.
    pub(super) fn broker_acknowledges(&mut self, which: u8) {
        let Some(link) = &mut self.link else { return };
        let arrived: Vec<&Sent> = self
            .publishes
            .iter()
            .chain(&self.controls)
            .filter(|sent| sent.is_complete_here)
            .collect();
        let Some(sent) = arrived.get(usize::from(which) % arrived.len().max(1)) else {
            return;
        };
        let [high, low] = sent.id.get().to_be_bytes();
        match sent.item.kind {
            Kind::Publish { .. } => link.inbound.extend([0x40, 2, high, low]),
            Kind::Subscribe { filters } => {
                link.inbound.extend([0x90, 2 + filters as u8, high, low]);
                link.inbound.extend(vec![1; filters]);
            }
            Kind::Unsubscribe { .. } => link.inbound.extend([0xB0, 2, high, low]),
        }
    }

    pub(super) fn broker_sends(&mut self, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.inbound.extend(bytes);
        }
    }
}
