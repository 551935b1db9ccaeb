//! Delivery under faults: tasks publish while the link is cut, the broker restarted and its store removed.
//!
//! Strangers to the client judge it: the proxy, which sees every PUBACK, and `mosquitto_sub`, which sees the order.
mod publisher;
mod verdict;
mod weather;

use std::{fmt, sync::Arc, time::Duration};

use mqtt_client::{Address, BackoffOptions, Client, ConnectOptions, FirstConnect, Stats};
use testkit::net::{Counters, Listener, Mosquitto, Plan, Proxy};
use tokio::{sync::watch, task::JoinSet};

pub use self::verdict::Verdict;
use self::{publisher::Publisher, weather::Weather};

/// How hard it blows.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Where the places of the cuts are drawn from.
    pub seed: u64,
    /// QoS 1 messages in all.
    pub messages: usize,
    /// Tasks that publish them.
    pub publishers: usize,
    /// Connections that the proxy ends.
    pub cuts: usize,
    /// Times the broker is stopped by SIGTERM and started again.
    pub restarts: usize,
    /// Times its store is removed, too.
    pub wipes: usize,
}

/// What a storm has left behind.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The storm.
    pub storm: Storm,
    /// What was lost, reordered or left open.
    pub verdict: Verdict,
    /// What the proxy did and saw.
    pub counters: Counters,
    /// What the client counted.
    pub stats: Stats,
}

impl Storm {
    /// Lets it blow. `tell` hears now and then how many messages are settled, and how many cuts were made.
    ///
    /// # Panics
    /// The broker, the proxy or the subscriber cannot be set up.
    pub async fn blow(self, tell: impl Fn(usize, usize)) -> Report {
        let broker = Mosquitto::start().await;
        // Short enough that the last cut comes before the last message.
        let between = (self.messages * 7 / 10 / self.cuts.max(1)).max(1);
        let plan = Plan::random(self.seed, self.cuts).packets_between(between as u32);
        let proxy = Arc::new(Proxy::start(broker.address(Listener::Plain), plan).await);
        let mut weather = Weather::new(broker, Arc::clone(&proxy)).await;
        let client = Client::connect(options(&proxy))
            .await
            .expect("it keeps trying");

        let settled = Arc::new(watch::Sender::new(0));
        let mut heard = settled.subscribe();
        let mut publishers = JoinSet::new();
        for number in 0..self.publishers {
            let messages = self.messages * (number + 1) / self.publishers
                - self.messages * number / self.publishers;
            let publisher = Publisher {
                number,
                messages,
                client: client.clone(),
                proxy: Arc::clone(&proxy),
                settled: Arc::clone(&settled),
            };
            publishers.spawn(publisher.run());
        }
        // With the last publisher the wait for the next blow ends, too.
        drop(settled);

        let blows = self.restarts + self.wipes;
        for blow in 1..=blows {
            let due = self.messages * blow / (blows + 1);
            let Ok(settled) = heard.wait_for(|&settled| settled >= due).await.map(|n| *n) else {
                break;
            };
            tell(settled, proxy.counters().cuts);
            if blow * self.wipes / blows > (blow - 1) * self.wipes / blows {
                weather.wipe_store().await;
            } else {
                weather.restart().await;
            }
        }
        let outcomes = publishers.join_all().await;
        tell(*heard.borrow(), proxy.counters().cuts);
        let deliveries = weather.deliveries().await;
        Report {
            storm: self,
            verdict: Verdict::new(self, &outcomes, &proxy.acknowledged(), &deliveries),
            counters: proxy.counters(),
            stats: client.stats(),
        }
    }
}

impl Report {
    /// Whether nothing was lost, reordered or left open, by a storm that had all it was to have.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let counters = &self.counters;
        let happened = [
            counters.cuts_in_packet_to_broker,
            counters.cuts_in_packet_to_client,
            counters.cuts_in_flight,
            counters.repeats,
        ];
        self.verdict.is_good()
            && counters.cuts >= self.storm.cuts
            && happened.iter().all(|&count| count > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            storm,
            verdict,
            counters,
            stats,
        } = self;
        writeln!(f, "seed                         {}", storm.seed)?;
        writeln!(f, "messages at QoS 1            {}", storm.messages)?;
        writeln!(f, "publishing tasks             {}", storm.publishers)?;
        writeln!(f, "broker restarts by SIGTERM   {}", storm.restarts)?;
        writeln!(f, "  with its store removed     {}", storm.wipes)?;
        writeln!(f, "connections                  {}", counters.connections)?;
        writeln!(f, "cuts by the proxy            {}", counters.cuts)?;
        writeln!(
            f,
            "  in a packet to the broker  {}",
            counters.cuts_in_packet_to_broker
        )?;
        writeln!(
            f,
            "  in a packet to the client  {}",
            counters.cuts_in_packet_to_client
        )?;
        writeln!(
            f,
            "  with messages in flight    {}",
            counters.cuts_in_flight
        )?;
        writeln!(f, "PUBLISH seen                 {}", counters.publishes)?;
        writeln!(f, "  of these with DUP          {}", counters.repeats)?;
        writeln!(f, "PUBACK seen                  {}", counters.pubacks)?;
        writeln!(f, "re-sent, says the client     {}", stats.resent)?;
        write!(f, "{verdict}")
    }
}

/// Comes back at once, so that a storm is over soon.
fn options(proxy: &Proxy) -> ConnectOptions {
    ConnectOptions::new(Address::from(proxy.address()))
        .client_id("storm")
        .first_connect(FirstConnect::KeepTrying)
        .backoff(
            BackoffOptions::default()
                .min(Duration::from_millis(1))
                .max(Duration::from_millis(20)),
        )
}
