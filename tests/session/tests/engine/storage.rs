//! Capacities: growth, bounds, and none at all.

use mqtt_codec::session::{
    AckSlot, Config, Content, EnqueueReason, Error, FixedStorage, Input, Instant, Kind, Outgoing,
    Session, Slot, Storage, Violation,
};
use mqtt_codec::wire::{PacketId, QoS, SessionPresent, TopicFilter};
use testkit::{Brought, GrowingStorage, Item, Pair, Script};

use crate::{config, connect, secs};

fn with(storage: GrowingStorage) -> Script {
    let mut script = Script::with_storage(Config::new(), storage);
    script.connect(SessionPresent::Present);
    script
}

fn ack(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x40, 2, high, low]
}

fn message(id: u16) -> [u8; 7] {
    let [high, low] = id.to_be_bytes();
    [0x32, 5, 0, 1, b't', high, low]
}

#[test]
fn publishes_grow_up_to_the_bound_and_keep_order_and_ids() {
    let mut script = with(GrowingStorage::growing(10, 2, 2));
    let mut next = 1;
    let mut oldest = 1;
    for _ in 0..200 {
        while !script.session.is_full() {
            assert_eq!(script.enqueue(Item::numbered(next)).get(), next as u16);
            next += 1;
        }
        script.transmit();
        // the head moves within the slice, so that growing has to turn it
        for _ in 0..3 {
            let brought = script.receive(&ack(oldest as u16)).unwrap();
            let id = PacketId::new(oldest as u16).unwrap();
            assert_eq!(brought, [Brought::Acknowledged(id, Item::numbered(oldest))]);
            oldest += 1;
        }
    }
    assert_eq!(next - oldest, 7);
}

#[test]
fn is_full_tells_the_truth_before_growth_too() {
    let mut script = Script::with_storage(Config::new(), GrowingStorage::growing(3, 1, 1));
    for n in 0..3 {
        assert!(!script.session.is_full());
        script.enqueue(Item::numbered(n));
    }
    assert!(script.session.is_full());
    assert_eq!(script.refusal(Item::numbered(3)), Some(EnqueueReason::Full));
}

#[test]
fn acks_grow_up_to_the_bound_and_keep_their_order() {
    let mut script = with(GrowingStorage::growing(1, 1, 6));
    let mut tokens = Vec::new();
    for id in 1..=6 {
        assert!(!script.session.is_ack_full());
        let brought = script.receive(&message(id)).unwrap();
        tokens.push(brought[0].token().unwrap());
        if id == 2 {
            script.acknowledge(tokens[0]);
            assert_eq!(script.transmit(), ack(1));
        }
    }
    let brought = script.receive(&message(7)).unwrap();
    tokens.push(brought[0].token().unwrap());
    assert!(script.session.is_ack_full());
    assert_eq!(script.receive(&message(8)), Ok(vec![Brought::Blocked]));
    for token in tokens.drain(1..).rev() {
        assert!(script.acknowledge(token));
    }
    let sent: Vec<u8> = script.transmit();
    assert_eq!(sent, (2..=7).flat_map(ack).collect::<Vec<_>>());
}

#[test]
fn a_message_blocked_for_want_of_an_ack_slot_comes_when_one_is_free() {
    let mut script = with(GrowingStorage::fixed(1, 1, 2));
    let first = script.receive(&message(1)).unwrap()[0].token().unwrap();
    script.receive(&message(2)).unwrap();
    assert!(script.session.is_ack_full());
    assert_eq!(script.receive(&message(3)), Ok(vec![Brought::Blocked]));
    assert_eq!(script.receive(&[]), Ok(vec![Brought::Blocked]));
    script.acknowledge(first);
    assert_eq!(script.transmit(), ack(1));
    assert!(!script.session.is_ack_full());
    assert!(script.receive(&[]).unwrap()[0].token().is_some());
}

#[test]
fn qos0_is_received_while_all_ack_slots_are_taken() {
    let mut script = with(GrowingStorage::fixed(1, 1, 1));
    script.receive(&message(1)).unwrap();
    let brought = script.receive(&[0x30, 3, 0, 1, b't']).unwrap();
    assert!(matches!(
        brought[..],
        [Brought::Message { token: None, .. }]
    ));
}

#[test]
fn without_control_slots_publishing_works() {
    let mut pair = Pair::with_storage(Config::new(), GrowingStorage::fixed(2, 0, 2));
    pair.enqueue(Item::numbered(1));
    pair.run_to_idle();
    assert_eq!(
        pair.try_enqueue(Item::subscribe("a")),
        Err(EnqueueReason::Full)
    );
    assert!(pair.session.is_control_full());
    pair.assert_sound();
}

