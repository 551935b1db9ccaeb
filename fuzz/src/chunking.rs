//! The same bytes from a broker, in any pieces: the session brings the same and answers the same.

use std::num::NonZeroU16;

use mqtt_codec::session::{
    Config, Content, Error, FixedStorage, Identity, Input, Instant, Message, Outgoing, Oversized,
    Session,
};
use mqtt_codec::wire::{
    ClientId, Packet, PacketId, QoS, Retain, SubAckCode, TopicFilter, TopicName,
};

use crate::source::Source;

/// The input is settings, the lengths of the pieces, and the broker's bytes; see `examples/seeds.rs`.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let settings = Settings {
        receive_buffer: source.pick([16, 24, 64, 1_024]),
        max_incoming: source.pick([268_435_455, 30, 200]),
        oversized: source.pick([Oversized::Acknowledge, Oversized::Close]),
    };
    let count = source.u8().into();
    let pieces = source.bytes(count);
    let stream = source.rest();
    let whole = play(settings, &[], stream);
    judge(&whole, stream);
    assert_eq!(play(settings, pieces, stream), whole);
    assert_eq!(play(settings, &[1; 256], stream), whole);
}

#[derive(Clone, Copy)]
struct Settings {
    receive_buffer: u32,
    max_incoming: u32,
    oversized: Oversized,
}

/// What a connection brought, however it was cut.
#[derive(Debug, PartialEq)]
enum Happened {
    Connected(mqtt_codec::wire::SessionPresent),
    Message {
        topic: String,
        qos: QoS,
        retain: Retain,
        dup: mqtt_codec::wire::Dup,
        payload: Vec<u8>,
        payload_len: u32,
    },
    Oversized {
        topic: Option<String>,
        remaining_length: u32,
    },
    Acknowledged(PacketId, u8),
    Subscribed(u8, Vec<SubAckCode>),
    Unsubscribed(u8),
    Unexpected(mqtt_codec::wire::PacketType),
    Ended(Error),
}

#[derive(Debug, Default, PartialEq)]
struct Played {
    happened: Vec<Happened>,
    sent: Vec<u8>,
}

/// Feeds `stream` in pieces of the given lengths, again and again; in one piece if there are none.
fn play(settings: Settings, pieces: &[u8], stream: &[u8]) -> Played {
    let mut config = Config::new();
    config.keep_alive = NonZeroU16::new(60);
    config.window = 2;
    config.receive_buffer = settings.receive_buffer;
    config.max_incoming = settings.max_incoming;
    config.oversized = settings.oversized;
    let mut session = Session::new(config, FixedStorage::<Item, 4, 2, 2>::new());
    for item in [
        Item(0),
        Item(1),
        Item(2),
        Item(SUBSCRIBE),
        Item(UNSUBSCRIBE),
    ] {
        session.enqueue(item).expect("there is room");
    }
    let identity = Identity {
        client_id: ClientId::new("c").unwrap(),
        login: None,
        will: None,
    };
    let mut out = [0; 64];
    let connect = session.open(Instant::ZERO, &identity, &mut out).unwrap();
    session.handle_written(Instant::ZERO, connect);

    let mut played = Played::default();
    let mut buffer = Vec::new();
    let mut stream = stream;
    let mut pieces = pieces.iter().cycle();
    while !stream.is_empty() {
        let piece = pieces.next().map_or(stream.len(), |&len| len.max(1).into());
        let (mut arrived, behind) = stream.split_at(piece.min(stream.len()));
        stream = behind;
        while !arrived.is_empty() {
            let room = settings.receive_buffer as usize - buffer.len();
            assert!(
                room > 0,
                "the session neither takes nor needs more than its buffer"
            );
            let (read, unread) = arrived.split_at(room.min(arrived.len()));
            buffer.extend(read);
            arrived = unread;
            if let Err(error) = take(&mut session, &mut buffer, &mut played) {
                played.happened.push(Happened::Ended(error));
                return played;
            }
        }
    }
    played
}

