mod app;
mod turn;

use std::collections::VecDeque;

use mqtt_codec::session::{
    AckToken, Change, Config, Duration, EnqueueReason, Error, Event, Instant, Session,
};
use mqtt_codec::wire::{PacketId, QoS, Retain, TopicName};

use crate::{Broker, Brought, GrowingStorage, Item, LinkId, Network, Pipe, Tap};

use app::Declared;

/// When the application acknowledges a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledging {
    /// When it comes.
    AtOnce,
    /// When the test says so; the tokens wait in [`Pair::held`].
    Held,
    /// When [`Pair::consume`] takes it from the queue.
    Consumed,
}

/// A client session and a broker, with a network between them and a clock that the test moves. The client is
/// driven by its contract; a broken connection is opened again.
#[derive(Debug)]
pub struct Pair {
    pub session: Session<GrowingStorage>,
    pub broker: Broker,
    pub network: Network,
    pub now: Instant,
    /// Payload of the will; its topic is `will`.
    pub will: Option<Vec<u8>>,
    pub acknowledging: Acknowledging,
    /// Messages that the application holds unconsumed; then it stops reading.
    pub queue_limit: usize,
    pub queue: VecDeque<Brought>,
    pub held: Vec<AckToken>,
    /// Bytes that the client hands out before the transport takes them, at most.
    pub stage_limit: usize,
    /// Bytes of one step of the output that the client takes at once, at most.
    pub step_limit: usize,
    /// Delay before another connection when the engine asks for one.
    pub backoff: Duration,
    /// Everything that came in, in order.
    pub log: Vec<Brought>,
    pub events: Vec<Event<Item>>,
    pub errors: Vec<Error>,
    pub changes: Vec<Change>,
    /// Bytes that arrived at the broker and at the client, over all connections.
    pub arrived_up: usize,
    pub arrived_down: usize,
    /// Connections opened.
    pub connections: usize,
    pub tap: Tap,
    declared: Vec<Declared>,
    connection: Option<Connection>,
    reopen_at: Option<Instant>,
}

/// What belongs to one connection.
#[derive(Debug)]
struct Connection {
    link: LinkId,
    up: Pipe,
    down: Pipe,
    inbox: Vec<u8>,
    staged: VecDeque<u8>,
    is_first_packet: bool,
    is_paused: bool,
}

/// The client id of the pair's client.
const CLIENT: &str = "c";

impl Pair {
    /// A client with room for 64 publishes, 8 controls and 64 acks; it connects when time passes.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_storage(config, GrowingStorage::fixed(64, 8, 64))
    }

    #[must_use]
    pub fn with_storage(config: Config, storage: GrowingStorage) -> Self {
        let now = Instant::from_micros(1_000_000);
        Self {
            session: Session::new(config, storage),
            broker: Broker::default(),
            network: Network::default(),
            now,
            will: None,
            acknowledging: Acknowledging::AtOnce,
            queue_limit: usize::MAX,
            queue: VecDeque::new(),
            held: Vec::new(),
            stage_limit: 64 * 1_024,
            step_limit: usize::MAX,
            backoff: Duration::from_millis(100),
            log: Vec::new(),
            events: Vec::new(),
            errors: Vec::new(),
            changes: Vec::new(),
            arrived_up: 0,
            arrived_down: 0,
            connections: 0,
            tap: Tap::default(),
            declared: Vec::new(),
            connection: None,
            reopen_at: Some(now),
        }
    }

    /// Declares a subscription at QoS 1 that the client renews when it has to.
    pub fn declare(&mut self, filter: &str) {
        self.declared.push(Declared::new(filter));
    }

    /// Accepts a packet, which has room.
    pub fn enqueue(&mut self, item: Item) -> PacketId {
        let id = self.try_enqueue(item).expect("there is room");
        assert!(id.get() > 0);
        id
    }

    /// Accepts a packet.
    ///
    /// # Errors
    /// The engine's reason.
    pub fn try_enqueue(&mut self, item: Item) -> Result<PacketId, EnqueueReason> {
        let result = self.session.enqueue(item).map_err(|error| error.reason);
        self.note_change();
        result
    }

    /// Sends a message at QoS 0; false if the engine takes none now.
    pub fn publish_at_most_once(&mut self, topic: &str, payload: &[u8]) -> bool {
        let mut head = [0; 64];
        let topic = TopicName::new(topic).expect("legal");
        let len = self
            .session
            .publish_at_most_once(topic, Retain::No, payload.len() as u32, &mut head)
            .expect("room for the head");
        let (Some(len), Some(connection)) = (len, &mut self.connection) else {
            return false;
        };
        connection.staged.extend(&head[..len]);
        connection.staged.extend(payload);
        self.session.advance(len + payload.len());
        self.tap.handle_staged(len + payload.len());
        true
    }

    /// Somebody else publishes `payload` at QoS 1.
    pub fn broker_publishes(&mut self, topic: &str, payload: &str) {
        self.broker
            .publish(topic, payload.as_bytes(), QoS::AtLeastOnce);
    }

    /// The link breaks now: everything on its way is lost.
    pub fn cut(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.broker.handle_closed(connection.link);
            self.handle_closed();
        }
    }

    /// The present connection at the broker.
    #[must_use]
    pub fn link(&self) -> Option<LinkId> {
        self.connection.as_ref().map(|connection| connection.link)
    }

    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Opens a connection now, for a client that has stopped.
    pub fn reopen(&mut self) {
        self.reopen_at = Some(self.now);
    }

    /// Payloads of the messages that the client received at QoS 1, repeated ones as often as they came.
    #[must_use]
    pub fn received(&self) -> Vec<String> {
        let payload = |brought: &Brought| match brought {
            Brought::Message { payload, .. } => Some(String::from_utf8_lossy(payload).into_owned()),
            _ => None,
        };
        self.log.iter().filter_map(payload).collect()
    }

    /// Payloads of the messages whose acknowledgement has come, in its order.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Vec<u8>> {
        let payload = |brought: &Brought| match brought {
            Brought::Acknowledged(_, item) => Some(item.payload().to_vec()),
            _ => None,
        };
        self.log.iter().filter_map(payload).collect()
    }

    /// Nothing that either end did was against the rules.
    ///
    /// # Panics
    /// Something was.
    pub fn assert_sound(&self) {
        assert_eq!(self.broker.complaints(), &[] as &[String]);
        assert_eq!(self.errors, []);
    }
}
