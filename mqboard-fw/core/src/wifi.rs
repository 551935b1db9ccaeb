use core::{error, fmt};

use embassy_time::{Duration, Timer, with_timeout};

/// For the radio to join, from a cold start too: to look through all channels, to be let in, to agree on keys. A driver
/// that works has done so within a few seconds, or tells why not; it may have lost what takes this long.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// For the radio to give up what it has begun.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts. An access point that has just started answers within a few.
const PAUSE: Duration = Duration::from_secs(5);
/// Attempts in a row of which the radio has told nothing, until it counts as hanging: within two minutes.
const UNANSWERED_ATTEMPTS: u32 = 3;

/// A radio that was started and knows its Wi-Fi network.
#[allow(
    async_fn_in_trait,
    reason = "executors of one thread need no bound on the future"
)]
pub trait Radio {
    /// Why the network could not be joined, or was lost.
    type Reason: fmt::Display;

    /// Joins the network, and returns its channel. Dropped when that takes too long.
    async fn join(&mut self) -> Result<u8, Self::Reason>;

    /// Waits until the network is lost. Called when it was joined.
    async fn lost(&mut self) -> Self::Reason;

    /// Gives up what is left of an attempt or of the network, so that [`Self::join`] begins anew. Called after each
    /// attempt, whatever came of it. Dropped when that takes too long.
    async fn leave(&mut self);
}

/// A radio has not answered for several attempts to join: its driver hangs, or has lost what happened. No further attempt
/// will change that; a reset does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadioHangs;

impl fmt::Display for RadioHangs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the radio has not answered {UNANSWERED_ATTEMPTS} times in a row"
        )
    }
}

impl error::Error for RadioHangs {}

/// Joins the network of this name, and again whenever it is lost. An attempt may take 30 s; 5 s after it has failed
/// comes the next, for ever, as long as the radio tells why it failed.
///
/// Returns when it has told nothing for 3 attempts in a row. It ends in no other way.
pub async fn keep_joined(radio: &mut impl Radio, network: &str) -> RadioHangs {
    let mut unanswered = 0;
    loop {
        let mut is_answered = true;
        match with_timeout(JOIN_TIMEOUT, radio.join()).await {
            Ok(Ok(channel)) => {
                log::info!("joined {network} on channel {channel}");
                let reason = radio.lost().await;
                log::warn!("lost {network}: {reason}");
            }
            Ok(Err(reason)) => log::warn!("cannot join {network}: {reason}"),
            Err(_) => {
                is_answered = false;
                let seconds = JOIN_TIMEOUT.as_secs();
                log::warn!("cannot join {network}: no answer of the radio within {seconds} s");
            }
        }
        is_answered &= with_timeout(LEAVE_TIMEOUT, radio.leave()).await.is_ok();
        unanswered = if is_answered { 0 } else { unanswered + 1 };
        if unanswered == UNANSWERED_ATTEMPTS {
            return RadioHangs;
        }
        Timer::after(PAUSE).await;
    }
}
