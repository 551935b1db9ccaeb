use core::{error, fmt};

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use mqtt_client_embassy::ConnectionState;

/// For the radio to join, from a cold start too: to look through all channels, to be let in, to agree on keys. A driver
/// that works has done so within a few seconds, or tells why not; it may have lost what takes this long.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// For the radio to give up what it has begun.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts. An access point that has just started answers within a few.
const PAUSE: Duration = Duration::from_secs(5);
/// Without an answer of the radio for this long it counts as hanging: three attempts that are waited for in vain.
const UNANSWERED: Duration = Duration::from_secs(100);

/// Without the broker for this long the network is joined anew. A broker or a router that starts again is back sooner.
const OUT_OF_REACH: Duration = Duration::from_secs(300);
/// Between two looks at how far the board gets.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// Times in a row that the network was joined for [`OUT_OF_REACH`] and nobody in it answered, until a reset is tried.
const UNHEARD_JOINS: u32 = 3;

/// A radio that was started and knows its Wi-Fi network.
#[allow(
    async_fn_in_trait,
    reason = "executors of one thread need no bound on the future"
)]
pub trait Radio {
    /// Why the network could not be joined, or was lost.
    type Reason: fmt::Display;

    /// Joins the network, and returns its channel. Dropped when that takes too long.
    async fn join(&mut self) -> Result<u8, NotJoined<Self::Reason>>;

    /// Waits until the network is lost. Called when it was joined. Dropped when the board has nobody there to talk to.
    async fn lost(&mut self) -> Self::Reason;

    /// Gives up what is left of an attempt or of the network, so that [`Self::join`] begins anew. Called after each
    /// attempt, whatever came of it. Dropped when that takes too long.
    async fn leave(&mut self);
}

/// Why the network was not joined, by who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotJoined<R> {
    /// The radio has looked for the network, or asked to be let in: it works.
    Refused(R),
    /// The driver has not begun, such as for want of memory: nothing is known of the radio or of the network.
    NotTried(R),
}

/// How far a board gets in the network that its radio has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nobody there has answered since it was joined.
    Nobody,
    /// Somebody has, who gave it its address.
    Network,
    /// So has the broker.
    Broker,
}

impl Reach {
    /// That of a board whose client stands so with the broker, and that has been given this address, if any, since the
    /// network was joined.
    #[must_use]
    pub fn new<A>(client: ConnectionState, address: Option<A>) -> Self {
        match (client, address) {
            // If it has ended, then because the broker has answered: to join anew would not change the answer.
            (ConnectionState::Closed(_), _) => Self::Broker,
            // A connection through the network before, of whose end nobody has heard yet, is no answer in this one.
            (_, None) => Self::Nobody,
            (ConnectionState::Connecting, Some(_)) => Self::Network,
            (_, Some(_)) => Self::Broker,
        }
    }
}

/// Why no further attempt to join will help, but a reset may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// The radio has not answered for 100 s, or its driver has not begun to ask it: the driver hangs, or has lost what
    /// happened.
    Radio,
    /// The radio has joined the network 3 times, for 5 minutes each, and nobody there has answered: the driver may have
    /// lost what it sends or receives.
    Network,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Radio => {
                let seconds = UNANSWERED.as_secs();
                write!(f, "the radio has not answered for {seconds} s")
            }
            Self::Network => write!(
                f,
                "nobody in the network has answered, joined {UNHEARD_JOINS} times in a row"
            ),
        }
    }
}

impl error::Error for GivenUp {}

/// Joins the network of this name, and again whenever it is lost. An attempt may take 30 s; 5 s after it has failed
/// comes the next, for ever, as long as the radio tells why it failed and gives up when asked to.
///
/// A driver may not tell that the network is lost. So the network is also left and joined again each 5 minutes while
/// `reach` tells of no connection to the broker. That does not harm a board whose broker is away, and goes on for ever
/// as long as an address is given each time; a network in which nobody has answered for 3 times in a row is given up.
///
/// Returns when it has given up. It ends in no other way.
pub async fn keep_joined(
    radio: &mut impl Radio,
    network: &str,
    reach: impl Fn() -> Reach,
) -> GivenUp {
    let mut answered = Instant::now();
    let mut unheard = 0;
    loop {
        let attempt = with_timeout(JOIN_TIMEOUT, radio.join()).await;
        match &attempt {
            Ok(Ok(channel)) => {
                log::info!("joined {network} on channel {channel}");
                let mut furthest = Reach::Nobody;
                match select(radio.lost(), out_of_reach(&reach, &mut furthest)).await {
                    Either::First(reason) => {
                        furthest = furthest.max(reach());
                        log::warn!("lost {network}: {reason}");
                    }
                    Either::Second(()) => {
                        unheard += 1;
                        let minutes = OUT_OF_REACH.as_secs() / 60;
                        log::warn!("no broker for {minutes} minutes: {network} is joined again");
                    }
                }
                if furthest > Reach::Nobody {
                    unheard = 0;
                }
            }
            Ok(Err(NotJoined::Refused(reason) | NotJoined::NotTried(reason))) => {
                log::warn!("cannot join {network}: {reason}");
            }
            Err(_) => {
                let seconds = JOIN_TIMEOUT.as_secs();
                log::warn!("cannot join {network}: no answer of the radio within {seconds} s");
            }
        }
        let left = with_timeout(LEAVE_TIMEOUT, radio.leave()).await;
        let is_answered = match attempt {
            Ok(Ok(_)) => true,
            Ok(Err(NotJoined::Refused(_))) => left.is_ok(),
            Ok(Err(NotJoined::NotTried(_))) | Err(_) => false,
        };
        if is_answered {
            answered = Instant::now();
        } else if answered.elapsed() >= UNANSWERED {
            return GivenUp::Radio;
        }
        if unheard == UNHEARD_JOINS {
            return GivenUp::Network;
        }
        Timer::after(PAUSE).await;
    }
}

/// Waits until the broker was out of reach for [`OUT_OF_REACH`]; tells all along how far the board has got.
async fn out_of_reach(reach: impl Fn() -> Reach, furthest: &mut Reach) {
    let mut reached = Instant::now();
    while reached.elapsed() < OUT_OF_REACH {
        Timer::after(LOOK_PERIOD).await;
        let now = reach();
        *furthest = now.max(*furthest);
        if now == Reach::Broker {
            reached = Instant::now();
        }
    }
}
