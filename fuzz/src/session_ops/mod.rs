//! Commands, input, time, partial writes and cuts in any order, against a model of what the session owes.

mod broker;
mod commands;
mod connection;
mod incoming;
mod item;
mod outgoing;
mod time;
mod world;

use std::num::{NonZeroU8, NonZeroU16};

use mqtt_codec::session::{Config, Duration, Oversized, Start};

use crate::source::Source;
use connection::Verdict;
use world::{Delivered, World};

/// The input is settings and operations, each with its operands; see `examples/seeds.rs`.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new(config(&mut source));
    while !source.is_empty() {
        step(&mut world, &mut source);
        world.judge();
    }
    world.settle();
}

fn config(source: &mut Source<'_>) -> Config {
    let mut config = Config::new();
    config.start = source.pick([Start::Resume, Start::CleanSlate, Start::Transient]);
    config.keep_alive = NonZeroU16::new(source.pick([60, 1, 0, 65_535]));
    config.window = source.pick([100, 1, 2, 0]);
    config.receive_buffer = source.pick([64, 16, 24, 1_024]);
    config.max_incoming = source.pick([268_435_455, 30, 200]);
    config.oversized = source.pick([Oversized::Acknowledge, Oversized::Close]);
    config.max_attempts = NonZeroU8::new(source.pick([0, 1, 3]));
    config.ack_timeout = source.pick([None, Some(Duration::from_secs(5).into())]);
    config
}

fn step(world: &mut World, source: &mut Source<'_>) {
    match source.u8() % 26 {
        0 => world.publish(source.u8(), source.u8()),
        1 => world.subscribe(source.u8()),
        2 => world.unsubscribe(source.u8()),
        3 => world.publish_at_most_once(source.u8()),
        4 => world.open(),
        5 => world.broker_accepts(),
        6 => world.broker_refuses(source.u8()),
        7 => world.broker_forgets(),
        8 => world.broker_publishes(source.u8(), source.u8()),
        9 => world.broker_acknowledges(source.u8()),
        10 => world.broker_sends(&[0xD0, 0]),
        11 => {
            let len = source.u8().into();
            world.broker_sends(source.bytes(len));
        }
        12 => world.deliver(source.u8().into()),
        13 => world.transmit(source.u8().into()),
        14 => world.write(source.u8().into()),
        15 => world.pass(
            Duration::from_millis(u32::from(source.u16()) * 10),
            Delivered::Nothing,
        ),
        16 => world.pass(
            Duration::from_millis(u32::from(source.u16()) * 10),
            Delivered::Output,
        ),
        17 => world.close(),
        18 => world.settle_message(source.u8(), Verdict::Acknowledge),
        19 => world.settle_message(source.u8(), Verdict::GiveUp),
        20 => world.pause(),
        21 => world.resume(),
        22 => world.disconnect(),
        23 => world.abandon(source.u8()),
        24 => match source.u8() & 1 {
            0 => world.renew(None),
            _ => world.renew(Some(source.u8())),
        },
        _ => match source.u8() % 4 {
            0 => world.restart(),
            1 => world.take_oldest(),
            2 => world.drained(),
            _ => world.exchange(),
        },
    }
}
