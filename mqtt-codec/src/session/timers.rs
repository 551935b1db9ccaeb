use super::link::{Phase, Reading};
use super::{Config, Duration, Error, Event, Instant, Session, Storage, Timeout};

/// A deadline of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    ConnAck,
    PingRequest,
    PingResponse,
    Write,
    Acknowledgement,
    Stall,
}

const TIMERS: [Timer; 6] = [
    Timer::ConnAck,
    Timer::PingRequest,
    Timer::PingResponse,
    Timer::Write,
    Timer::Acknowledgement,
    Timer::Stall,
];

/// The deadlines of one connection, and the times that Keep Alive runs from.
#[derive(Debug)]
pub(super) struct Timers {
    /// [`Instant::NEVER`] for one that does not run.
    deadlines: [Instant; TIMERS.len()],
    last_sent: Instant,
    last_received: Instant,
    /// PINGREQ sent or about to be, without PINGRESP yet.
    pings: u16,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            deadlines: [Instant::NEVER; TIMERS.len()],
            last_sent: Instant::ZERO,
            last_received: Instant::ZERO,
            pings: 0,
        }
    }

    pub(super) fn handle_opened(&mut self, now: Instant, config: &Config) {
        self.last_sent = now;
        self.last_received = now;
        self.run(Timer::ConnAck, now, config.connect_timeout);
    }

    pub(super) fn handle_connected(&mut self) {
        self.stop(Timer::ConnAck);
    }

    pub(super) fn handle_written(&mut self, now: Instant) {
        self.last_sent = now;
        self.stop(Timer::Write);
    }

    /// False if no PINGREQ was answered by it.
    pub(super) fn handle_ping_response(&mut self) -> bool {
        let asked = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        if self.pings == 0 {
            self.stop(Timer::PingResponse);
        }
        asked
    }

    pub(super) fn handle_acknowledged(&mut self) {
        self.stop(Timer::Acknowledgement);
    }

    /// What Keep Alive runs from: with a PINGREQ under way no second one is due for the silence of the peer.
    fn silent_since(&self) -> Instant {
        if self.pings > 0 {
            self.last_sent
        } else {
            self.last_sent.min(self.last_received)
        }
    }

    fn deadline(&self, timer: Timer) -> Instant {
        let deadline = self.deadlines.get(timer as usize);
        deadline.copied().unwrap_or(Instant::NEVER)
    }

    fn set(&mut self, timer: Timer, deadline: Instant) {
        if let Some(place) = self.deadlines.get_mut(timer as usize) {
            *place = deadline;
        }
    }

    fn stop(&mut self, timer: Timer) {
        self.set(timer, Instant::NEVER);
    }

    /// Starts the timer unless it runs; [`Duration::FOREVER`] stops it.
    #[inline(never)]
    fn run(&mut self, timer: Timer, now: Instant, span: Duration) {
        if self.deadline(timer) == Instant::NEVER || span == Duration::FOREVER {
            self.set(timer, now + span);
        }
    }

    /// The timer that is due first; any if none runs.
    fn earliest(&self) -> Timer {
        let mut earliest = Timer::ConnAck;
        for timer in TIMERS {
            if self.deadline(timer) < self.deadline(earliest) {
                earliest = timer;
            }
        }
        earliest
    }
}

