use mqtt_codec::session::{
    AckToken, Config, Duration, EnqueueReason, Error, Event, Identity, Instant, Next, Session,
};
use mqtt_codec::wire::{ClientId, PacketId, SessionPresent};

use crate::{Brought, Frame, GrowingStorage, Item};

/// A session whose peer is the test itself: it says which bytes arrive and sees which bytes leave.
#[derive(Debug)]
pub struct Script {
    pub session: Session<GrowingStorage>,
    pub now: Instant,
    inbox: Vec<u8>,
}

/// CONNACK that accepts, without and with a session.
const CONNACK_ABSENT: [u8; 4] = [0x20, 2, 0, 0];
const CONNACK_PRESENT: [u8; 4] = [0x20, 2, 1, 0];

impl Script {
    /// A session with 16 slots for publishes, 4 for controls, 8 for acks.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_storage(config, GrowingStorage::fixed(16, 4, 8))
    }

    #[must_use]
    pub fn with_storage(config: Config, storage: GrowingStorage) -> Self {
        Self {
            session: Session::new(config, storage),
            now: Instant::from_micros(1_000_000),
            inbox: Vec::new(),
        }
    }

    /// A session connected to a broker that had none, nothing to renew.
    #[must_use]
    pub fn connected(config: Config) -> Self {
        let mut script = Self::new(config);
        script.connect(SessionPresent::Absent);
        script
    }

    /// Opens a connection, has CONNECT accepted and renews nothing.
    pub fn connect(&mut self, session: SessionPresent) {
        self.open();
        let connack = match session {
            SessionPresent::Absent => CONNACK_ABSENT,
            SessionPresent::Present => CONNACK_PRESENT,
        };
        let brought = self.receive(&connack).expect("CONNACK is legal");
        assert_eq!(brought, [Brought::Connected(session)]);
        assert!(self.session.wants_renewal());
        self.session.renew(None).expect("nothing to renew");
        assert!(!self.session.wants_renewal());
    }

    /// Opens a connection as client `c`; returns the bytes of CONNECT, all taken by the transport.
    pub fn open(&mut self) -> Vec<u8> {
        let identity = Identity {
            client_id: ClientId::new("c").expect("legal"),
            login: None,
            will: None,
        };
        self.open_as(&identity)
    }

    pub fn open_as(&mut self, identity: &Identity<'_>) -> Vec<u8> {
        self.inbox.clear();
        let mut buffer = vec![0; 1_024];
        let len = self
            .session
            .open(self.now, identity, &mut buffer)
            .expect("CONNECT fits");
        self.session.handle_written(self.now, len);
        buffer.truncate(len);
        buffer
    }

    /// These bytes arrive: what they brought.
    ///
    /// # Errors
    /// The engine ends the connection.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<Brought>, Error> {
        self.inbox.extend_from_slice(bytes);
        let mut all = Vec::new();
        loop {
            let (consumed, input) = self.session.handle_input(self.now, &self.inbox)?;
            let nothing = input.is_none();
            all.extend(input.map(Brought::from));
            self.inbox.drain(..consumed);
            if consumed == 0 && (nothing || all.last() == Some(&Brought::Blocked)) {
                return Ok(all);
            }
        }
    }

    /// Everything that the session has to send now; the transport takes it all.
    pub fn transmit(&mut self) -> Vec<u8> {
        let bytes = self.stage();
        self.written(bytes.len());
        bytes
    }

    /// [`transmit`](Self::transmit), cut into packets.
    pub fn transmit_frames(&mut self) -> Vec<Frame> {
        Frame::all(&self.transmit())
    }

    /// Everything that the session has to send now, taken over by the caller; the transport takes nothing.
    pub fn stage(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let bytes = self.stage_some(usize::MAX);
            if bytes.is_empty() {
                return all;
            }
            all.extend(bytes);
        }
    }

    /// At most `max` bytes of the next step of the output, taken over by the caller.
    pub fn stage_some(&mut self, max: usize) -> Vec<u8> {
        let Some(transmit) = self.session.poll_transmit() else {
            return Vec::new();
        };
        let mut bytes = transmit.bytes.concat();
        if let Some(range) = transmit.payload {
            let (from, len) = (range.offset as usize, range.len as usize);
            bytes.extend(&range.handle.payload()[from..from + len]);
        }
        bytes.truncate(max);
        self.session.advance(bytes.len());
        bytes
    }

    /// The transport takes `n` bytes.
    pub fn written(&mut self, n: usize) {
        self.session.handle_written(self.now, n);
    }

    /// Time passes and nothing else happens: the engine is called when it asked for it, never before.
    ///
    /// # Errors
    /// The engine ends the connection.
    pub fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.now + duration;
        let mut calls = 0;
        while let Some(due) = self.session.poll_timeout(self.now) {
            if due > end {
                break;
            }
            calls = if due > self.now { 0 } else { calls + 1 };
            assert!(
                calls < 10,
                "the deadline stays in the past: a caller would spin"
            );
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now)?;
        }
        self.now = end;
        Ok(())
    }

    pub fn close(&mut self) -> Next {
        self.inbox.clear();
        self.session.count_attempt();
        self.session.handle_closed()
    }

    /// Accepts a packet, which has room.
    pub fn enqueue(&mut self, item: Item) -> PacketId {
        self.session.enqueue(item).expect("there is room")
    }

    /// Why a packet is not accepted.
    pub fn refusal(&mut self, item: Item) -> Option<EnqueueReason> {
        self.session.enqueue(item).err().map(|error| error.reason)
    }

    pub fn acknowledge(&mut self, token: AckToken) -> bool {
        self.session.acknowledge(token)
    }

    pub fn event(&mut self) -> Option<Event<Item>> {
        self.session.poll_event()
    }
}
