//! The session engine on a blocking socket: `cargo run --example sans_io_blocking [-- mqtt://HOST[:PORT]]`.
use anyhow::{Context, Result};
use mqtt_codec::session::{
    Config, Content, FixedStorage, Identity, Input, Instant, Next, Outgoing, Session,
};
use mqtt_codec::wire::{ClientId, QoS, Retain, TopicFilter, TopicName};
use std::io::{ErrorKind, Read, Write};
use std::{net::TcpStream, thread, time};

const TOPIC: &str = "mqboard/blocking";

/// What is sent until it is acknowledged.
#[derive(Debug)]
enum Item {
    Reading([u8; 1]),
    Subscription,
}

impl Outgoing for Item {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Reading(payload) => Content::Publish {
                topic: TopicName::new(TOPIC).expect("a topic"),
                retain: Retain::No,
                payload_len: payload.len() as u32,
            },
            Self::Subscription => Content::Subscribe,
        }
    }

    fn filter(&self, index: usize) -> Option<(TopicFilter<'_>, QoS)> {
        let filter = TopicFilter::new(TOPIC).expect("a filter");
        (index == 0).then_some((filter, QoS::AtLeastOnce))
    }
}

// room for 16 readings, 2 subscriptions and 20 received messages without acknowledgement
type Engine = Session<FixedStorage<Item, 16, 2, 20>>;

fn main() -> Result<()> {
    let broker = support::broker_or_own("The session engine on a blocking socket.");
    let mut session = Engine::new(Config::new(), FixedStorage::new());
    for reading in [21, 22, 23] {
        session.enqueue(Item::Reading([reading]))?;
    }
    let clock = time::Instant::now();
    loop {
        if let Err(error) = drive(&mut session, &broker, clock) {
            println!("{error:#}");
        }
        match session.handle_closed() {
            Next::Never => return Ok(()),
            _ => thread::sleep(time::Duration::from_secs(1)),
        }
    }
}

/// One connection, until it ends.
fn drive(session: &mut Engine, broker: &str, clock: time::Instant) -> Result<()> {
    let now = || Instant::from_micros(clock.elapsed().as_micros() as u64);
    let mut stream = TcpStream::connect(broker).with_context(|| broker.to_owned())?;
    stream.set_read_timeout(Some(time::Duration::from_millis(20)))?;
    let mut buffer = vec![0; session.config().receive_buffer as usize];
    let identity = Identity {
        client_id: ClientId::new("mqboard-blocking")?,
        login: None,
        will: None,
    };
    let connect = session.open(now(), &identity, &mut buffer)?;
    stream.write_all(&buffer[..connect])?;
    session.handle_written(now(), connect);
    let (mut filled, mut received) = (0, 0);
    while !session.wants_close() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => anyhow::bail!("the broker closed the connection"),
            Ok(read) => filled += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let mut used = 0;
        loop {
            let (consumed, input) = session.handle_input(now(), &buffer[used..filled])?;
            used += consumed;
            match input {
                Some(Input::Message(message)) => {
                    println!("received {:?} from {:?}", message.payload, message.topic);
                    message.token.map(|token| session.acknowledge(token));
                    received += 1;
                }
                _ if consumed == 0 => break,
                input => println!("{input:?}"),
            }
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        let mut filters = [Item::Subscription].into_iter();
        while session.wants_renewal() {
            session.renew(filters.next())?;
        }
        if received >= 3 && session.is_idle() {
            session.disconnect();
        }
        while let Some(transmit) = session.poll_transmit() {
            let mut bytes = transmit.bytes.concat();
            if let Some(range) = transmit.payload
                && let Item::Reading(payload) = range.handle
            {
                bytes.extend(&payload[range.offset as usize..][..range.len as usize]);
            }
            stream.write_all(&bytes)?;
            session.advance(bytes.len());
            session.handle_written(now(), bytes.len());
        }
        if session.poll_timeout(now()).is_some_and(|due| due <= now()) {
            session.handle_timeout(now())?;
        }
    }
    Ok(())
}
