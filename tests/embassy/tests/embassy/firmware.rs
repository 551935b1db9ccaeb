//! What the firmware of a board does by the clock: `mqboard-core` has none of its own.
use std::{future::pending, time::Duration};

use mqboard_core::{
    GivenUp, NotJoined, Radio, Reach, WATCHDOG_TIMEOUT, feed_watchdog, keep_joined,
};
use mqtt_client_embassy::{CloseReason, ConnectRefusal, ConnectionState, SessionPresent};
use tokio::time::{Instant, sleep, timeout};

use crate::client::run;

/// What a radio does with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// Joins after so many seconds, and loses the network as many later.
    Joins(u64),
    /// Joins at once, loses the network after so many seconds, and hangs when it is to give up.
    JoinsAndHangs(u64),
    /// Joins at once, and does not tell that the network is lost.
    JoinsForEver,
    /// Tells after so many seconds that it cannot.
    Fails(u64),
    /// Tells at once that it has not begun.
    DoesNotTry,
    /// As [`DoesNotTry`](Self::DoesNotTry), and hangs when it is to give up.
    DoesNotTryAndHangs,
    /// Tells nothing, and gives up when asked to.
    Forgets,
    /// Tells nothing, whatever it is asked.
    Hangs,
    /// Tells that it cannot, and hangs when it is to give up.
    FailsAndHangs,
}

/// Does one after the other, and the last for ever.
#[derive(Debug)]
struct Script {
    attempts: Vec<Attempt>,
    /// When each was begun.
    begun: Vec<Instant>,
    /// No attempt may begin while one is under way.
    is_idle: bool,
}

impl Script {
    fn new(attempts: &[Attempt]) -> Self {
        Self {
            attempts: attempts.to_vec(),
            begun: Vec::new(),
            is_idle: true,
        }
    }

    fn current(&self) -> Attempt {
        let last = self.attempts.len() - 1;
        self.attempts[last.min(self.begun.len() - 1)]
    }
}

impl Radio for Script {
    type Reason = &'static str;

