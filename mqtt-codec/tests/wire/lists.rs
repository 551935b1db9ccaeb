use mqtt_codec::wire::{
    EncodeError, Packet, QoS, SubAck, SubAckCode, Subscribe, TopicFilter, Unsubscribe,
};

use super::vectors::{SUBACK, SUBACK_ONE, SUBSCRIBE, SUBSCRIBE_ONE, UNSUBSCRIBE, id};

fn filter(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).unwrap()
}

const CODES: [SubAckCode; 4] = [
    SubAckCode::Granted(QoS::AtMostOnce),
    SubAckCode::Granted(QoS::AtLeastOnce),
    SubAckCode::Granted(QoS::ExactlyOnce),
    SubAckCode::Failure,
];

#[test]
fn subscribe_carries_its_filters_in_order() {
    let filters = [
        (filter("a/+"), QoS::AtLeastOnce),
        (filter("#"), QoS::ExactlyOnce),
        (filter("$SYS/x"), QoS::AtMostOnce),
    ];
    let subscribe = Subscribe::new(id(10), filters.iter().copied()).unwrap();
    let mut out = [0; 64];
    assert_eq!(subscribe.encoded_len(), Ok(SUBSCRIBE.len()));
    assert_eq!(subscribe.encode(&mut out), Ok(SUBSCRIBE.len()));
    assert_eq!(&out[..SUBSCRIBE.len()], SUBSCRIBE);
    let Ok(Some((Packet::Subscribe(decoded), _))) = Packet::decode(SUBSCRIBE) else {
        panic!("no SUBSCRIBE");
    };
    assert_eq!(decoded.id(), id(10));
    assert_eq!(decoded.filters().collect::<Vec<_>>(), filters);
}

#[test]
fn subscribe_takes_the_largest_id_and_one_filter() {
    let filters = [(filter("a"), QoS::AtMostOnce)];
    let subscribe = Subscribe::new(id(65_535), filters).unwrap();
    let mut out = [0; 8];
    assert_eq!(subscribe.encode(&mut out), Ok(8));
    assert_eq!(out, SUBSCRIBE_ONE);
    let too_small = Err(EncodeError::BufferTooSmall { needed: 8 });
    assert_eq!(subscribe.encode(&mut out[..7]), too_small);
}

#[test]
fn suback_carries_a_code_for_each_filter_mqtt_3_9_3_1() {
    let suback = SubAck::new(id(10), CODES).unwrap();
    let mut out = [0; 8];
    assert_eq!(suback.encoded_len(), Ok(8));
    assert_eq!(suback.encode(&mut out), Ok(8));
    assert_eq!(out, SUBACK);
    let Ok(Some((Packet::SubAck(decoded), 8))) = Packet::decode(SUBACK) else {
        panic!("no SUBACK");
    };
    assert_eq!(decoded.id(), id(10));
    assert_eq!(decoded.codes().len(), 4);
    assert_eq!(decoded.codes().collect::<Vec<_>>(), CODES);
    let Ok(Some((Packet::SubAck(one), _))) = Packet::decode(SUBACK_ONE) else {
        panic!("no SUBACK");
    };
    assert_eq!(one.id(), id(256));
    assert_eq!(one.codes().collect::<Vec<_>>(), CODES[1..2]);
}

#[test]
fn unsubscribe_carries_its_filters_in_order() {
    let filters = [filter("a/+"), filter("$share/g/b")];
    let unsubscribe = Unsubscribe::new(id(10), filters).unwrap();
    let mut out = [0; 64];
    assert_eq!(unsubscribe.encoded_len(), Ok(UNSUBSCRIBE.len()));
    assert_eq!(unsubscribe.encode(&mut out), Ok(UNSUBSCRIBE.len()));
    assert_eq!(&out[..UNSUBSCRIBE.len()], UNSUBSCRIBE);
    let Ok(Some((Packet::Unsubscribe(decoded), _))) = Packet::decode(UNSUBSCRIBE) else {
        panic!("no UNSUBSCRIBE");
    };
    assert_eq!(decoded.id(), id(10));
    assert_eq!(decoded.filters().collect::<Vec<_>>(), filters);
}

#[test]
fn cannot_be_built_empty_mqtt_3_8_3_3_and_3_10_3_2_and_3_8_4_5() {
    assert!(Subscribe::new(id(1), []).is_none());
    assert!(Unsubscribe::new(id(1), []).is_none());
    assert!(SubAck::new(id(1), []).is_none());
}

#[test]
fn filters_longer_than_the_limit_are_refused_section_2_2_3() {
    let long = "a".repeat(65_535);
    let filters = std::iter::repeat_n((filter(&long), QoS::AtMostOnce), 4_097);
    let subscribe = Subscribe::new(id(1), filters).unwrap();
    assert_eq!(subscribe.encoded_len(), Err(EncodeError::PacketTooLong));
    assert_eq!(subscribe.encode(&mut []), Err(EncodeError::PacketTooLong));
}
