//! Long runs of random commands, cuts, stalls and time. A failing seed is the same run again.

use std::collections::BTreeMap;

use mqtt_codec::session::{Config, Duration, Event, Start};
use testkit::{AckOrder, Acknowledging, Brought, GrowingStorage, Item, Pair, Random};

use crate::{config, millis, secs};

/// What the runs have met, all seeds together: a run that meets nothing proves nothing.
#[derive(Debug, Default)]
struct Met {
    accepted: usize,
    repeats: usize,
    cuts: usize,
    lost_sessions: usize,
    stalls: usize,
    received: usize,
    cut_within_a_packet: usize,
}

fn random_config(random: &mut Random, start: Start) -> Config {
    config(|config| {
        config.start = start;
        config.window = 1 + random.below(20) as u16;
        config.receive_buffer = 32 + random.below(200) as u32;
        config.keep_alive = (1 + random.below(20) as u16).try_into().ok();
        config.stall_timeout = secs(1).into();
        config.connect_timeout = secs(5).into();
        config.write_timeout = secs(5).into();
    })
}

fn random_pair(random: &mut Random, start: Start) -> Pair {
    let storage = match random.below(2) {
        0 => GrowingStorage::fixed(1 + random.below(30), 2, 1 + random.below(20)),
        _ => GrowingStorage::growing(40, 2, 20),
    };
    let mut pair = Pair::with_storage(random_config(random, start), storage);
    pair.network.latency = Duration::from_micros(random.below(20_000) as u64);
    pair.network.chunk = [usize::MAX, 1, 7][random.below(3)];
    pair.network.room = [usize::MAX, 1_000, 40][random.below(3)];
    pair.stage_limit = [usize::MAX, 300, 13][random.below(3)];
    pair.step_limit = [usize::MAX, 5][random.below(2)];
    pair.broker.max_in_flight = 1 + random.below(20);
    if random.one_in(2) {
        pair.broker.ack_order = AckOrder::Shuffled(Random::new(random.next_u64()));
    }
    pair.acknowledging = Acknowledging::Consumed;
    pair.queue_limit = 1 + random.below(15);
    pair.declare("m/#");
    pair
}

fn disturb(pair: &mut Pair, random: &mut Random, met: &mut Met) {
    match random.below(24) {
        0 => {
            met.cuts += usize::from(pair.is_open());
            pair.cut();
        }
        1 => {
            pair.network.cut_up_at = Some(pair.arrived_up + 1 + random.below(60));
            met.cut_within_a_packet += 1;
        }
        2 => {
            pair.network.cut_down_at = Some(pair.arrived_down + 1 + random.below(40));
            met.cut_within_a_packet += 1;
        }
        3 => pair.network.is_up_stalled = true,
        4 => pair.network.is_down_stalled = true,
        5 => pair.network.is_down = random.one_in(2),
        6 if random.one_in(3) => {
            pair.broker.forget_session("c");
            met.lost_sessions += 1;
        }
        _ => {
            pair.network.is_up_stalled = false;
            pair.network.is_down_stalled = false;
            pair.network.is_down = false;
        }
    }
}

fn run(seed: u64, start: Start, met: &mut Met) {
    let mut random = Random::new(seed);
    let mut pair = random_pair(&mut random, start);
    let mut accepted = BTreeMap::new();
    let mut from_broker = 0;
    for _ in 0..400 {
        match random.below(8) {
            0..=3 => {
                let n = accepted.len();
                let mut item = Item::numbered(n);
                if let Item::Publish { payload, .. } = &mut item {
                    // of any size, told apart by its beginning
                    payload.push(b' ');
                    payload.resize(payload.len() + random.below(90), b'.');
                }
                if let Ok(id) = pair.try_enqueue(item.clone()) {
                    accepted.insert(n, (id, item));
                }
            }
            4 => drop(pair.try_enqueue(Item::subscribe("other"))),
            5 => drop(pair.publish_at_most_once("q", b"x")),
            6 => {
                let payload = format!("{from_broker} {}", ".".repeat(random.below(300)));
                pair.broker_publishes(&format!("m/{from_broker}"), &payload);
                from_broker += 1;
            }
            _ => pair.consume(random.below(4)),
        }
        disturb(&mut pair, &mut random, met);
        pair.run_for(Duration::from_micros(random.below(60_000) as u64));
    }
    // calm: everything comes to its end
    pair.network.is_up_stalled = false;
    pair.network.is_down_stalled = false;
    pair.network.is_down = false;
    pair.network.cut_up_at = None;
    pair.network.cut_down_at = None;
    for _ in 0..2_000 {
        if pair.session.is_idle() && pair.queue.is_empty() && pair.broker.undelivered("c") == 0 {
            break;
        }
        pair.run_for(millis(100));
        pair.consume(usize::MAX);
    }
    assert!(pair.session.is_idle(), "seed {seed}");
    assert_eq!(pair.broker.complaints(), &[] as &[String], "seed {seed}");
    assert_settled(&pair, &accepted, seed);
    met.accepted += accepted.len();
    met.repeats += pair.tap.repeats();
    met.received += pair.received().len();
    met.stalls += pair
        .events
        .iter()
        .filter(|event| matches!(event, Event::ReadOn))
        .count();
}

/// Every accepted message was acknowledged once, and the broker saw each, first deliveries in order.
fn assert_settled(
    pair: &Pair,
    accepted: &BTreeMap<usize, (mqtt_codec::wire::PacketId, Item)>,
    seed: u64,
) {
    let mut acknowledged = pair.acknowledged();
    let count = acknowledged.len();
    acknowledged.sort();
    acknowledged.dedup();
    assert_eq!(count, acknowledged.len(), "seed {seed}: acknowledged twice");
    let mut all: Vec<_> = accepted
        .values()
        .map(|(_, item)| item.payload().to_vec())
        .collect();
    let mut first = pair.broker.first_deliveries();
    assert_eq!(first, all, "seed {seed}: order of first deliveries");
    first.sort();
    all.sort();
    assert_eq!(acknowledged, all, "seed {seed}: acknowledged");
    let unexpected = |brought: &Brought| matches!(brought, Brought::Unexpected(_));
    assert!(!pair.log.iter().any(unexpected), "seed {seed}");
}

#[test]
fn a_persistent_session_settles_everything_whatever_happens() {
    let mut met = Met::default();
    for seed in 0..50 {
        run(seed, Start::Resume, &mut met);
    }
    assert!(met.accepted > 4_000, "{met:?}");
    assert!(met.repeats > 300, "{met:?}");
    assert!(met.cuts > 300 && met.cut_within_a_packet > 500, "{met:?}");
    assert!(met.lost_sessions > 50 && met.stalls > 5, "{met:?}");
    assert!(met.received > 500, "{met:?}");
}

#[test]
fn a_transient_session_and_a_clean_slate_settle_everything_whatever_happens() {
    let mut met = Met::default();
    for seed in 1_000..1_015 {
        run(seed, Start::Transient, &mut met);
        run(seed, Start::CleanSlate, &mut met);
    }
    assert!(met.accepted > 2_000 && met.cuts > 100, "{met:?}");
}