#[test]
fn without_publish_slots_subscribing_works() {
    let mut pair = Pair::with_storage(Config::new(), GrowingStorage::fixed(0, 1, 1));
    pair.declare("m");
    pair.run_for(secs(1));
    pair.broker_publishes("m", "1");
    pair.run_for(secs(1));
    assert_eq!(pair.received(), ["1"]);
    assert!(pair.session.is_full());
    assert_eq!(
        pair.try_enqueue(Item::numbered(1)),
        Err(EnqueueReason::Full)
    );
}

#[test]
fn without_ack_slots_qos1_messages_are_discarded_unacknowledged_and_others_come() {
    let mut script = with(GrowingStorage::fixed(0, 0, 0));
    assert!(!script.session.is_ack_full());
    let brought = script.receive(&message(1)).unwrap();
    assert_eq!(
        brought,
        [Brought::Discarded {
            remaining_length: 5
        }]
    );
    let brought = script.receive(&[0x30, 3, 0, 1, b't']).unwrap();
    assert!(matches!(brought[..], [Brought::Message { .. }]));
    assert_eq!(script.transmit(), []);
}

#[test]
fn fixed_storage_of_no_size_connects_pings_and_disconnects() {
    let mut session = Session::new(Config::new(), FixedStorage::<Item, 0, 0, 0>::new());
    connect(&mut session, 0);
    assert!(session.wants_renewal());
    session.renew(None).unwrap();
    assert!(session.poll_transmit().is_none());
    assert_eq!(
        session.enqueue(Item::numbered(1)).unwrap_err().reason,
        EnqueueReason::Full
    );
    session.disconnect();
    assert!(session.poll_transmit().is_some());
}

#[test]
fn slots_beyond_the_packet_ids_are_neither_used_nor_asked_for() {
    let storage = GrowingStorage::fixed(70_000, 1, 70_000);
    let mut script = Script::with_storage(config(|config| config.window = u16::MAX), storage);
    script.connect(SessionPresent::Present);
    for round in 0..2 {
        for n in 1..=64_511 {
            assert_eq!(script.enqueue(Item::numbered(0)).get(), n);
        }
        assert!(script.session.is_full());
        assert_eq!(script.refusal(Item::numbered(1)), Some(EnqueueReason::Full));
        script.transmit();
        for id in 1..=64_511 {
            assert_eq!(script.receive(&ack(id)).unwrap().len(), 1, "{id}, {round}");
        }
    }
}

#[test]
fn more_ack_slots_than_packet_ids_wrap_as_they_should() {
    let mut script = with(GrowingStorage::fixed(0, 0, 70_000));
    for n in 0..70_000_u32 {
        let id = (n % 65_535) as u16 + 1;
        let token = script.receive(&message(id)).unwrap()[0].token().unwrap();
        assert!(script.acknowledge(token));
        assert_eq!(script.transmit(), ack(id));
    }
}

#[test]
fn mqtt_3_8_3_3_and_3_10_3_2_a_packet_without_filter_is_refused() {
    let mut script = Script::new(Config::new());
    let no_filter = Some(EnqueueReason::NoFilter);
    assert_eq!(script.refusal(Item::Subscribe(vec![])), no_filter);
    assert_eq!(script.refusal(Item::Unsubscribe(vec![])), no_filter);
}

#[test]
fn a_subscribe_at_qos2_is_refused() {
    let mut script = Script::new(Config::new());
    let item = Item::Subscribe(vec![
        ("a".into(), QoS::AtLeastOnce),
        ("b".into(), QoS::ExactlyOnce),
    ]);
    assert_eq!(script.refusal(item), Some(EnqueueReason::ExactlyOnce));
}

#[test]
fn a_subscribe_whose_answer_would_not_fit_the_receive_buffer_is_refused() {
    let mut script = Script::connected(config(|config| config.receive_buffer = 16));
    let subscribe = |n| Item::Subscribe(vec![("a".into(), QoS::AtMostOnce); n]);
    let too_many = Some(EnqueueReason::TooManyFilters);
    assert_eq!(script.refusal(subscribe(10)), too_many);
    script.enqueue(subscribe(9));
    script.transmit();
    // the longest form of the remaining length, in exactly 16 bytes
    let mut suback = vec![0x90, 0x8B, 0x80, 0x80, 0, 0xFC, 0];
    suback.extend([0; 9]);
    assert_eq!(script.receive(&suback).unwrap().len(), 1);
}

