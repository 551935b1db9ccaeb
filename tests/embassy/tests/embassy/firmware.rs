//! What the firmware of a board does by the clock: `mqboard-core` has none of its own.
use std::{future::pending, time::Duration};

use mqboard_core::{NotJoined, Radio, RadioHangs, WATCHDOG_TIMEOUT, feed_watchdog, keep_joined};
use tokio::time::{Instant, sleep, timeout};

use crate::client::run;

/// What a radio does with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// Joins after so many seconds, and loses the network as many later.
    Joins(u64),
    /// Joins at once, loses the network after so many seconds, and hangs when it is to give up.
    JoinsAndHangs(u64),
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
            Attempt::JoinsAndHangs(_) => Ok(6),
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

/// What comes of it within an hour, after how many seconds, and after how many attempts.
async fn an_hour(attempts: &[Attempt]) -> (Option<RadioHangs>, u64, usize) {
    let mut radio = Script::new(attempts);
    let begin = Instant::now();
    let hour = Duration::from_secs(3_600);
    let end = timeout(hour, keep_joined(&mut radio, "network")).await.ok();
    (end, begin.elapsed().as_secs(), radio.begun.len())
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
            let end = timeout(ran, keep_joined(&mut radio, "network")).await;
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
            assert_eq!(end, (Some(RadioHangs), seconds, attempts), "{attempt:?}");
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
        assert_eq!((end, attempts), (Some(RadioHangs), 12));
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