impl<S: Storage> Session<S> {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something happens before. To be asked
    /// last, before the caller sleeps; `None` without connection.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let timer = self.update_timers(now);
        let deadline = self.link.timers.deadline(timer);
        (deadline != Instant::NEVER).then_some(deadline)
    }

    /// Acts on what is due. Bytes already readable must have gone through [`handle_input`](Self::handle_input)
    /// before, so that a busy caller does not take a live link for a dead one.
    ///
    /// # Errors
    /// The connection is over: close the transport and call [`handle_closed`](Self::handle_closed).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let timer = self.update_timers(now);
        if self.link.timers.deadline(timer) > now {
            return Ok(());
        }
        Err(Error::Timeout(match timer {
            Timer::ConnAck => Timeout::ConnAck,
            Timer::PingResponse => Timeout::PingResponse,
            Timer::Write => Timeout::Write,
            Timer::Acknowledgement => Timeout::Acknowledgement,
            Timer::PingRequest => {
                self.link.ping_wanted = true;
                let span = self.ping_timeout();
                let timers = &mut self.link.timers;
                timers.pings = timers.pings.saturating_add(1);
                // In the caller's buffer it may wait for the transport: the next one is not due before its own interval.
                timers.last_sent = now;
                timers.run(Timer::PingResponse, now, span);
                return Ok(());
            }
            Timer::Stall => {
                self.link.timers.stop(Timer::Stall);
                self.link.reading = Reading::Overrun;
                self.handle_life(now);
                self.event = Some(Event::ReadOn);
                return Ok(());
            }
        }))
    }

    /// Starts and stops what depends on the state of the session; returns the timer that is due first.
    #[inline(never)]
    fn update_timers(&mut self, now: Instant) -> Timer {
        let paused = self.link.reading == Reading::Paused;
        let unwritten = self.link.staged != self.link.written || !self.link.packet.is_none();
        // while nothing is read, no acknowledgement can come
        let awaited = self.outbox.publishes.in_flight() > 0 && !paused;
        let stalls = paused && self.awaits_answer();
        let ack_timeout = self.config.ack_timeout.unwrap_or(Duration::FOREVER);
        for (timer, runs, span) in [
            (Timer::Write, unwritten, self.config.write_timeout),
            (Timer::Acknowledgement, awaited, ack_timeout),
            (Timer::Stall, stalls, self.config.stall_timeout),
        ] {
            let span = if runs { span } else { Duration::FOREVER };
            self.link.timers.run(timer, now, span);
        }
        let due = self.ping_due();
        self.link.timers.set(Timer::PingRequest, due);
        self.link.timers.earliest()
    }

    /// The caller stops reading because its consumers cannot keep up. The deadline of a PINGRESP pauses as well.
    pub fn handle_paused(&mut self) {
        if self.link.reading == Reading::On {
            self.link.reading = Reading::Paused;
            self.link.timers.stop(Timer::PingResponse);
        }
    }

    /// The caller reads again.
    pub fn handle_resumed(&mut self, now: Instant) {
        if self.link.reading == Reading::Paused {
            self.link.reading = Reading::On;
            self.link.timers.stop(Timer::Stall);
            self.handle_life(now);
        }
    }

    /// Any byte is a sign of life, that of a large packet still arriving too.
    pub(super) fn handle_life(&mut self, now: Instant) {
        let span = self.ping_timeout();
        let timers = &mut self.link.timers;
        timers.last_received = now;
        if timers.pings > 0 {
            timers.stop(Timer::PingResponse);
            timers.run(Timer::PingResponse, now, span);
        }
    }

    /// When a PINGREQ is due: after three quarters of Keep Alive, so that the broker has heard of us, and we of it,
    /// before it runs out. It can neither leave within a packet nor twice; there the write time-out guards.
    fn ping_due(&self) -> Instant {
        match self.config.keep_alive {
            Some(seconds)
                if self.link.phase == Phase::Connected
                    && self.link.packet.is_none()
                    && !self.link.ping_wanted =>
            {
                let span = Duration::from_micros(u64::from(seconds.get()) * 750_000);
                self.link.timers.silent_since() + span
            }
            _ => Instant::NEVER,
        }
    }

    /// How long the answer to a PINGREQ may take: half of Keep Alive, so that a silent peer is noticed within one and
    /// a quarter of it. No limit while nothing is read.
    fn ping_timeout(&self) -> Duration {
        match self.config.keep_alive {
            Some(seconds) if self.link.reading != Reading::Paused => {
                Duration::from_micros(u64::from(seconds.get()) * 500_000)
            }
            _ => Duration::FOREVER,
        }
    }
}
