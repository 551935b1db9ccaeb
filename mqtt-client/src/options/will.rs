//! The last will.
use bytes::Bytes;
use mqtt_codec::wire::{self, Binary, QoS, Retain};

use super::Topic;

/// The message that the broker publishes when this client is gone without having said DISCONNECT.
#[derive(Debug, Clone)]
pub struct Will {
    topic: Topic,
    payload: Bytes,
    qos: QoS,
    retain: Retain,
}

impl Will {
    /// A will for `topic` with at most 65,535 bytes of payload, QoS 0 and not retained unless said
    /// otherwise.
    ///
    /// # Errors
    /// [`WillError::PayloadTooLong`].
    pub fn new(topic: Topic, payload: impl Into<Bytes>) -> Result<Self, WillError> {
        let payload = payload.into();
        if Binary::new(&payload).is_none() {
            return Err(WillError::PayloadTooLong {
                length: payload.len(),
            });
        }
        Ok(Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: Retain::No,
        })
    }

    /// The QoS at which the broker publishes it; all three are allowed, for it is the broker that
    /// sends.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The broker keeps it as the topic's retained message.
    #[must_use]
    pub fn retain(mut self) -> Self {
        self.retain = Retain::Yes;
        self
    }

    /// The codec's view of it.
    pub(crate) fn wire(&self) -> wire::Will<'_> {
        wire::Will {
            topic: self.topic.name(),
            payload: Binary::new(&self.payload)
                .expect("length checked in `new`, and never changed"),
            qos: self.qos,
            retain: self.retain,
        }
    }
}

/// A will that cannot be written into a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WillError {
    /// The payload is over its limit.
    #[error("the will's payload of {length} bytes is longer than 65,535 bytes")]
    PayloadTooLong {
        /// Its length in bytes.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_into_connect_as_it_was_given() {
        let will = Will::new(Topic::new("status/gw1").unwrap(), "offline").unwrap();
        let plain = will.wire();
        assert_eq!(plain.topic.as_str(), "status/gw1");
        assert_eq!(plain.payload.as_bytes(), b"offline");
        assert_eq!((plain.qos, plain.retain), (QoS::AtMostOnce, Retain::No));
        let will = will.clone().qos(QoS::ExactlyOnce).retain();
        assert_eq!(
            (will.wire().qos, will.wire().retain),
            (QoS::ExactlyOnce, Retain::Yes)
        );
    }

    #[test]
    fn refuses_a_payload_that_connect_cannot_carry() {
        let topic = Topic::new("status/gw1").unwrap();
        assert!(Will::new(topic.clone(), vec![0; 65_535]).is_ok());
        assert_eq!(
            Will::new(topic, vec![0; 65_536]).err(),
            Some(WillError::PayloadTooLong { length: 65_536 })
        );
    }
}
