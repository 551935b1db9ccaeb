use core::{error, fmt};

use embassy_time::{Duration, Instant, Timer, with_timeout};

/// For the radio to join, from a cold start too: to look through all channels, to be let in, to agree on keys. A driver
/// that works has done so within a few seconds, or tells why not; it may have lost what takes this long.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// For the radio to give up what it has begun.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts. An access point that has just started answers within a few.
const PAUSE: Duration = Duration::from_secs(5);
/// Without an answer of the radio for this long it counts as hanging: three attempts that are waited for in vain.
const UNANSWERED: Duration = Duration::from_secs(100);

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

    /// Waits until the network is lost. Called when it was joined.
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

/// A radio has not answered for 100 s, or its driver has not begun to ask it: the driver hangs, or has lost what happened.
/// No further attempt will change that; a reset does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadioHangs;

impl fmt::Display for RadioHangs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = UNANSWERED.as_secs();
        write!(f, "the radio has not answered for {seconds} s")
    }
}

impl error::Error for RadioHangs {}

/// Joins the network of this name, and again whenever it is lost. An attempt may take 30 s; 5 s after it has failed
/// comes the next, for ever, as long as the radio tells why it failed and gives up when asked to.
///
/// Returns when the radio has not answered for 100 s, or its driver not begun. It ends in no other way.
pub async fn keep_joined(radio: &mut impl Radio, network: &str) -> RadioHangs {
    let mut answered = Instant::now();
    loop {
        let attempt = with_timeout(JOIN_TIMEOUT, radio.join()).await;
        match &attempt {
            Ok(Ok(channel)) => {
                log::info!("joined {network} on channel {channel}");
                let reason = radio.lost().await;
                log::warn!("lost {network}: {reason}");
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
            return RadioHangs;
        }
        Timer::after(PAUSE).await;
    }
}
