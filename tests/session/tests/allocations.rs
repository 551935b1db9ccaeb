//! The engine allocates nothing: neither per packet nor by a length that a peer declares.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mqtt_codec::session::{
    Config, Content, FixedStorage, Identity, Input, Instant, Outgoing, Session,
};
use mqtt_codec::wire::{ClientId, QoS, Retain, TopicFilter, TopicName};

/// Counts the allocations of each thread, since the test harness has threads of its own.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// unsafe by its trait; it passes everything on
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[derive(Debug)]
enum Item {
    Publish,
    Subscribe,
}

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Publish => Content::Publish {
                topic: TopicName::new("sensors/1/temp").unwrap(),
                retain: Retain::No,
                payload_len: 64,
            },
            Self::Subscribe => Content::Subscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        let filter = TopicFilter::new("sensors/+/temp").unwrap();
        (index == 0).then_some((filter, QoS::AtLeastOnce))
    }
}

type Fixed = Session<FixedStorage<Item, 16, 2, 16>>;

const NOW: Instant = Instant::ZERO;

fn connect(session: &mut Fixed) {
    let identity = Identity {
        client_id: ClientId::new("c").unwrap(),
        login: None,
        will: None,
    };
    let len = session.open(NOW, &identity, &mut [0; 64]).unwrap();
    session.handle_written(NOW, len);
    session.handle_input(NOW, &[0x20, 2, 1, 0]).unwrap();
    session.renew(None).unwrap();
}

fn transmit(session: &mut Fixed) {
    while let Some(transmit) = session.poll_transmit() {
        let payload = transmit.payload.map_or(0, |range| range.len as usize);
        let n = transmit
            .bytes
            .iter()
            .map(|bytes| bytes.len())
            .sum::<usize>()
            + payload;
        session.advance(n);
        session.handle_written(NOW, n);
    }
}

#[test]
fn a_life_with_cuts_allocates_nothing() {
    let mut session = Fixed::new(Config::new(), FixedStorage::new());
    let count = allocations(|| {
        for _ in 0..100 {
            connect(&mut session);
            let subscribe = session.enqueue(Item::Subscribe).unwrap();
            for _ in 0..10 {
                session.enqueue(Item::Publish).unwrap();
            }
            transmit(&mut session);
            session.handle_closed();
            connect(&mut session);
            transmit(&mut session);
            let [high, low] = subscribe.get().to_be_bytes();
            session.handle_input(NOW, &[0x90, 3, high, low, 1]).unwrap();
            while session.in_flight() > 0 {
                let oldest = (1..=64_511).find(|&id| {
                    let [high, low] = u16::to_be_bytes(id);
                    let puback = [0x40, 2, high, low];
                    let (_, input) = session.handle_input(NOW, &puback).unwrap();
                    matches!(input, Some(Input::Acknowledged { .. }))
                });
                assert!(oldest.is_some());
            }
            let message = [0x32, 7, 0, 1, b't', 0, 1, b'x', b'y'];
            let (_, input) = session.handle_input(NOW, &message).unwrap();
            let Some(Input::Message(message)) = input else {
                panic!("a message");
            };
            session.acknowledge(message.token.unwrap());
            session.handle_timeout(NOW).unwrap();
            session.poll_timeout(NOW);
            transmit(&mut session);
            session.handle_closed();
        }
    });
    assert_eq!(count, 0);
    assert!(session.is_idle());
}

#[test]
fn a_declared_length_makes_no_allocation() {
    let hostile: [&[u8]; 4] = [
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b't', 1, 2, 3],
        &[0x90, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x32, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, b't'],
    ];
    for bytes in hostile {
        let mut session = Fixed::new(Config::new(), FixedStorage::new());
        connect(&mut session);
        let count = allocations(|| {
            let result = session.handle_input(NOW, bytes);
            drop(result);
        });
        assert_eq!(count, 0, "{bytes:02x?}");
    }
}
