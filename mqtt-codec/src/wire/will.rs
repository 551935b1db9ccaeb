use super::{Binary, QoS, Retain, TopicName};

/// Will: the message that the server publishes when the connection ends without DISCONNECT
/// (section 3.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Will<'a> {
    /// Topic of the message.
    pub topic: TopicName<'a>,
    /// The message: any bytes, or none.
    pub payload: Binary<'a>,
    /// QoS of the message.
    pub qos: QoS,
    /// Whether the server shall keep the message for later subscribers.
    pub retain: Retain,
}
