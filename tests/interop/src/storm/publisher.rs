use std::{collections::VecDeque, sync::Arc, time::Duration};

use mqtt_client::{Client, PublishAck, QoS};
use testkit::net::Proxy;
use tokio::{sync::watch, time::timeout};

/// One task that publishes its messages in order.
pub(super) struct Publisher {
    pub(super) number: usize,
    pub(super) messages: usize,
    pub(super) client: Client,
    pub(super) proxy: Arc<Proxy>,
    /// How many messages of all publishers are.
    pub(super) settled: Arc<watch::Sender<usize>>,
}

/// What became of the futures of one publisher.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) acknowledged: usize,
    pub(super) failed: usize,
    pub(super) open: usize,
    /// Of the acknowledged ones that were looked at, those whose PUBACK the proxy had not seen by then.
    pub(super) too_early: usize,
}

/// Messages of one publisher that await their acknowledgement at once.
const AHEAD: usize = 100;
/// One in so many futures is compared with the proxy as it completes.
const SAMPLE: usize = 16;
/// A future that takes longer counts as never completed: the broker is away for seconds at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The payload of a message: who, which, and a tail that makes the packets differ in length.
pub(super) fn payload(publisher: usize, message: usize) -> String {
    format!("{publisher} {message} {}", "x".repeat(message % 40))
}

/// Who and which, of a [`payload`].
pub(super) fn parse(payload: &[u8]) -> Option<(usize, usize)> {
    let mut fields = std::str::from_utf8(payload).ok()?.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

impl Publisher {
    pub(super) async fn run(self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut open = VecDeque::new();
        let topic = format!("storm/{}", self.number);
        for message in 0..self.messages {
            let publish = self.client.publish(&topic, payload(self.number, message));
            let accepted = publish.qos(QoS::AtLeastOnce).enqueue();
            match timeout(PATIENCE, accepted).await {
                Ok(Ok(ack)) => open.push_back((message, ack)),
                Ok(Err(_)) => outcome.failed += 1,
                Err(_) => outcome.open += 1,
            }
            if open.len() >= AHEAD {
                self.settle(&mut open, &mut outcome).await;
            }
        }
        while !open.is_empty() {
            self.settle(&mut open, &mut outcome).await;
        }
        outcome
    }

    async fn settle(&self, open: &mut VecDeque<(usize, PublishAck)>, outcome: &mut Outcome) {
        let Some((message, ack)) = open.pop_front() else {
            return;
        };
        match timeout(PATIENCE, ack).await {
            Ok(Ok(())) => {
                outcome.acknowledged += 1;
                if message % SAMPLE == 0 {
                    let payload = payload(self.number, message);
                    let seen = self.proxy.acknowledged();
                    let seen = seen.iter().any(|seen| seen == payload.as_bytes());
                    outcome.too_early += usize::from(!seen);
                }
            }
            Ok(Err(_)) => outcome.failed += 1,
            Err(_) => outcome.open += 1,
        }
        self.settled.send_modify(|settled| *settled += 1);
    }
}
