use core::{borrow::Borrow, num::NonZeroU16};

use super::link::{Phase, Reading};
use super::outbox::Kind;
use super::time::STEP_BITS;
use super::{Error, Event, Instant, Session, Storage, TimeLimit, Timeout};

/// What has a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Keep Alive: since bytes were sent, and since some were received.
    Sent,
    Received,
    ConnAck,
    PingResponse,
    Write,
    /// Of the oldest PUBLISH.
    Acknowledgement,
    /// Of the oldest SUBSCRIBE or UNSUBSCRIBE.
    Answer,
    /// Until reading goes on although consumers stall, or until what was given up is asked for again.
    Stall,
}

const TIMERS: [Timer; 8] = [
    Timer::Sent,
    Timer::Received,
    Timer::ConnAck,
    Timer::PingResponse,
    Timer::Write,
    Timer::Acknowledgement,
    Timer::Answer,
    Timer::Stall,
];

/// What is to be done when a time limit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Fail(Timeout),
    Ping,
    ReadOn,
}

impl Timer {
    const fn due(self) -> Due {
        match self {
            Self::Sent | Self::Received => Due::Ping,
            Self::ConnAck => Due::Fail(Timeout::ConnAck),
            Self::PingResponse => Due::Fail(Timeout::PingResponse),
            Self::Write => Due::Fail(Timeout::Write),
            Self::Acknowledgement | Self::Answer => Due::Fail(Timeout::Acknowledgement),
            Self::Stall => Due::ReadOn,
        }
    }
}

/// Those that start by themselves, when what they wait for begins. The others run as long as the connection.
const STARTED: u8 = !(bit(Timer::Sent) | bit(Timer::Received));

const fn bit(timer: Timer) -> u8 {
    1 << timer as u8
}

/// When the time limits of one connection began.
///
/// Times are in steps of 256 µs, and two of them are compared by their distance, which may be six days: half the code
/// and half the memory of 64 bits on a small processor.
#[derive(Debug)]
pub(super) struct Timers {
    starts: [u32; TIMERS.len()],
    /// A bit for each timer that runs; only those of [`STARTED`] are asked for.
    running: u8,
    /// PINGREQ sent or about to be, without PINGRESP yet.
    pings: u8,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            starts: [0; TIMERS.len()],
            running: 0,
            pings: 0,
        }
    }

    pub(super) fn handle_opened(&mut self, now: Instant) {
        self.set(Timer::Sent, now);
        self.set(Timer::Received, now);
        self.set(Timer::ConnAck, now);
        self.running = bit(Timer::ConnAck);
    }

    pub(super) fn handle_written(&mut self, now: Instant) {
        self.set(Timer::Sent, now);
        self.stop(Timer::Write);
    }

    /// Any byte is a sign of life, that of a large packet still arriving too.
    pub(super) fn handle_life(&mut self, now: Instant) {
        self.set(Timer::Received, now);
        self.stop(Timer::PingResponse);
    }

    /// False if no PINGREQ was answered by it.
    pub(super) fn handle_ping_response(&mut self) -> bool {
        let asked = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        asked
    }

    /// Another packet of this kind is the oldest.
    pub(super) fn handle_acknowledged(&mut self, kind: Kind) {
        self.stop(match kind {
            Kind::Publish => Timer::Acknowledgement,
            Kind::Control => Timer::Answer,
        });
    }

    /// It starts anew, if it runs.
    fn stop(&mut self, timer: Timer) {
        self.running &= !bit(timer);
    }

    fn set(&mut self, timer: Timer, now: Instant) {
        self.starts[timer as usize] = steps(now.as_micros());
    }
}