/// The messages are those that the packets of the stream hold, as far as it was followed.
fn judge(played: &Played, stream: &[u8]) {
    let mut brought = played.happened.iter().filter(|happened| {
        matches!(
            happened,
            Happened::Message { .. } | Happened::Oversized { .. }
        )
    });
    let mut rest = stream;
    while let Ok(Some((packet, len))) = Packet::decode(rest) {
        rest = &rest[len..];
        let Packet::Publish(publish) = packet else {
            continue;
        };
        match brought.next() {
            Some(Happened::Message { topic, payload, .. }) => {
                assert_eq!(topic.as_bytes(), publish.topic.as_bytes());
                assert_eq!(payload, publish.payload);
            }
            Some(Happened::Oversized {
                remaining_length, ..
            }) => {
                assert!(*remaining_length as usize > publish.payload.len());
            }
            _ => {
                let end = played.happened.last();
                assert!(
                    matches!(end, Some(Happened::Ended(_))),
                    "a message is missing"
                );
                return;
            }
        }
    }
    // What is still arriving may have been brought in part. What is malformed may have been skipped unseen.
    let is_malformed = Packet::decode(rest).is_err();
    assert!(
        is_malformed || brought.count() <= 1,
        "a message that was never sent"
    );
}

type Engine = Session<FixedStorage<Item, 4, 2, 2>>;

fn take(session: &mut Engine, buffer: &mut Vec<u8>, played: &mut Played) -> Result<(), Error> {
    let mut start = 0;
    loop {
        let (consumed, input) = session.handle_input(Instant::ZERO, &buffer[start..])?;
        assert!(
            consumed > 0 || input.is_none(),
            "brings {input:?} again and again"
        );
        if consumed == 0 {
            break;
        }
        if let Some(input) = input {
            note(session, input, &mut played.happened);
        }
        start += consumed;
        while session.wants_renewal() {
            session.renew(None).expect("nothing to refuse");
        }
        transmit(session, &mut played.sent);
    }
    buffer.drain(..start);
    Ok(())
}

fn note(session: &mut Engine, input: Input<'_, Item>, happened: &mut Vec<Happened>) {
    happened.push(match input {
        Input::Connected { session } => Happened::Connected(session),
        Input::Message(message) => return note_message(session, message, happened),
        Input::Payload { bytes, left } => {
            let Some(Happened::Message {
                payload,
                payload_len,
                ..
            }) = happened.last_mut()
            else {
                panic!("payload without message");
            };
            payload.extend(bytes);
            assert_eq!(*payload_len as usize, payload.len() + left as usize);
            return;
        }
        Input::Oversized {
            topic,
            remaining_length,
        } => Happened::Oversized {
            topic: topic.map(|topic| topic.to_string()),
            remaining_length,
        },
        Input::Acknowledged { id, handle } => Happened::Acknowledged(id, handle.0),
        Input::Subscribed { handle, codes } => Happened::Subscribed(handle.0, codes.collect()),
        Input::Unsubscribed { handle } => Happened::Unsubscribed(handle.0),
        Input::Unexpected(packet_type) => Happened::Unexpected(packet_type),
        other => panic!("{other:?} although every message is acknowledged at once"),
    });
}

fn note_message(session: &mut Engine, message: Message<'_>, happened: &mut Vec<Happened>) {
    assert!(message.payload.len() <= message.payload_len as usize);
    if let Some(token) = message.token {
        assert!(session.acknowledge(token));
    }
    happened.push(Happened::Message {
        topic: message.topic.to_string(),
        qos: message.qos,
        retain: message.retain,
        dup: message.dup,
        payload: message.payload.to_vec(),
        payload_len: message.payload_len,
    });
}

fn transmit(session: &mut Engine, sent: &mut Vec<u8>) {
    while let Some(transmit) = session.poll_transmit() {
        let before = sent.len();
        sent.extend(transmit.bytes.concat());
        if let Some(range) = transmit.payload {
            sent.extend(vec![range.handle.0; range.len as usize]);
        }
        let len = sent.len() - before;
        session.advance(len);
        session.handle_written(Instant::ZERO, len);
    }
}

/// A message of three bytes, unless it is one of the two below.
#[derive(Clone, Copy, Debug)]
struct Item(u8);

const SUBSCRIBE: u8 = 254;
const UNSUBSCRIBE: u8 = 255;

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self.0 {
            SUBSCRIBE => Content::Subscribe,
            UNSUBSCRIBE => Content::Unsubscribe,
            _ => Content::Publish {
                topic: TopicName::new("t").unwrap(),
                retain: Retain::No,
                payload_len: 3,
            },
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        let filter = TopicFilter::new("f/#").unwrap();
        (index < 2).then_some((filter, QoS::AtLeastOnce))
    }
}
