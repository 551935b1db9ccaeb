//! Streams that come and go in any order, on connections that are cut: every QoS 1 message is got, and none is left that
//! holds up the acknowledgements of others.
use std::{collections::BTreeSet, fmt::Debug, future::IntoFuture, time::Duration};

use client_tests::{Setup, World};
use mqtt_client::{Client, QoS, Subscription};
use testkit::Random;
use tokio::time::{sleep, timeout};

use crate::adapter::options;

const QOS1: QoS = QoS::AtLeastOnce;
const FILTERS: [&str; 6] = ["a", "b", "+", "a/b", "#", "a/#"];
const TOPICS: [&str; 4] = ["a", "b", "a/b", "c"];
const SEEDS: u64 = 600;
const STEPS: usize = 60;
/// Longer than all time limits of the client together.
const LONG: Duration = Duration::from_secs(300);

struct Storm {
    random: Random,
    world: World,
    client: Client,
    streams: Vec<Subscription>,
    /// Messages that a subscription of the session matched, and how many were published at all.
    wanted: BTreeSet<u32>,
    published: u32,
    got: BTreeSet<u32>,
    log: Vec<String>,
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let world = World::default();
        world.broker(|broker| broker.max_in_flight = 5);
        let mut random = Random::new(seed);
        let setup = Setup {
            declared: vec![("a", QOS1); random.below(2)],
            queue: 1 + random.below(6),
            stall_timeout: Duration::from_secs(1),
            backoff: (Duration::from_millis(1), Duration::from_millis(20)),
            ..Setup::default()
        };
        Self {
            client: Client::connect(options(&world, &setup)).await.unwrap(),
            random,
            world,
            streams: Vec::new(),
            wanted: BTreeSet::new(),
            published: 0,
            got: BTreeSet::new(),
            log: vec![format!("seed {seed}")],
        }
    }

    fn note(&mut self, step: impl Debug) {
        self.log.push(format!("{step:?}"));
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0 => {
                let filter = FILTERS[self.random.below(FILTERS.len())];
                self.note(("subscribe", filter));
                self.subscribe(filter).await;
            }
            1 if !self.streams.is_empty() => {
                let index = self.random.below(self.streams.len());
                let stream = self.streams.swap_remove(index);
                self.note(("drop", stream));
            }
            2 | 3 => self.publish(),
            4 | 5 if !self.streams.is_empty() => {
                let (index, count) = (self.random.below(self.streams.len()), self.random.below(6));
                self.note(("read", index, count));
                self.read(index, count);
            }
            6 => {
                self.note("cut");
                self.world.cut();
            }
            7 => {
                let bytes = 1 + self.random.below(30);
                self.note(("cut after", bytes));
                self.world.cut_after_output(bytes);
            }
            8 => {
                let filter = FILTERS[self.random.below(FILTERS.len())];
                self.note(("take", filter));
                self.streams.extend(self.client.stream(filter));
            }
            _ => {
                self.note("take the default stream");
                self.streams.extend(self.client.default_stream());
            }
        }
        let longest = [0, 10, 3_000][self.random.below(3)];
        sleep(Duration::from_millis(self.random.below(1 + longest) as u64)).await;
    }

    async fn subscribe(&mut self, filter: &str) {
        let subscribing = self.client.subscribe(filter, QOS1).into_future();
        let granted = timeout(LONG, subscribing).await;
        let granted = granted.unwrap_or_else(|_| panic!("subscribing hangs: {:#?}", self.log));
        self.streams.push(granted.unwrap());
    }

    fn publish(&mut self) {
        for _ in 0..=self.random.below(4) {
            let (n, topic) = (self.published, TOPICS[self.random.below(TOPICS.len())]);
            let is_wanted = self.world.broker(|broker| {
                let before = broker.undelivered("client");
                broker.publish(topic, &n.to_be_bytes(), QOS1);
                broker.undelivered("client") > before
            });
            self.published += 1;
            self.wanted.extend(is_wanted.then_some(n));
            self.note(("publish", topic, n, is_wanted));
        }
    }

    /// True if there was anything.
    fn read(&mut self, index: usize, count: usize) -> bool {
        let mut any = false;
        for _ in 0..count {
            let Ok(message) = self.streams[index].try_recv() else {
                break;
            };
            any = true;
            let payload = message.payload().try_into().expect("a number");
            self.got.insert(u32::from_be_bytes(payload));
        }
        any
    }

    /// Every subscription has a stream, and every stream a consumer.
    async fn calm(&mut self) {
        self.world.cut_after_output(usize::MAX);
        sleep(LONG).await;
        for filter in FILTERS {
            self.streams.extend(self.client.stream(filter));
        }
        // asking in vain tells that a stream's last messages are worked off: more may come then
        let mut quiet = 0;
        while quiet < 2 {
            sleep(LONG).await;
            quiet += 1;
            for index in 0..self.streams.len() {
                if self.read(index, usize::MAX) {
                    quiet = 0;
                }
            }
        }
    }
}

#[test]
fn every_message_is_got_and_acknowledged_whatever_streams_come_and_go() {
    for seed in 0..SEEDS {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut storm = Storm::new(seed).await;
            for _ in 0..STEPS {
                storm.step().await;
            }
            storm.calm().await;
            let missing: Vec<_> = storm.wanted.difference(&storm.got).collect();
            assert!(missing.is_empty(), "{missing:?} of {:#?}", storm.log);
            let left = storm.world.broker(|broker| broker.undelivered("client"));
            let queued = storm.client.stats().queued_messages;
            assert_eq!((left, queued), (0, 0), "{:#?}", storm.log);
            storm.world.assert_no_complaints();
        });
    }
}