    async fn join(&mut self) -> Result<u8, NotJoined<&'static str>> {
        assert!(self.is_idle, "the attempt before was not given up");
        self.is_idle = false;
        self.begun.push(Instant::now());
        match self.current() {
            Attempt::Joins(seconds) => {
                sleep(Duration::from_secs(seconds)).await;
                Ok(6)
            }
            Attempt::Fails(seconds) => {
                sleep(Duration::from_secs(seconds)).await;
                Err(NotJoined::Refused("told"))
            }
            Attempt::JoinsAndHangs(_) | Attempt::JoinsForEver => Ok(6),
            Attempt::DoesNotTry | Attempt::DoesNotTryAndHangs => {
                Err(NotJoined::NotTried("out of memory"))
            }
            Attempt::Forgets | Attempt::Hangs => pending().await,
            Attempt::FailsAndHangs => Err(NotJoined::Refused("told")),
        }
    }

    async fn lost(&mut self) -> &'static str {
        match self.current() {
            Attempt::Joins(seconds) | Attempt::JoinsAndHangs(seconds) => {
                sleep(Duration::from_secs(seconds)).await;
                "lost"
            }
            Attempt::JoinsForEver => pending().await,
            _ => panic!("nothing was joined"),
        }
    }

    async fn leave(&mut self) {
        self.is_idle = true;
        if matches!(
            self.current(),
            Attempt::Hangs
                | Attempt::FailsAndHangs
                | Attempt::JoinsAndHangs(_)
                | Attempt::DoesNotTryAndHangs
        ) {
            pending().await
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
/// A test may take a day.
const LONG: Duration = Duration::from_secs(20 * 3_600);

/// What comes of it in the time, after how many seconds, and after how many attempts.
async fn within(
    limit: Duration,
    attempts: &[Attempt],
    reach: impl Fn() -> Reach,
) -> (Option<GivenUp>, u64, usize) {
    let mut radio = Script::new(attempts);
    let begin = Instant::now();
    let keeping = keep_joined(&mut radio, "network", reach);
    let end = timeout(limit, keeping).await.ok();
    (end, begin.elapsed().as_secs(), radio.begun.len())
}

/// What comes of it within an hour, if the broker answers whenever the network is joined.
async fn an_hour(attempts: &[Attempt]) -> (Option<GivenUp>, u64, usize) {
    within(HOUR, attempts, || Reach::Broker).await
}

#[tokio::test(start_paused = true)]
async fn joins_for_ever_a_network_that_is_lost_or_refuses() {
    run(async {
        let (end, _, attempts) = an_hour(&[Attempt::Joins(21)]).await;
        assert_eq!(end, None);
        assert_eq!(attempts, 1 + 3_600 / (21 + 21 + 5));

        let (end, _, attempts) = an_hour(&[Attempt::Fails(2)]).await;
        assert_eq!(end, None);
        assert_eq!(attempts, 1 + 3_600 / (2 + 5));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_access_point_is_waited_for_and_a_forgotten_attempt_is_made_again() {
    run(async {
        for slow in [Attempt::Joins(29), Attempt::Fails(29)] {
            let mut radio = Script::new(&[slow, Attempt::Forgets, Attempt::Joins(20)]);
            let ran = Duration::from_secs(200);
            let end = timeout(ran, keep_joined(&mut radio, "network", || Reach::Broker)).await;
            assert!(end.is_err(), "{end:?}");
            let [first, second, third, ..] = radio.begun[..] else {
                panic!("{slow:?}: {:?}", radio.begun);
            };
            let until_lost = if matches!(slow, Attempt::Joins(_)) {
                58
            } else {
                29
            };
            assert_eq!((second - first).as_secs(), until_lost + 5, "{slow:?}");
            assert_eq!((third - second).as_secs(), 30 + 5, "{slow:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_tells_nothing_is_given_up_within_two_minutes() {
    run(async {
        for (attempt, attempts, seconds) in [
            (Attempt::Forgets, 3, 3 * 30 + 2 * 5),
            (Attempt::Hangs, 3, 3 * (30 + 5) + 2 * 5),
            (Attempt::FailsAndHangs, 11, 11 * 5 + 10 * 5),
            (Attempt::DoesNotTry, 21, 20 * 5),
            (Attempt::DoesNotTryAndHangs, 11, 11 * 5 + 10 * 5),
        ] {
            let end = an_hour(&[attempt]).await;
            assert_eq!(
                end,
                (Some(GivenUp::Radio), seconds, attempts),
                "{attempt:?}"
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn any_answer_of_the_radio_counts_as_one() {
    run(async {
        use Attempt::{Fails, Forgets, Hangs, Joins};
        let (end, _, attempts) = an_hour(&[
            Hangs,
            Forgets,
            Fails(1),
            Forgets,
            Hangs,
            Joins(1),
            Hangs,
            Hangs,
            Fails(1),
            Forgets,
        ])
        .await;
        assert_eq!((end, attempts), (Some(GivenUp::Radio), 12));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_has_joined_has_answered_however_it_was_lost() {
    run(async {
        use Attempt::{DoesNotTry, Forgets, JoinsAndHangs};
        let (end, _, attempts) = an_hour(&[JoinsAndHangs(1)]).await;
        assert_eq!((end, attempts), (None, 3_600 / (1 + 5 + 5) + 1));

        // What was lost after longer than the radio may be silent does not count as its silence.
        let lost = [JoinsAndHangs(1_000), Forgets, Forgets, JoinsAndHangs(1)];
        assert_eq!(an_hour(&lost).await.0, None);

        let mut starting = vec![DoesNotTry; 20];
        starting.push(JoinsAndHangs(1));
        assert_eq!(an_hour(&starting).await.0, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_network_where_nobody_answers_is_joined_anew_and_then_given_up() {
    run(async {
        let end = within(HOUR, &[Attempt::JoinsForEver], || Reach::Nobody).await;
        assert_eq!(end, (Some(GivenUp::Network), 3 * 300 + 2 * 5, 3));

        // If the driver does not answer the rejoin either, the radio is.
        let silent = [Attempt::JoinsForEver, Attempt::Forgets];
        let end = within(HOUR, &silent, || Reach::Nobody).await;
        assert_eq!(end, (Some(GivenUp::Radio), 300 + 3 * (5 + 30), 1 + 3));

        // Also if it was well before the driver fell silent.
        let begin = Instant::now();
        let falls_silent = || match begin.elapsed() < HOUR {
            true => Reach::Broker,
            false => Reach::Nobody,
        };
        let (end, seconds, attempts) = within(LONG, &[Attempt::JoinsForEver], falls_silent).await;
        assert_eq!((end, attempts), (Some(GivenUp::Network), 1 + 3));
        let silent = seconds - HOUR.as_secs();
        assert!((1_190..=1_215).contains(&silent), "{silent}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_costs_a_rejoin_each_five_minutes_and_no_reset() {
    run(async {
        let end = within(LONG, &[Attempt::JoinsForEver], || Reach::Network).await;
        let rejoins = LONG.as_secs() / (300 + 5);
        assert_eq!(end, (None, LONG.as_secs(), 1 + rejoins as usize));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_the_broker_now_and_then_keeps_the_network() {
    run(async {
        let begin = Instant::now();
        let seldom = || match begin.elapsed().as_secs() % 300 {
            0..15 => Reach::Broker,
            _ => Reach::Nobody,
        };
        let end = within(HOUR, &[Attempt::JoinsForEver], seldom).await;
        assert_eq!(end, (None, HOUR.as_secs(), 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_joins_in_a_row_without_a_sign_of_life_give_the_network_up() {
    run(async {
        use Attempt::{Fails, Joins, JoinsForEver};
        // In the third join somebody answers, long before it is given up.
        let begin = Instant::now();
        let in_the_third = || match begin.elapsed().as_secs() {
            620..640 => Reach::Network,
            _ => Reach::Nobody,
        };
        let (end, _, attempts) = within(LONG, &[JoinsForEver], in_the_third).await;
        assert_eq!((end, attempts), (Some(GivenUp::Network), 3 + 3));

        // In the third, which the radio tells is lost.
        let begin = Instant::now();
        let attempts = [JoinsForEver, JoinsForEver, Joins(20), JoinsForEver];
        let in_the_third = || match begin.elapsed().as_secs() {
            630..650 => Reach::Network,
            _ => Reach::Nobody,
        };
        let (end, _, attempts) = within(LONG, &attempts, in_the_third).await;
        assert_eq!((end, attempts), (Some(GivenUp::Network), 3 + 3));

        // What the radio tells is not silence.
        for told in [Joins(20), Fails(1)] {
            let (end, _, _) =
                within(HOUR, &[JoinsForEver, JoinsForEver, told], || Reach::Nobody).await;
            assert_eq!(end, None, "{told:?}");
        }
    })
    .await;
}

#[test]
fn a_board_reaches_as_far_as_its_client_or_its_address() {
    let connected = ConnectionState::Connected {
        session: SessionPresent::Absent,
    };
    let refused = ConnectionState::Closed(CloseReason::Refused(ConnectRefusal::NotAuthorized));
    for address in [None, Some(())] {
        assert_eq!(Reach::new(refused, address), Reach::Broker);
    }
    assert_eq!(Reach::new(connected, Some(())), Reach::Broker);
    // one of the network before
    assert_eq!(Reach::new(connected, None::<()>), Reach::Nobody);
    let connecting = ConnectionState::Connecting;
    assert_eq!(Reach::new(connecting, Some(())), Reach::Network);
    assert_eq!(Reach::new(connecting, None::<()>), Reach::Nobody);
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_at_once_and_five_times_as_often_as_it_asks_for() {
    run(async {
        let begin = Instant::now();
        let mut fed = Vec::new();
        let feeding = feed_watchdog(|| fed.push(begin.elapsed()));
        let _ = timeout(Duration::from_secs(3_600), feeding).await;
        assert_eq!(fed[0], Duration::ZERO);
        let longest = Duration::from_micros(WATCHDOG_TIMEOUT.as_micros() / 5);
        for pair in fed.windows(2) {
            assert!(pair[1] - pair[0] <= longest, "{pair:?}");
        }
        assert!(fed.len() >= 3_600 / longest.as_secs() as usize);
        assert!(*fed.last().unwrap() + longest >= Duration::from_secs(3_600));
    })
    .await;
}
