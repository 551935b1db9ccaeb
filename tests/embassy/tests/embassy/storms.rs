//! Inboxes that come and go in any order, on connections that are cut: nothing hangs, every QoS 1 message is got, and
//! none is left that holds up the acknowledgements of others.
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    rc::Rc,
    time::Duration,
};

use client_tests::{Setup, Start, World};
use embedded_io_async::Read;
use mqtt_client_embassy::{
    CloseReason, Inbox, Limit, Message, Options, PublishError, QoS, Resources, Retain,
    SubscribeError, Unmatched, new,
};
use mqtt_codec::wire::{TopicFilter, TopicName};
use testkit::Random;
use tokio::{
    task::{JoinHandle, spawn_local},
    time::{error::Elapsed, sleep, timeout},
};

mod consumer;
mod ending;
mod known;

use consumer::{Held, Notes, Taken, matches, payload};
use known::Known;

use crate::{
    adapter::{Dialler, leak, options},
    client::{M, TestClient, poll_at_most, run},
};

const QOS: [QoS; 2] = [QoS::AtMostOnce, QoS::AtLeastOnce];
const FILTERS: [&str; 6] = ["a", "b", "+", "a/b", "#", "a/#"];
const TOPICS: [&str; 4] = ["a", "b", "a/b", "c"];
/// As many as take three seconds.
const SEEDS: std::ops::Range<u64> = 100..320;
const STEPS: usize = 60;
/// Longer than all time limits of the client together.
const LONG: Duration = Duration::from_secs(300);
/// What tells messages of the client from those of others.
const OWN: u32 = 1 << 31;

type Outcome<T, E> = JoinHandle<Result<Result<T, E>, Elapsed>>;

/// What a task waits for.
enum Pending {
    Subscribe(&'static str, Outcome<Inbox<'static, M>, SubscribeError>),
    Unsubscribe(&'static str, Outcome<(), SubscribeError>),
    Publish(u32, Outcome<(), PublishError>),
    PublishAtMostOnce(Outcome<(), PublishError>),
    Consume(JoinHandle<Consumed>),
}

impl Pending {
    fn is_finished(&self) -> bool {
        match self {
            Self::Subscribe(_, task) => task.is_finished(),
            Self::Unsubscribe(_, task) => task.is_finished(),
            Self::Consume(task) => task.is_finished(),
            Self::Publish(_, task) | Self::PublishAtMostOnce(task) => task.is_finished(),
        }
    }
}

type Consumed = (Option<Taken>, Vec<Held>);

struct Storm {
    random: Random,
    world: World,
    client: TestClient,
    /// No subscription ends, so that no message is for the inbox of the unmatched.
    is_plain: bool,
    is_closing: bool,
    /// The broker may have subscriptions that the client does not know of.
    may_differ: bool,
    known: Known,
    holds_unmatched: bool,
    start: fn(&World, Options<'static>) -> (TestClient, JoinHandle<CloseReason>),
    options: Options<'static>,
    runner: JoinHandle<CloseReason>,
    is_down: bool,
    /// The session may be lost at any time.
    may_lose: bool,
    inboxes: Vec<Taken>,
    held: Vec<Held>,
    pending: Vec<Pending>,
    /// Messages of the broker at QoS 1 that have to be got, with their topics.
    wanted: BTreeMap<u32, &'static str>,
    published: u32,
    /// Own messages that were accepted and acknowledged.
    acknowledged: BTreeSet<u32>,
    /// How many there may be.
    enqueued: u32,
    notes: Rc<Notes>,
}

fn start_with<
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const TASKS: usize,
>(
    world: &World,
    options: Options<'static>,
) -> (TestClient, JoinHandle<CloseReason>) {
    let resources = Resources::<M, OUTBOX, QUEUE, SUBSCRIPTIONS, 16, 64, TASKS>::new();
    let random = || fastrand::u32(..);
    let parts = new(
        leak(resources),
        leak(options),
        Dialler(world.clone()),
        random,
    );
    let (client, mut runner) = parts.expect("the options are right");
    (client, spawn_local(async move { runner.run().await }))
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let world = World::default();
        let mut random = Random::new(seed);
        world.broker(|broker| {
            broker.max_in_flight = 1 + random.below(8);
            if random.one_in(3) {
                broker.refused_filter = Some(FILTERS[random.below(FILTERS.len())]);
            }
        });
        let start = [
            Start::Resume,
            Start::Resume,
            Start::CleanSlate,
            Start::Transient,
        ][random.below(4)];
        let setup = Setup {
            start,
            keep_trying: true,
            declared: vec![("a", QOS[random.below(2)]); random.below(2)],
            stall_timeout: Duration::from_secs(1),
            backoff: (Duration::from_millis(1), Duration::from_millis(20)),
            ..Setup::default()
        };
        let is_plain = random.one_in(2);
        let unmatched = [Unmatched::Hold, Unmatched::Discard][random.below(2)];
        let options = options(&setup).unmatched(unmatched);
        let start_client: [fn(&World, Options<'static>) -> _; 5] = [
            start_with::<1, 1, 2, 8>,
            start_with::<2, 2, 2, 1>,
            start_with::<3, 3, 3, 8>,
            start_with::<1, 4, 3, 1>,
            start_with::<3, 2, 3, 8>,
        ];
        let start_client = start_client[random.below(5)];
        let log = vec![format!(
            "seed {seed}, {start:?}, {unmatched:?}, declared {:?}",
            setup.declared
        )];
        let (client, runner) = start_client(&world, options.clone());
        Self {
            client,
            random,
            world,
            is_closing: false,
            may_differ: false,
            known: Known::new(&setup.declared),
            holds_unmatched: unmatched == Unmatched::Hold && !is_plain && start == Start::Resume,
            start: start_client,
            options,
            runner,

            is_down: false,
            is_plain: is_plain && start != Start::Transient,
            may_lose: start == Start::Transient,
            inboxes: Vec::new(),
            held: Vec::new(),
            pending: Vec::new(),
            wanted: BTreeMap::new(),
            published: 0,
            acknowledged: BTreeSet::new(),
            enqueued: 0,
            notes: Rc::new(Notes {
                got: RefCell::default(),
                unmatched: RefCell::default(),
                log: RefCell::new(log),
            }),
        }
    }

    fn note(&self, step: impl Debug) {
        self.notes.add(step);
    }

    fn filter(&mut self) -> &'static str {
        FILTERS[self.random.below(FILTERS.len())]
    }

