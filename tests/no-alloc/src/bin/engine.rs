//! Drives the engine over any number of connections and makes every call that it offers.
#![no_std]
#![no_main]

use core::num::NonZeroU8;

use mqtt_codec::session::{
    self, AckToken, Backoff, Config, Duration, Error, Event, FixedStorage, Identity, Input, Next,
    Session, Start,
};
use mqtt_codec::wire::{Binary, ClientId, Login, Password, QoS, Retain, TopicName, Utf8Str, Will};
use no_alloc::{Item, any, now, receive, transmit};

no_alloc::entry!(main);

type Board = Session<FixedStorage<Item, 16, 2, 20>>;

fn main() -> ! {
    let mut session = Board::new(config(), FixedStorage::new());
    if let Some(reading) = Item::reading()
        && let Ok(id) = session.enqueue(reading)
    {
        any(session.restore([(id, reading)], id).is_ok());
    }
    let mut backoff = Backoff::new(500, 60_000, Duration::from_secs(10));
    let mut buffer = [0; 512];
    loop {
        let broken = drive(&mut session, &mut backoff, &mut buffer).err();
        if broken.is_some_and(Error::is_terminal) {
            any(());
        }
        session.count_attempt();
        match session.handle_closed() {
            Next::Now => {}
            Next::AfterBackoff => {
                any(backoff.next_delay(now(), any(0)));
            }
            Next::Never => {
                while let Some(undelivered) = session.take_oldest() {
                    any(undelivered);
                }
            }
        }
        report(&mut session);
    }
}

/// One connection, until it ends.
fn drive(session: &mut Board, backoff: &mut Backoff, buffer: &mut [u8; 512]) -> Result<(), Error> {
    let identity = identity();
    let opened = identity.and_then(|identity| session.open(now(), &identity, buffer).ok());
    let Some(connect) = opened else {
        return Ok(());
    };
    transmit(buffer.get(..connect).unwrap_or_default());
    session.handle_written(now(), connect);
    while !session.wants_close() {
        take_input(session, backoff, receive(buffer))?;
        let mut subscription = Item::subscription();
        while session.wants_renewal() {
            any(session.renew(subscription.take()).is_ok());
        }
        command(session);
        give_output(session);
        if let Some(due) = session.poll_timeout(now()) {
            let wait = due - now();
            any(wait.as_micros());
            if wait == Duration::ZERO {
                session.handle_timeout(now())?;
            }
        }
        report(session);
    }
    Ok(())
}

fn take_input(session: &mut Board, backoff: &mut Backoff, mut bytes: &[u8]) -> Result<(), Error> {
    loop {
        let (consumed, input) = session.handle_input(now(), bytes)?;
        match input {
            Some(Input::Connected { .. }) => backoff.handle_connected(now()),
            Some(Input::Message(message)) => {
                transmit(message.topic.as_str().as_bytes());
                transmit(message.payload);
                settle(session, message.token);
            }
            Some(Input::Payload { bytes, left }) => {
                transmit(bytes);
                any(left);
            }
            Some(Input::Oversized {
                remaining_length, ..
            })
            | Some(Input::Discarded { remaining_length }) => {
                any(remaining_length);
            }
            Some(Input::Blocked) => session.handle_paused(),
            Some(Input::Acknowledged { handle, .. } | Input::Unsubscribed { handle }) => {
                any(handle);
            }
            Some(Input::Subscribed { handle, codes }) => {
                any(handle);
                any(codes.count());
            }
            Some(Input::Unexpected(packet_type)) => {
                any(packet_type);
            }
            _ if consumed == 0 => return Ok(()),
            _ => {}
        }
        bytes = bytes.get(consumed..).unwrap_or_default();
    }
}

fn settle(session: &mut Board, token: Option<AckToken>) {
    if let Some(token) = token {
        any(match any(true) {
            true => session.acknowledge(token),
            false => session.give_up(token),
        });
    }
}

fn command(session: &mut Board) {
    let farewell = match Item::subscription() {
        Some(Item::Subscribe(filter)) => Some(Item::Unsubscribe(filter)),
        _ => None,
    };
    for item in [Item::reading(), farewell].into_iter().flatten() {
        if let Ok(id) = session.enqueue(item)
            && session.handle(id).is_some_and(|_| any(false))
        {
            any(session.abandon(id));
        }
    }
    if any(false) {
        session.handle_resumed(now());
    }
    if any(false) {
        session.handle_drained();
    }
    if any(false) {
        session.disconnect();
    }
    any((session.is_connected(), session.may_be_new()));
    any((session.is_idle(), session.is_full()));
    any((session.is_control_full(), session.is_ack_full()));
    any((session.in_flight(), session.waiting()));
    any(session.config().window);
}

fn give_output(session: &mut Board) {
    let mut header = [0; 64];
    if let Some(Item::Publish { topic, payload }) = Item::reading() {
        any(session::publish_len(
            topic,
            QoS::AtMostOnce,
            payload.len() as u32,
        ));
        let begun =
            session.publish_at_most_once(topic, Retain::Yes, payload.len() as u32, &mut header);
        if let Ok(Some(length)) = begun {
            transmit(header.get(..length).unwrap_or_default());
            transmit(payload);
            session.advance(length + payload.len());
            session.handle_written(now(), length + payload.len());
            session.abandon_at_most_once();
        }
    }
    while let Some(next) = session.poll_transmit() {
        let mut length = 0;
        for bytes in next.bytes {
            transmit(bytes);
            length += bytes.len();
        }
        if let Some(range) = next.payload {
            if let Item::Publish { payload, .. } = range.handle {
                transmit(payload.get(range.offset as usize..).unwrap_or_default());
            }
            length += range.len as usize;
        }
        any(next.begins);
        session.advance(length);
        session.handle_written(now(), length);
    }
    session.postpone();
    any(session.accepts_at_most_once());
}

fn report(session: &mut Board) {
    while let Some(event) = session.poll_event() {
        match event {
            Event::Undeliverable { handle, .. } => {
                any(handle);
            }
            Event::Suspect { attempts, .. } => {
                any(attempts);
            }
            _ => {}
        }
    }
    any(session.take_change());
}

fn config() -> Config {
    let mut config = Config::new();
    config.start = any(Start::Resume);
    config.ack_timeout = any(Some(Duration::from_secs(30).into()));
    config.max_attempts = any(NonZeroU8::new(3));
    config.write_timeout = Duration::from_millis(any(5_000)).into();
    config.stall_timeout = Duration::from_micros(any(1_000_000)).into();
    config.receive_buffer = 512;
    any(config.stall_timeout.duration());
    config
}

fn identity() -> Option<Identity<'static>> {
    let login = Login {
        user_name: Utf8Str::new(any("board")).ok()?,
        password: Password::new(any(b"secret")),
    };
    let will = Will {
        topic: TopicName::new(any("boards/1/state")).ok()?,
        payload: Binary::new(any(b"offline"))?,
        qos: QoS::AtLeastOnce,
        retain: Retain::Yes,
    };
    let identity = Identity {
        client_id: ClientId::new(any("board")).ok()?,
        login: any(Some(login)),
        will: any(Some(will)),
    };
    any(identity.connect_len());
    Some(identity)
}
