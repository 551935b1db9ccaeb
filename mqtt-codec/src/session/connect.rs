use core::{error, fmt, num::NonZeroU16};

use crate::wire::{
    self, CleanSession, ClientId, Connect, ConnectRefusal, EncodeError, Login, SessionPresent, Will,
};

use super::link::{Phase, Renewal};
use super::outbox::Kind;
use super::ring::Ring;
use super::session::{Ending, Stage};
use super::{Change, Error, Event, Input, Instant, Next, Session, Storage, Violation};

/// What CONNECT carries beside the settings of the session.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The client id: the broker's name for the session.
    pub client_id: ClientId<'a>,
    /// User name and password.
    pub login: Option<Login<'a>>,
    /// Published by the broker when the connection ends without DISCONNECT.
    pub will: Option<Will<'a>>,
}

impl Identity<'_> {
    /// Bytes of the longest CONNECT that [`Session::open`] writes: that of a session started clean has no will.
    #[must_use]
    pub const fn connect_len(&self) -> usize {
        // a clean session needs no id
        let Ok(mut connect) = Connect::new(self.client_id, CleanSession::Clean) else {
            return 0;
        };
        connect.will = self.will;
        connect.login = self.login;
        match connect.encoded_len() {
            Ok(len) => len,
            Err(_) => usize::MAX,
        }
    }
}

/// Why [`Session::open`] wrote no CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// A session that outlives its connection needs a client id ([MQTT-3.1.3-7]).
    ClientIdRequired,
    /// The buffer is too small for CONNECT, or CONNECT too long for the protocol.
    Encode(EncodeError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIdRequired => {
                f.write_str("a session that outlives its connection needs a client id")
            }
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl error::Error for OpenError {}

impl<S: Storage> Session<S> {
    /// Begins a connection over a transport just opened: writes CONNECT to `out` and returns its length. These
    /// are the first bytes for the transport, to be reported by [`handle_written`](Self::handle_written).
    ///
    /// `out` may be the receive buffer: nothing is received before CONNECT is sent.
    ///
    /// # Errors
    /// The session is unchanged.
    pub fn open(
        &mut self,
        now: Instant,
        identity: &Identity<'_>,
        out: &mut [u8],
    ) -> Result<usize, OpenError> {
        let clean_session = match self.stage {
            Stage::Persist => CleanSession::Persistent,
            Stage::Wipe | Stage::Transient => CleanSession::Clean,
        };
        if identity.client_id.is_empty() && clean_session == CleanSession::Persistent {
            return Err(OpenError::ClientIdRequired);
        }
        let connect = wire::ConnectFields {
            client_id: identity.client_id,
            clean_session,
            keep_alive: self.config().keep_alive.map_or(0, NonZeroU16::get),
            will: match self.stage {
                Stage::Wipe => None,
                Stage::Persist | Stage::Transient => identity.will.as_ref(),
            },
            login: identity.login.as_ref(),
        };
        let len = connect.encode(out).map_err(OpenError::Encode)?;
        self.link.renew(Phase::Connecting);
        self.link.stage = self.stage;
        self.link.staged = len as u32;
        self.link.timers.handle_opened(now);
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(len)
    }

    /// The transport is closed, by whomever. Everything unacknowledged waits for the next connection.
    ///
    /// Whoever counts attempts calls [`count_attempt`](Self::count_attempt) before it.
    pub fn handle_closed(&mut self) -> Next {
        self.outbox.rewind();
        self.link.renew(Phase::Closed);
        match core::mem::replace(&mut self.ending, Ending::Unplanned) {
            Ending::Unplanned => Next::AfterBackoff,
            Ending::Cycle => Next::Now,
            Ending::Stop => Next::Never,
        }
    }

    // As `handle_ack`.
    #[inline(always)]
    pub(super) fn handle_connack<'b>(
        &mut self,
        session: SessionPresent,
        refusal: Option<ConnectRefusal>,
    ) -> Result<Option<Input<'b, S::Handle>>, Error> {
        self.unanswered = self.unanswered.saturating_sub(1);
        if let Some(refusal) = refusal {
            return Err(Error::Refused(refusal));
        }
        // what was asked for when the connection was opened: an abandoned PUBLISH may have changed what is
        // wanted since
        let asked = self.link.stage;
        match session {
            SessionPresent::Present if asked != Stage::Persist => {
                return Err(Violation::SessionAfterClean.into());
            }
            SessionPresent::Present => {}
            SessionPresent::Absent => {
                let (_, slots) = self.outbox.ring(Kind::Publish);
                if Ring::forget(slots) {
                    self.note(Change::Reset);
                }
                if self.stage == Stage::Wipe {
                    self.stage = Stage::Persist;
                }
            }
        }
        self.link.phase = Phase::Connected;
        self.may_be_new = core::mem::take(&mut self.unanswered) > 0;
        if asked == Stage::Wipe || self.stage == Stage::Wipe {
            self.cycle();
            return Ok(None);
        }
        self.link.renewal = Renewal::Wanted;
        Ok(Some(Input::Connected { session }))
    }

    /// Counts a connection that ends unplanned against the oldest message that it has sent and that is not acknowledged:
    /// [`Event::Suspect`], or with [`Config::max_attempts`](super::Config::max_attempts) reached [`Event::Undeliverable`],
    /// comes from [`poll_event`](Self::poll_event), and may make a [`Change`]. To be called once when the transport is
    /// closed, before [`handle_closed`](Self::handle_closed), after which it has no effect. A caller that never does has no
    /// messages given up, whatever the settings say, and none of the code.
    pub fn count_attempt(&mut self) {
        if !self.link.is_established() || self.ending != Ending::Unplanned {
            return;
        }
        let (ring, slots) = self.outbox.ring(Kind::Publish);
        let Some((id, attempts)) = ring.count_attempt(slots) else {
            return;
        };
        self.event = Some(Event::Suspect { id, attempts });
        if self
            .config()
            .max_attempts
            .is_none_or(|max| attempts < max.get())
        {
            return;
        }
        let (ring, slots) = self.outbox.ring(Kind::Publish);
        if let Some((handle, complete)) = ring.take(slots, 0) {
            if complete {
                self.start_clean_once();
            }
            self.note(Change::Removed(id));
            self.event = Some(Event::Undeliverable {
                id,
                attempts,
                handle,
            });
        }
    }
}
