//! What the caller chooses before connecting.
mod address;
mod credentials;
mod error;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod topic;
mod tuning;
mod url;
mod will;

use std::{fmt, future::Future, num::NonZeroU16, time::Duration};

use mqtt_codec::wire::QoS;

#[cfg(feature = "tls")]
pub use self::tls::{TlsOptions, TlsOptionsError};
pub use self::{
    address::{Address, AddressError, Endpoint},
    credentials::{BoxError, Credentials, CredentialsError},
    error::OptionsError,
    topic::{Filter, Topic},
    tuning::{BackoffOptions, Capacity, FirstConnect, Overflow, Oversized, Unmatched},
    url::UrlError,
    will::{Will, WillError},
};
pub(crate) use self::{
    credentials::CredentialsSource,
    settings::Settings,
    tuning::{LONGEST_PACKET, Tuning},
};
use crate::transport::{Connector, SharedConnector};

/// How a session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStart {
    /// Goes on with the session that the broker keeps for the client id, or begins one. Needs a
    /// client id.
    Resume,
    /// Has the broker forget what it keeps for the client id, then begins a session that later
    /// connections resume. Needs a client id.
    CleanSlate,
    /// A session as long as the connection: each reconnect begins a new one and renews the
    /// subscriptions.
    Transient,
}

impl fmt::Display for SessionStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resume => "resume",
            Self::CleanSlate => "clean_slate",
            Self::Transient => "transient",
        })
    }
}

/// How a client connects, and what it does then.
///
/// Built by methods, or parsed from a URL to which methods can add:
///
/// ```
/// use std::time::Duration;
/// use mqtt_client::{Address, ConnectOptions, Credentials, Filter, QoS, Topic, Will};
///
/// let options = ConnectOptions::new(Address::tcp("broker.example", 1883)?)
///     .client_id("gateway-1")
///     .credentials(Credentials::user("gateway").password("secret"))
///     .keep_alive(Duration::from_secs(30))
///     .will(Will::new(Topic::new("status/gateway-1")?, "offline")?.retain())
///     .declare(Filter::new("commands/gateway-1/#")?, QoS::AtLeastOnce);
/// options.validate()?;
///
/// let options: ConnectOptions =
///     "mqtt://gateway:secret@broker.example?client_id=gateway-1&keep_alive=30".parse()?;
/// let options = options.address("mqtt://standby.example".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # URLs
/// `mqtt://user:password@host:port?parameters` (port 1883 if not given), `mqtts://…` (port 8883)
/// and `unix:/path/to/socket?parameters`. An IPv6 address stands in brackets. In user, password,
/// path and values a byte may be written as `%` and two hexadecimal digits, and these must be: `%`
/// everywhere; `/`, `?`, `#` in user and password; `@`, `&`, `#` in values. The parameters, each at
/// most once:
///
/// | parameter | value | method |
/// |---|---|---|
/// | `client_id` | text, not empty | [`client_id`](Self::client_id) |
/// | `start` | `resume`, `clean_slate` or `transient` | [`session_start`](Self::session_start) |
/// | `user`, `password` | text; instead of `user:password@` | [`credentials`](Self::credentials) |
/// | `ca_file` | path of a PEM file; for `mqtts` | [`ca_file`](Self::ca_file) |
/// | `keep_alive` | whole seconds | [`keep_alive`](Self::keep_alive) |
/// | `first_connect` | `return_error` or `keep_trying` | [`first_connect`](Self::first_connect) |
/// | `connect_timeout` | seconds | [`connect_timeout`](Self::connect_timeout) |
/// | `write_timeout` | seconds | [`write_timeout`](Self::write_timeout) |
/// | `stall_timeout` | seconds | [`stall_timeout`](Self::stall_timeout) |
/// | `ack_timeout` | seconds | [`ack_timeout`](Self::ack_timeout) |
/// | `drain_timeout` | seconds | [`drain_timeout`](Self::drain_timeout) |
/// | `max_attempts` | number | [`max_attempts`](Self::max_attempts) |
/// | `in_flight` | number | [`in_flight`](Self::in_flight) |
/// | `packet_limit` | bytes | [`packet_limit`](Self::packet_limit) |
///
/// Every limit named below is checked when the client connects, and by
/// [`validate`](Self::validate).
#[derive(Debug, Clone)]
#[must_use]
pub struct ConnectOptions {
    addresses: Vec<Address>,
    connector: Option<SharedConnector>,
    #[cfg(feature = "tls")]
    tls: Option<tls::TlsChoice>,
    #[cfg(feature = "tls")]
    tls_server_name: Option<String>,
    client_id: Option<String>,
    start: Option<SessionStart>,
    keep_alive: Duration,
    will: Option<Will>,
    credentials: CredentialsSource,
    subscriptions: Vec<(Filter, QoS)>,
    tuning: Tuning,
}