#[test]
fn a_packet_over_the_protocols_limit_is_refused() {
    struct Huge(u32);
    impl Outgoing for Huge {
        fn content(&self) -> Content<'_> {
            Content::Publish {
                topic: "t".try_into().unwrap(),
                retain: mqtt_codec::wire::Retain::No,
                payload_len: self.0,
            }
        }
        fn filter(&self, _: usize) -> Option<(TopicFilter<'_>, QoS)> {
            None
        }
    }
    let mut session = Session::new(Config::new(), FixedStorage::<Huge, 4, 0, 0>::new());
    let most = 268_435_455 - 2 - 1 - 2;
    assert!(session.enqueue(Huge(most)).is_ok());
    for len in [most + 1, u32::MAX - 5, u32::MAX] {
        let refused = session.enqueue(Huge(len)).err().map(|error| error.reason);
        assert_eq!(refused, Some(EnqueueReason::PacketTooLong));
    }
}

/// A handle that promises so many filters at most, whatever it holds.
struct Bounded<const MAX: usize>(Item);

impl<const MAX: usize> Outgoing for Bounded<MAX> {
    const MAX_FILTERS: usize = MAX;

    fn content(&self) -> Content<'_> {
        self.0.content()
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        self.0.filter(index)
    }
}

/// What is sent of a SUBSCRIBE for three filters, `a`, `b` and `c`, and what an answer of so many codes brings: how many,
/// or an error.
fn subscribe_bounded<const MAX: usize>(codes: u8) -> (Vec<u8>, Result<usize, Error>) {
    let mut session = Session::new(Config::new(), FixedStorage::<Bounded<MAX>, 0, 1, 0>::new());
    let now = Instant::ZERO;
    connect(&mut session, 0);
    let filters = ["a", "b", "c"].map(|filter| (filter.into(), QoS::AtMostOnce));
    let handle = Bounded(Item::Subscribe(filters.into()));
    session.renew(Some(handle)).ok().unwrap();
    let mut sent = Vec::new();
    while let Some(transmit) = session.poll_transmit() {
        let bytes = transmit.bytes.concat();
        session.advance(bytes.len());
        sent.extend(bytes);
    }
    let mut suback = vec![0x90, 2 + codes, 0xFC, 0];
    suback.resize(4 + usize::from(codes), 0);
    let brought = session.handle_input(now, &suback).map(|(_, input)| {
        let Some(Input::Subscribed { codes, .. }) = input else {
            panic!("no answer");
        };
        codes.count()
    });
    (sent, brought)
}

#[test]
fn filters_beyond_those_promised_are_not_sent() {
    let error = |violation| Err(Error::Protocol(violation));
    let (a, b) = ([0, 1, b'a', 0], [0, 1, b'b', 0]);

    let one = [&[0x82, 6, 0xFC, 0][..], &a].concat();
    assert_eq!(subscribe_bounded::<1>(1), (one.clone(), Ok(1)));
    let impossible = error(Violation::ImpossibleLength);
    assert_eq!(subscribe_bounded::<1>(2), (one, impossible));

    let two = [&[0x82, 10, 0xFC, 0][..], &a, &b].concat();
    assert_eq!(subscribe_bounded::<2>(2), (two.clone(), Ok(2)));
    let count = error(Violation::SubAckCount);
    assert_eq!(subscribe_bounded::<2>(1), (two, count));

    assert_eq!(subscribe_bounded::<10>(3).1, Ok(3));
}

#[test]
fn a_handle_that_promises_no_filters_is_refused_as_one_without() {
    let mut session = Session::new(Config::new(), FixedStorage::<Bounded<0>, 0, 1, 0>::new());
    let refused = session.enqueue(Bounded(Item::subscribe("a"))).err();
    assert_eq!(
        refused.map(|error| error.reason),
        Some(EnqueueReason::NoFilter)
    );
}

/// Storage of a board: the settings are lent, and it tells the receive buffer.
struct Lent(GrowingStorage);

impl Storage for Lent {
    type Handle = Item;
    type Settings = &'static Config;

    fn receive_buffer(&self, _: &Config) -> u32 {
        16
    }

    fn slots(&mut self, kind: Kind) -> &mut [Slot<Item>] {
        self.0.slots(kind)
    }

    fn acks(&mut self) -> &mut [AckSlot] {
        self.0.acks()
    }
}

#[test]
fn the_receive_buffer_that_storage_tells_replaces_that_of_the_settings() {
    static CONFIG: Config = Config::new();
    let mut session = Session::new(&CONFIG, Lent(GrowingStorage::fixed(0, 2, 0)));
    assert!(std::ptr::eq(session.config(), &CONFIG));
    let subscribe = |filters| Item::Subscribe(vec![("a".into(), QoS::AtMostOnce); filters]);
    let refused = session.enqueue(subscribe(10)).map_err(|error| error.reason);
    assert_eq!(refused, Err(EnqueueReason::TooManyFilters));
    assert!(session.enqueue(subscribe(9)).is_ok());
}
