use std::sync::Arc;

use testkit::net::{Mode, Mosquitto, Proxy, Received, Subscriber};

/// The broker, what happens to it, and who listens to it meanwhile.
pub(super) struct Weather {
    broker: Mosquitto,
    proxy: Arc<Proxy>,
    judge: Subscriber,
    judges: usize,
    /// From earlier judges.
    heard: Vec<Received>,
}

/// Nobody's topic but the weather's.
const PROBE: &str = "storm/probe";

impl Weather {
    pub(super) async fn new(broker: Mosquitto, proxy: Arc<Proxy>) -> Self {
        let judge = judge(&broker, 0).await;
        Self {
            broker,
            proxy,
            judge,
            judges: 1,
            heard: Vec::new(),
        }
    }

    /// With messages under way. The judge comes back to its session by itself.
    pub(super) async fn restart(&mut self) {
        self.broker.restart().await;
    }

    /// The same, and the broker forgets everything, once its judge has heard all that it had taken: the client finds no
    /// session, and what it lost with that is known.
    pub(super) async fn wipe_store(&mut self) {
        self.broker.stop().await;
        self.proxy.set_mode(Mode::Refuse);
        self.broker.start_again().await;
        self.drain().await;
        self.heard.extend(self.judge.received());
        self.broker.wipe_store().await;
        self.judge = judge(&self.broker, self.judges).await;
        self.judges += 1;
        self.proxy.set_mode(Mode::Forward);
    }

    /// Everything delivered, in order.
    pub(super) async fn deliveries(mut self) -> Vec<Received> {
        self.drain().await;
        self.heard.extend(self.judge.received());
        self.heard
    }

    /// Waits until the judge has heard all that the broker has taken.
    async fn drain(&self) {
        let probe = format!("probe {}", self.judges);
        self.broker.publish(PROBE, 1, [probe.clone()]).await;
        self.judge.wait_for_payload(probe.as_bytes()).await;
    }
}

/// In a session of its own, so that two never fight for one.
async fn judge(broker: &Mosquitto, number: usize) -> Subscriber {
    Subscriber::persistent(broker, &format!("judge-{number}"), "storm/+").await
}