impl<S: Storage> Session<S> {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something happens before. To be asked
    /// last, before the caller sleeps; `None` without connection.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let (left, _) = self.update_timers(now);
        let step_began = now.as_micros() >> STEP_BITS << STEP_BITS;
        (left != NEVER)
            .then(|| Instant::from_micros(step_began.wrapping_add(u64::from(left) << STEP_BITS)))
    }

    /// Acts on what is due. Bytes already readable must have gone through [`handle_input`](Self::handle_input)
    /// before, so that a busy caller does not take a live link for a dead one.
    ///
    /// # Errors
    /// The connection is over: close the transport and call [`handle_closed`](Self::handle_closed).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let (left, due) = self.update_timers(now);
        if left > 0 {
            return Ok(());
        }
        match due {
            Due::Fail(timeout) => return Err(Error::Timeout(timeout)),
            Due::ReadOn if self.link.lacks_given_up() => self.cycle(),
            Due::ReadOn => {
                self.link.reading = Reading::Overrun;
                self.link.timers.handle_life(now);
                self.event = Some(Event::ReadOn);
            }
            Due::Ping => {
                self.link.ping_wanted = true;
                let timers = &mut self.link.timers;
                timers.pings = timers.pings.saturating_add(1);
                // In the caller's buffer it may wait for the transport: the next one is not due before its own interval.
                timers.set(Timer::Sent, now);
            }
        }
        Ok(())
    }

    /// Starts and stops the timers by the state of the session. Returns what is due first, and the steps until then.
    #[inline(never)]
    fn update_timers(&mut self, now: Instant) -> (u32, Due) {
        let now = steps(now.as_micros());
        let config = self.config.borrow();
        let link = &mut self.link;
        let lacks_given_up = link.lacks_given_up();
        let timers = &mut link.timers;
        let seconds = u32::from(config.keep_alive.map_or(0, NonZeroU16::get));
        let connecting = link.phase == Phase::Connecting;
        let unwritten = link.staged != link.written || !link.packet.is_none();
        // while nothing is read, no answer can come
        let paused = link.reading == Reading::Paused;
        let pinged = timers.pings > 0;
        // what is half handed out cannot be acknowledged
        let half_sent = u16::from(link.packet.is_of(Kind::Publish));
        let published = self.outbox.publishes().in_flight() > half_sent;
        let asked = self.outbox.controls().in_flight() > 0;
        let stalls = lacks_given_up || paused && (published || asked);

        let ack_span = config.ack_timeout.map_or(NEVER, TimeLimit::steps);
        // within a packet it cannot leave, nor twice; there the write time-out guards
        let can_ping = link.phase == Phase::Connected && link.packet.is_none() && !link.ping_wanted;
        let ping_span = span_if(can_ping && seconds > 0, ping_interval(seconds));
        // in the order of the timers
        let spans = [
            ping_span,
            // with one under way, no second one is due for the silence of the peer
            span_if(!pinged, ping_span),
            span_if(connecting, config.connect_timeout.steps()),
            span_if(pinged && !paused, ping_timeout(seconds)),
            span_if(unwritten, config.write_timeout.steps()),
            span_if(published && !paused, ack_span),
            span_if(asked && !paused, ack_span),
            span_if(stalls, config.stall_timeout.steps()),
        ];
        let mut running = 0;
        let mut first = (NEVER, Timer::Sent);
        for timer in &TIMERS {
            let span = spans[*timer as usize];
            if span == NEVER {
                continue;
            }
            let bit = bit(*timer);
            running |= bit;
            let start = &mut timers.starts[*timer as usize];
            if STARTED & !timers.running & bit != 0 {
                *start = now;
            }
            let left = left(now, *start, span);
            if left < first.0 {
                first = (left, *timer);
            }
        }
        timers.running = running;
        let (left, timer) = first;
        (left, timer.due())
    }

    /// The caller stops reading because its consumers cannot keep up. The deadline of a PINGRESP pauses as well.
    pub fn handle_paused(&mut self) {
        if self.link.reading == Reading::On {
            self.link.reading = Reading::Paused;
        }
    }

    /// The caller reads again.
    pub fn handle_resumed(&mut self, now: Instant) {
        if self.link.reading == Reading::Paused {
            self.link.reading = Reading::On;
            self.link.timers.stop(Timer::Stall);
            self.link.timers.handle_life(now);
        }
    }
}

/// Microseconds in steps of 256, modulo 2³².
const fn steps(micros: u64) -> u32 {
    (micros >> STEP_BITS) as u32
}

/// No limit.
const NEVER: u32 = u32::MAX;

/// No limit, if there is nothing to wait for.
const fn span_if(waits: bool, span: u32) -> u32 {
    if waits { span } else { NEVER }
}

/// Steps from `now` until `span` after `start`; all of them if `now` is the earlier one, as the clock of a caller that
/// asked it before somebody else did.
fn left(now: u32, start: u32, span: u32) -> u32 {
    let left = start.wrapping_add(span).wrapping_sub(now) as i32;
    (left.max(0) as u32).min(span)
}

/// Three quarters of Keep Alive: the broker is to have heard of us, and we of it, before it runs out.
const fn ping_interval(seconds: u32) -> u32 {
    (seconds * (750_000 >> 4)) >> (STEP_BITS - 4)
}

/// Half of Keep Alive.
const fn ping_timeout(seconds: u32) -> u32 {
    (seconds * (500_000 >> 5)) >> (STEP_BITS - 5)
}
