/// Counters of one client, since it was started. From [`Client::stats`](crate::Client::stats).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Connections that ended, planned ones included.
    pub disconnections: u64,
    /// Attempts to connect that failed.
    pub failed_attempts: u64,
    /// QoS 0 messages accepted for sending.
    pub sent_qos0: u64,
    /// QoS 1 messages of which the transport has taken a byte, sent without DUP: once each, and again as new when the
    /// broker has lost the session.
    pub sent_qos1: u64,
    /// The same for those sent again with DUP. Both together are the PUBLISH packets at QoS 1 that were begun to be
    /// written. The network may have seen fewer: what the system's socket buffer has taken is lost with a connection, too.
    pub resent: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub acknowledged: u64,
    /// QoS 1 messages given up as undeliverable, or because their source failed.
    pub undeliverable: u64,
    /// QoS 0 messages dropped because the outbox was full or there was no connection
    /// ([`Overflow::Drop`](crate::Overflow::Drop)).
    pub dropped_by_overflow: u64,
    /// QoS 0 messages that were accepted and not wholly taken by the transport when their connection ended. What it had
    /// taken may be lost as well: only QoS 1 tells.
    pub lost_with_connection: u64,
    /// Messages received at QoS 0 and handed to a stream's queue or dropped.
    pub received_qos0: u64,
    /// Messages received at QoS 1.
    pub received_qos1: u64,
    /// Received QoS 0 messages dropped because a queue was full.
    pub dropped_by_full_queue: u64,
    /// Received messages that matched no stream, or lay unread in one that was dropped, and were dropped themselves: at QoS 0,
    /// with [`Unmatched::Discard`](crate::Unmatched::Discard), or of a subscription that was ended.
    pub dropped_unmatched: u64,
    /// Received QoS 1 messages discarded because consumers stalled. The broker of a persistent session, to which they are
    /// not acknowledged, sends them again. In a transient one they are lost. The message that waited for room when its
    /// connection ended counts if no broker brings it again: in a transient session, or when the broker has lost a
    /// persistent one; how many the transport still held behind it nobody knows.
    pub discarded_while_stalled: u64,
    /// Received messages over the packet limit.
    pub oversized: u64,
    /// Received QoS 1 messages that were given up: dropped by their consumer while it panicked or without
    /// [`ack`](crate::Message::ack) in manual mode, or left unread in a dropped stream of a transient session. The broker
    /// of a persistent session sends them again; in a transient one they are lost.
    pub given_up: u64,
    /// Acknowledgements from the broker that nothing asked for.
    pub unexpected: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// QoS 1 messages in the outbox now, in flight ones included.
    pub outbox_messages: u64,
    /// Bytes of their topics and payloads; the payload of a [source](crate::Client::publish_stream) holds none.
    pub outbox_bytes: u64,
    /// Bytes of packets made ready for the transport that it had not taken when it was last written to: QoS 0 messages, and
    /// whatever else was to leave. QoS 1 messages among them count in `outbox_bytes` as well.
    pub transmit_bytes: u64,
    /// Messages in the queues of streams now.
    pub queued_messages: u64,
}