    async fn step(&mut self) {
        match self.random.below(16) {
            0 | 1 => self.subscribe(),
            2 if !self.is_plain => self.unsubscribe(),
            3 if !self.inboxes.is_empty() => {
                let index = self.random.below(self.inboxes.len());
                let taken = self.inboxes.swap_remove(index);
                self.note(("drop", taken.filter));
            }
            4 | 5 => self.publish(),
            6 | 7 => self.publish_own(),
            8..=10 if !self.inboxes.is_empty() => self.next().await,
            11 if !self.held.is_empty() => {
                let index = self.random.below(self.held.len());
                let held = self.held.swap_remove(index);
                self.notes.settle(held, self.random.below(5)).await;
            }
            12 => self.cut(),
            13 => {
                let filter = self.filter();
                let inbox = self.client.inbox(filter);
                self.note(("take", filter, &inbox));
                self.take(Some(filter), inbox.ok());
            }
            14 => {
                let inbox = self.client.unmatched();
                self.note(("take the unmatched", &inbox));
                self.take(None, inbox.ok());
            }
            15 if self.holds_unmatched => match self.random.below(3) {
                0 => self.restart(),
                _ => self.refuse(),
            },
            15 if self.random.one_in(4) && !self.pending.is_empty() => {
                let index = self.random.below(self.pending.len());
                self.cancel(index).await;
            }
            _ => {}
        }
        let longest = [0, 0, 3, 30, 3_000][self.random.below(5)];
        sleep(Duration::from_millis(self.random.below(1 + longest) as u64)).await;
        while let Some(index) = self.pending.iter().position(Pending::is_finished) {
            self.join(index).await;
        }
    }

    fn take(&mut self, filter: Option<&'static str>, inbox: Option<Inbox<'static, M>>) {
        let is_manual = self.random.one_in(3);
        self.inboxes.extend(inbox.map(|inbox| Taken {
            filter,
            inbox: match is_manual {
                true => inbox.acknowledging_manually(),
                false => inbox,
            },
            is_manual,
        }));
    }

    fn subscribe(&mut self) {
        let (client, filter) = (self.client, self.filter());
        let qos = QOS[self.random.below(2)];
        self.note(("subscribe", filter, qos));
        let task = spawn_local(timeout(LONG, client.subscribe(filter, qos)));
        self.pending.push(Pending::Subscribe(filter, task));
    }

