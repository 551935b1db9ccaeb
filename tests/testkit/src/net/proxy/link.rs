use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::framing::Framing;
use super::{Direction, Fault, Mode, Shared, lock};

/// One connection through the proxy.
pub(super) struct Link {
    shared: Arc<Shared>,
    connection: u32,
    fault: Option<Fault>,
    swallows: AtomicBool,
}

/// One direction of it.
struct Way {
    direction: Direction,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    framing: Framing,
    packets: u32,
    bytes: u64,
}

/// What follows when some bytes have gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Forward,
    Swallow,
    Cut,
}

/// Who has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Proxy,
    Peer,
}

impl Link {
    /// Serves the connection to its end.
    pub(super) async fn run(shared: Arc<Shared>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(shared.upstream).await else {
            return;
        };
        for stream in [&client, &broker] {
            // What was cut into pieces is to arrive in pieces.
            let _ = stream.set_nodelay(true);
        }
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        let connection = shared.seen().note_connection();
        let cuts = shared.seen().counters.cuts;
        let fault = lock(&shared.plan).next_fault(cuts);
        let link = Self {
            fault,
            swallows: AtomicBool::new(false),
            connection,
            shared,
        };
        link.shared.note_progress();
        let mut up = Way::new(Direction::ToBroker, from_client, to_broker);
        let mut down = Way::new(Direction::ToClient, from_broker, to_client);
        let end = tokio::select! {
            end = link.heed_mode() => end,
            end = link.pump(&mut up) => end,
            end = link.pump(&mut down) => end,
        };
        link.note_end(end, [up, down]);
    }

    /// Ends when the test wants the connection to end.
    async fn heed_mode(&self) -> End {
        let mut mode = self.shared.mode.subscribe();
        let mut demanded = self.shared.demanded.subscribe();
        loop {
            match *mode.borrow_and_update() {
                Mode::Refuse => return End::Proxy,
                Mode::Swallow => self.swallow(),
                // What was swallowed is missing.
                Mode::Forward | Mode::Block if self.swallows() && self.fault.is_none() => {
                    return End::Proxy;
                }
                Mode::Forward | Mode::Block => {}
            }
            tokio::select! {
                _ = mode.changed() => {}
                _ = demanded.changed() => return End::Proxy,
            }
        }
    }

    /// Carries one direction.
    async fn pump(&self, way: &mut Way) -> End {
        let mut mode = self.shared.mode.subscribe();
        let mut buffer = [0; 16_384];
        loop {
            if *mode.borrow_and_update() == Mode::Block {
                let _ = mode.changed().await;
                continue;
            }
            let read = tokio::select! {
                _ = mode.changed() => continue,
                read = way.from.read(&mut buffer) => read.unwrap_or(0),
            };
            if self.swallows() {
                match (way.direction, read) {
                    (Direction::ToBroker, 0) => return End::Peer,
                    // The client is not told.
                    (Direction::ToClient, 0) => return pending().await,
                    _ => {
                        self.shared.seen().counters.swallowed += read as u64;
                        self.shared.note_progress();
                        continue;
                    }
                }
            }
            if read == 0 {
                return End::Peer;
            }
            let delay = lock(&self.shared.plan).next_delay();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let (len, then) = self.pass(way, &buffer[..read]);
            self.shared.note_progress();
            if way.to.write_all(&buffer[..len]).await.is_err() {
                return End::Peer;
            }
            match then {
                Then::Forward => {}
                Then::Swallow => self.swallow(),
                Then::Cut => return End::Proxy,
            }
        }
    }

    /// Notes what goes through of `bytes`: how many, and what follows.
    fn pass(&self, way: &mut Way, bytes: &[u8]) -> (usize, Then) {
        let mut len = 0;
        loop {
            let then = self.due(way);
            let rest = &bytes[len..];
            if then != Then::Forward || rest.is_empty() {
                return (len, then);
            }
            let step = way.framing.step(rest).min(self.limit(way));
            let passed = way.framing.pass(&rest[..step]);
            way.bytes += step as u64;
            len += step;
            if let Some(passed) = passed {
                way.packets += 1;
                self.shared
                    .seen()
                    .note(self.connection, way.direction, passed);
            }
        }
    }

    /// Whether the fault is due before the next byte of this direction.
    fn due(&self, way: &Way) -> Then {
        let between_packets = way.framing.passed() == 0;
        match self.fault {
            Some(Fault::CutAfterBytes { direction, bytes })
                if direction == way.direction && way.bytes >= bytes =>
            {
                Then::Cut
            }
            Some(Fault::CutInPacket {
                direction,
                packets,
                bytes,
            }) if direction == way.direction
                && way.packets >= packets
                && !between_packets
                && (way.framing.passed() >= bytes.into() || way.framing.missing() == Some(1)) =>
            {
                Then::Cut
            }
            Some(Fault::CutAfterPackets { direction, packets })
                if direction == way.direction && between_packets && way.packets >= packets =>
            {
                Then::Cut
            }
            Some(Fault::CutInFlight { messages })
                if way.direction == Direction::ToBroker
                    && self.shared.seen().in_flight() >= messages.max(1) =>
            {
                Then::Cut
            }
            Some(Fault::Swallow { direction, packets })
                if direction == way.direction && between_packets && way.packets >= packets =>
            {
                Then::Swallow
            }
            _ => Then::Forward,
        }
    }

    /// Bytes that may pass before the fault, which is not due yet, has to be looked at again.
    fn limit(&self, way: &Way) -> usize {
        let limit = match self.fault {
            Some(Fault::CutAfterBytes { direction, bytes }) if direction == way.direction => {
                bytes - way.bytes
            }
            Some(Fault::CutInPacket {
                direction,
                packets,
                bytes,
            }) if direction == way.direction && way.packets >= packets => {
                let missing = way.framing.missing().unwrap_or(2);
                u64::from(bytes.max(1))
                    .saturating_sub(way.framing.passed())
                    .min(missing - 1)
            }
            _ => return usize::MAX,
        };
        usize::try_from(limit).unwrap_or(usize::MAX).max(1)
    }

    fn swallow(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }

    fn swallows(&self) -> bool {
        self.swallows.load(Ordering::Relaxed)
    }

    fn note_end(&self, end: End, mut ways: [Way; 2]) {
        let rests = ways
            .each_mut()
            .map(|way| (way.direction, way.framing.take()));
        let mut seen = self.shared.seen();
        if end == End::Proxy {
            seen.note_cut(rests.each_ref().map(|(_, rest)| rest.passed));
        }
        for (direction, rest) in rests {
            seen.note_rest(self.connection, direction, rest);
        }
        drop(seen);
        self.shared.note_progress();
    }
}

impl Way {
    fn new(direction: Direction, from: OwnedReadHalf, to: OwnedWriteHalf) -> Self {
        Self {
            direction,
            from,
            to,
            framing: Framing::default(),
            packets: 0,
            bytes: 0,
        }
    }
}