impl ConnectOptions {
    /// Options with every default, for the broker at this address.
    pub fn new(address: Address) -> Self {
        Self {
            addresses: vec![address],
            connector: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            tls_server_name: None,
            client_id: None,
            start: None,
            keep_alive: Duration::from_secs(60),
            will: None,
            credentials: CredentialsSource::default(),
            subscriptions: Vec::new(),
            tuning: Tuning::default(),
        }
    }

    /// Checks every limit and combination, as connecting does. Reads the CA file, if there is one; asks neither the network
    /// nor a provider.
    ///
    /// # Errors
    /// [`OptionsError`] names the first option that is wrong.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.settings().map(drop)
    }

    /// One more address of the same broker (the same sessions, the same retained messages), to be
    /// tried after those given before it. With independent brokers nothing here would hold.
    pub fn address(mut self, address: Address) -> Self {
        self.addresses.push(address);
        self
    }

    /// Opens every stream by this connector instead of our own TCP and Unix sockets, for example
    /// through a proxy or to a broker in the same process. The connector is told the address; TLS
    /// to an `mqtts` address is still done here, over the stream it returns.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(SharedConnector::new(connector));
        self
    }

    /// How TLS is done with `mqtts` addresses. Default: [`TlsOptions::new`].
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(tls::TlsChoice::Options(options));
        self
    }

    /// Does TLS with `mqtts` addresses by a configuration made elsewhere, in place of
    /// [`tls`](Self::tls). Clients that share one also share its memory and its cache of TLS
    /// sessions.
    #[cfg(feature = "tls")]
    pub fn tls_config(
        mut self,
        config: std::sync::Arc<tokio_rustls::rustls::ClientConfig>,
    ) -> Self {
        self.tls = Some(tls::TlsChoice::Ready(config));
        self
    }

    /// Trusts, with `mqtts` addresses, the certificates of this PEM file and no others, in place of [`tls`](Self::tls). The
    /// file is read once, when the client is started: one that cannot be read, or holds no certificate, is an error then.
    #[cfg(feature = "tls")]
    pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.tls = Some(tls::TlsChoice::CaFile(path.into()));
        self
    }

    /// The DNS name or IP address that the server's certificate must carry, and that the server is
    /// told. Default: the host of the address.
    #[cfg(feature = "tls")]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// The name by which the broker knows this client, at most 65,535 bytes of UTF-8 without
    /// U+0000. Brokers must accept 1 to 23 letters and digits `[MQTT-3.1.3-5]`; most accept more.
    /// Default, also for an empty one: a random id for each client, with a transient session.
    ///
    /// No two clients may use the same id at once: the broker closes the connection of the earlier one, which connects
    /// again and so on for ever. [`Event::RepeatedlyClosed`](crate::Event::RepeatedlyClosed) tells.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// How the session starts. Default: [`SessionStart::Resume`] with a client id,
    /// [`SessionStart::Transient`] without; the other ways without a client id are an error.
    pub fn session_start(mut self, start: SessionStart) -> Self {
        self.start = Some(start);
        self
    }

    /// The Keep Alive: a ping goes out when nothing was sent, or nothing received, for three
    /// quarters of it, and a broker that is silent for half of it then counts as lost.
    /// Whole seconds up to 65,535 s; zero turns it off, and then a dead link is found only when
    /// something is sent. Default 60 s.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// What the broker publishes when this client is gone without DISCONNECT. Default: nothing.
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// User name and password, the same at each attempt. Default: none.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = CredentialsSource::Fixed(credentials);
        self
    }

    /// Asks for user name and password anew at each attempt to connect, for tokens that expire. The
    /// answer must come within the connect time-out; an error fails that attempt only, and so does
    /// a refusal of the credentials, which with fixed ones is final.
    ///
    /// ```
    /// # use mqtt_client::{Address, ConnectOptions, Credentials};
    /// # let options = ConnectOptions::new(Address::tcp("broker.example", 1883)?);
    /// let options = options.credentials_provider(|| async {
    ///     let token = std::fs::read_to_string("/run/token")?;
    ///     Ok::<_, std::io::Error>(Credentials::user("gateway").password(token))
    /// });
    /// # Ok::<(), mqtt_client::AddressError>(())
    /// ```
    pub fn credentials_provider<F, A, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.credentials = CredentialsSource::provider(provider);
        self
    }

    /// Declares a subscription: its stream exists before the first byte is read, so that nothing
    /// the broker kept for the session is missed. SUBSCRIBE is sent on the first connection, since
    /// nothing tells what the broker has acknowledged to an earlier process, and again only when
    /// the broker has lost the session, or may have. QoS 0 or 1; each filter once.
    ///
    /// Take the stream by [`Client::stream`](crate::Client::stream). [`Client::subscribe`](crate::Client::subscribe) with the
    /// same filter makes a second one: QoS 1 messages are acknowledged when both have worked them off, and the first
    /// fills up if nobody takes it.
    ///
    /// The broker keeps subscriptions of earlier versions of your program. QoS 1 messages that match no stream are held, and
    /// once the broker's window (mosquitto: 20) is full of them, nothing else is received. When you give up a filter, call
    /// [`unsubscribe(old)`](crate::Client::unsubscribe) once at start, or choose [`Unmatched::Discard`].
    /// [`Event::Unmatched`](crate::Event::Unmatched) tells.
    pub fn declare(mut self, filter: Filter, qos: QoS) -> Self {
        self.subscriptions.push((filter, qos));
        self
    }

    /// From the start of an attempt to the broker's CONNACK: credentials, name, TCP, TLS and
    /// CONNECT. Default 10 s, 1 ms to 24 h.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.tuning.connect_timeout = limit;
        self
    }

    /// Output of which the transport takes no byte for this long is a dead link. Default 20 s, 1 ms
    /// to 24 h.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.tuning.write_timeout = limit;
        self
    }

    /// How long full queues may keep us from reading while an answer of the broker is awaited,
    /// before messages are discarded to get at it; and how long messages that were given up may be all that is
    /// unacknowledged, before a session that persists connects again to get them (see [`Message`](crate::Message)).
    /// Default 10 s, 1 ms to 24 h.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.tuning.stall_timeout = limit;
        self
    }

    /// Reconnects when a PUBLISH, SUBSCRIBE or UNSUBSCRIBE was not acknowledged for this long. Default: never. 1 ms to
    /// 24 h.
    pub fn ack_timeout(mut self, limit: Duration) -> Self {
        self.tuning.ack_timeout = Some(limit);
        self
    }

    /// How long disconnecting waits for what is not yet delivered, unless told otherwise there.
    /// Default 10 s, 1 ms to 24 h.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.tuning.drain_timeout = limit;
        self
    }

    /// How many connections may end with a message as the oldest unacknowledged one before it fails
    /// as undeliverable. The session is then started clean once, since it may not skip a message.
    /// Default: no limit. 1 to 255.
    pub fn max_attempts(mut self, connections: u32) -> Self {
        self.tuning.max_attempts = Some(connections);
        self
    }

    /// How many QoS 1 messages may be unacknowledged on the wire. Default 100, 1 to 64,511: the packet ids
    /// that are kept for them.
    pub fn in_flight(mut self, window: u16) -> Self {
        self.tuning.in_flight = window;
        self
    }

    /// How much may wait to be sent or acknowledged. When it is full, QoS 1 waits for room, and QoS
    /// 0 does as [`qos0_overflow`](Self::qos0_overflow) says. Default 10,000 messages and 16 MiB;
    /// each at least 1.
    ///
    /// At QoS 1 topics and payloads count until they are acknowledged. At QoS 0 whole packets do, by their bytes alone, until
    /// the transport has taken them, together with whatever else waits for it; a message that fits the bound is taken in any
    /// case once nothing waits. So the two together hold up to twice `bytes`, and beside that 256 KiB of what is being copied
    /// to the transport.
    ///
    /// Memory is taken as it is needed. An idle client gives it back, except for the places of the most messages that
    /// ever waited at once, of about 80 bytes each.
    pub fn outbox(mut self, capacity: Capacity) -> Self {
        self.tuning.outbox = capacity;
        self
    }

    /// What becomes of a QoS 0 publish while the outbox is full. Default [`Overflow::Wait`].
    pub fn qos0_overflow(mut self, policy: Overflow) -> Self {
        self.tuning.qos0_overflow = policy;
        self
    }

    /// The largest incoming message that is kept in memory, counted as its packet's remaining length: bytes of topic and
    /// payload, and 2 or, at QoS 1, 4 more. Default 16 MiB, 256 to 268,435,455 (no message of MQTT is longer).
    pub fn packet_limit(mut self, bytes: usize) -> Self {
        self.tuning.packet_limit = bytes;
        self
    }

    /// What becomes of an incoming message over the packet limit. Default
    /// [`Oversized::Acknowledge`].
    pub fn oversized(mut self, policy: Oversized) -> Self {
        self.tuning.oversized = policy;
        self
    }

    /// What each queue of received messages takes in, the default queue's too. More messages than the
    /// broker sends unacknowledged (mosquitto: 20) keep reading from stopping. Default 1,024
    /// messages and 16 MiB; each at least 1.
    ///
    /// Bounded is what arrives. What one queue hands over to another comes beyond that, and the other takes nothing in until
    /// it has room again: the default queue gets the QoS 1 messages that a dropped stream of a persistent session had not
    /// taken, a new stream what the default queue held for it. No more than the broker has sent unacknowledged in its session
    /// is handed over in all.
    pub fn queue(mut self, capacity: Capacity) -> Self {
        self.tuning.queue = capacity;
        self
    }

    /// What becomes of a QoS 1 message that no stream takes. Default [`Unmatched::Hold`].
    pub fn unmatched(mut self, policy: Unmatched) -> Self {
        self.tuning.unmatched = policy;
        self
    }

    /// How long to wait between attempts to connect. Default: see [`BackoffOptions`].
    pub fn backoff(mut self, backoff: BackoffOptions) -> Self {
        self.tuning.backoff = backoff;
        self
    }

    /// What the first connect does when it fails. Default [`FirstConnect::ReturnError`].
    pub fn first_connect(mut self, policy: FirstConnect) -> Self {
        self.tuning.first_connect = policy;
        self
    }

    /// CONNECT's Keep Alive, `None` for off.
    fn keep_alive_seconds(&self) -> Result<Option<NonZeroU16>, OptionsError> {
        if self.keep_alive.subsec_nanos() != 0 {
            return Err(OptionsError::KeepAliveNotWhole);
        }
        let seconds = self.keep_alive.as_secs();
        match u16::try_from(seconds) {
            Ok(seconds) => Ok(NonZeroU16::new(seconds)),
            Err(_) => Err(OptionsError::KeepAliveTooLong { seconds }),
        }
    }
}