    fn unsubscribe(&mut self) {
        let (client, filter) = (self.client, self.filter());
        self.note(("unsubscribe", filter));
        let task = spawn_local(timeout(LONG, client.unsubscribe(filter)));
        self.pending.push(Pending::Unsubscribe(filter, task));
    }

    /// Messages for a subscription that is to end need not come.
    fn excuse(&mut self, filter: &str) {
        self.wanted.retain(|_, topic| !matches(filter, topic));
    }

    /// Nor need those that are known of by a subscription that is refused, and else by one that was ended.
    fn excuse_refused(&mut self, filter: &str) {
        let known = &self.known;
        self.wanted
            .retain(|_, topic| !matches(filter, topic) || !known.is_unsubscribed(topic));
    }

    fn cut(&mut self) {
        let bytes = 1 + self.random.below(60);
        match self.random.below(5) {
            0 | 1 => self.world.cut_after_output(bytes),
            2 | 3 => self.world.cut_after_input(bytes),
            _ if self.random.one_in(3) => {
                self.note("forget");
                self.world.broker(|broker| broker.forget_session("client"));
                self.wanted.clear();
            }
            _ if self.random.one_in(3) => {
                self.is_down = !self.is_down;
                self.world.set_down(self.is_down);
            }
            _ => self.world.cut(),
        }
        self.note(("cut", bytes));
    }

    /// From now on the broker refuses another filter, and keeps to what it granted.
    fn refuse(&mut self) {
        let filter = self.filter();
        self.note(("refuse", filter));
        self.world
            .broker(|broker| broker.refused_filter = Some(filter));
        self.known.handle_refused(filter);
        self.may_differ = true;
    }

