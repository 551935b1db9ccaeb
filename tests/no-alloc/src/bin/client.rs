//! What a plain board does, to be compared with other clients: CONNECT with user and password, SUBSCRIBE, publish
//! at QoS 1, receive and acknowledge, ping, reconnect.
#![no_std]
#![no_main]

use mqtt_codec::session::{Config, FixedStorage, Identity, Input, Session};
use mqtt_codec::wire::{ClientId, Login, Password, Utf8Str};
use no_alloc::{Item, any, now, receive, transmit};

no_alloc::entry!(main);

type Memory = FixedStorage<Item, 8, 1, 8>;
type Board = Session<Memory>;

/// What the engine keeps beside the memory that it is given.
const STATE: usize = size_of::<Board>() - size_of::<Memory>();
const _: () = assert!(STATE <= 256, "the state of the engine has grown");

fn main() -> ! {
    let mut session = Board::new(Config::new(), FixedStorage::new());
    let mut buffer = [0; 1024];
    loop {
        any(drive(&mut session, &mut buffer).is_some());
        any(session.handle_closed());
    }
}

fn identity() -> Option<Identity<'static>> {
    let login = Login {
        user_name: Utf8Str::new(any("board")).ok()?,
        password: Password::new(any(b"secret")),
    };
    Some(Identity {
        client_id: ClientId::new(any("board")).ok()?,
        login: Some(login),
        will: None,
    })
}

/// One connection, until it ends.
fn drive(session: &mut Board, buffer: &mut [u8; 1024]) -> Option<()> {
    let mut subscription = Item::subscription();
    let reading = Item::reading()?;
    let connect = session.open(now(), &identity()?, buffer).ok()?;
    transmit(buffer.get(..connect).unwrap_or_default());
    session.handle_written(now(), connect);
    while !session.wants_close() {
        let mut bytes = receive(buffer);
        loop {
            let (consumed, input) = session.handle_input(now(), bytes).ok()?;
            match input {
                Some(Input::Message(message)) => {
                    transmit(message.topic.as_bytes());
                    transmit(message.payload);
                    if let Some(token) = message.token {
                        session.acknowledge(token);
                    }
                }
                _ if consumed == 0 => break,
                _ => {}
            }
            bytes = bytes.get(consumed..).unwrap_or_default();
        }
        while session.wants_renewal() {
            any(session.renew(subscription.take()).is_ok());
        }
        any(session.enqueue(reading).is_ok());
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
            session.advance(length);
            session.handle_written(now(), length);
        }
        if session.poll_timeout(now()).is_some_and(|due| due <= now()) {
            session.handle_timeout(now()).ok()?;
        }
    }
    Some(())
}