    /// Another run of the program, in the same session.
    fn restart(&mut self) {
        self.note("restart");
        self.runner.abort();
        self.inboxes.clear();
        self.held.clear();
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Unsubscribe(filter, _) => self.excuse(filter),
                Pending::Consume(task) => task.abort(),
                _ => {}
            }
        }
        (self.client, self.runner) = (self.start)(&self.world, self.options.clone());
        self.may_differ = true;
        let refused = self.world.broker(|broker| broker.refused_filter);
        self.known.restart(refused);
    }

    fn publish(&mut self) {
        for _ in 0..=self.random.below(4) {
            let topic = TOPICS[self.random.below(TOPICS.len())];
            let qos = QOS[self.random.below(3).min(1)];
            let len = [0, 3, 8, 40, 300][self.random.below(5)];
            self.publish_one(topic, qos, len);
        }
    }

    fn publish_one(&mut self, topic: &'static str, qos: QoS, len: usize) {
        let n = self.published;
        self.published += 1;
        let is_ending = |pending: &Pending| matches!(pending, Pending::Unsubscribe(filter, _) if matches(filter, topic));
        let is_ending = self.pending.iter().any(is_ending)
            || self.may_differ && self.known.is_unsubscribed(topic);
        let is_wanted = self.world.broker(|broker| {
            let subscribed = broker.subscriptions("client");
            let mut matching = subscribed.iter().filter(|(f, _)| matches(f, topic));
            broker.publish(topic, &payload(n, len), qos);
            qos == QoS::AtLeastOnce && matching.any(|(_, granted)| *granted == qos)
        });
        if is_wanted && !is_ending && !self.may_lose {
            self.wanted.insert(n, topic);
        }
        self.note(("publish", topic, n, len, qos, is_wanted));
    }

    fn publish_own(&mut self) {
        let client = self.client;
        let topic = TOPICS[self.random.below(TOPICS.len())];
        let n = OWN | self.enqueued;
        let len = [0, 3, 8, 40, 300][self.random.below(5)];
        let payload = payload(n, len);
        let how = self.random.below(3);
        self.note(("publish own", topic, self.enqueued, len, how));
        if how == 0 {
            let publishing = async move {
                client
                    .publish_at_most_once(topic, &payload, Retain::No)
                    .await
            };
            let task = spawn_local(timeout(LONG, publishing));
            return self.pending.push(Pending::PublishAtMostOnce(task));
        }
        self.enqueued += 1;
        let publishing = async move {
            if how == 1 || len > 8 {
                return client.publish_borrowed(topic, &payload, Retain::No).await;
            }
            client.enqueue(topic, &payload, Retain::No).await?.await
        };
        let task = spawn_local(timeout(LONG, publishing));
        self.pending.push(Pending::Publish(n, task));
    }

    async fn cancel(&mut self, index: usize) {
        match self.pending.swap_remove(index) {
            Pending::Subscribe(filter, task) => {
                self.note(("cancel subscribing", filter));
                task.abort();
                // what it has is given back by then
                let _ = task.await;
            }
            Pending::Unsubscribe(filter, task) => {
                // it ends all the same, some time
                self.pending.push(Pending::Unsubscribe(filter, task));
            }
            Pending::Publish(n, task) => {
                self.note(("cancel publishing", n & !OWN));
                // one that was sent without an answer may cost the session
                self.may_lose = true;
                self.wanted.clear();
                task.abort();
            }
            consuming @ Pending::Consume(_) => self.pending.push(consuming),
            Pending::PublishAtMostOnce(task) => {
                self.note("cancel publishing at most once");
                task.abort();
            }
        }
    }

    /// What came of a call.
    async fn join(&mut self, index: usize) {
        let hangs = format!(
            "it hangs: {:#?} of {:#?}",
            self.pending.len(),
            self.notes.log.borrow()
        );
        match self.pending.swap_remove(index) {
            Pending::Subscribe(filter, task) => {
                let result = task.await.unwrap().expect(&hangs);
                self.note(("subscribed", filter, &result));
                self.known.handle_subscribed(filter, &result);
                if self.may_differ && matches!(result, Err(SubscribeError::Refused)) {
                    self.excuse_refused(filter);
                }
                match result {
                    Ok(inbox) => self.take(Some(filter), Some(inbox)),
                    Err(
                        SubscribeError::Taken
                        | SubscribeError::Refused
                        | SubscribeError::Unsubscribed
                        | SubscribeError::Limit(Limit::Subscriptions),
                    ) => {}
                    Err(SubscribeError::Closed) if self.is_closing => {}
                    Err(error) => panic!("{error}: {:#?}", self.notes.log.borrow()),
                }
            }
            Pending::Unsubscribe(filter, task) => {
                let result = task.await.unwrap().expect(&hangs);
                self.note(("unsubscribed", filter, &result));
                self.excuse(filter);
                if result.is_ok() {
                    self.known.handle_unsubscribed(filter);
                }
            }
            Pending::Publish(n, task) => {
                let result = task.await.unwrap().expect(&hangs);
                self.note(("published", n & !OWN, result));
                match result {
                    Err(PublishError::Closed) if self.is_closing => {}
                    result => {
                        self.notes.assert(result.is_ok(), "not published");
                        self.acknowledged.insert(n);
                    }
                }
            }
            Pending::Consume(task) => {
                let (taken, held) = timeout(LONG, task).await.expect(&hangs).unwrap();
                self.inboxes.extend(taken);
                self.held.extend(held);
            }
            Pending::PublishAtMostOnce(task) => {
                let result = task.await.unwrap().expect(&hangs);
                assert!(
                    matches!(
                        result,
                        Ok(()) | Err(PublishError::ConnectionLost | PublishError::Closed)
                    ),
                    "{result:?}: {:#?}",
                    self.notes.log.borrow()
                );
            }
        }
    }

    /// Has a task consume some messages of an inbox.
    async fn next(&mut self) {
        let index = self.random.below(self.inboxes.len());
        let mut taken = self.inboxes.swap_remove(index);
        let (notes, mut random) = (self.notes.clone(), Random::new(self.random.next_u64()));
        let task = spawn_local(async move {
            let mut held = Vec::new();
            let time = Duration::from_millis(random.below(3_000) as u64);
            for _ in 0..random.below(5) {
                match timeout(time, taken.next(&notes)).await {
                    Ok(Some(message)) if random.one_in(3) => held.push(message),
                    Ok(Some(message)) => notes.settle(message, random.below(5)).await,
                    Ok(None) => return (None, held),
                    Err(_) => break,
                }
            }
            (Some(taken), held)
        });
        self.pending.push(Pending::Consume(task));
    }
}

async fn storm(seed: u64) {
    let mut storm = Storm::new(seed).await;
    for _ in 0..STEPS {
        storm.step().await;
    }
    if storm.random.one_in(4) {
        return storm.disconnect().await;
    }
    storm.calm().await;
    storm.assert_consistent();
    for topic in TOPICS {
        storm.publish_one(topic, QoS::AtLeastOnce, 0);
    }
    storm.consume().await;
    storm.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn every_message_is_got_and_acknowledged_whatever_inboxes_come_and_go() {
    for seed in SEEDS {
        run(storm(seed)).await;
    }
}
