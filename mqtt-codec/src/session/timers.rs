use super::link::{Phase, Reading};
use super::{Config, Duration, Error, Event, Instant, Session, Storage, Timeout};

/// A deadline of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    ConnAck,
    PingResponse,
    Write,
    Acknowledgement,
    Stall,
}

const TIMERS: [Timer; 5] = [
    Timer::ConnAck,
    Timer::PingResponse,
    Timer::Write,
    Timer::Acknowledgement,
    Timer::Stall,
];

/// The deadlines of one connection, and the times that Keep Alive runs from.
#[derive(Debug)]
pub(super) struct Timers {
    deadlines: [Option<Instant>; TIMERS.len()],
    last_sent: Instant,
    last_received: Instant,
    /// PINGREQ sent or about to be, without PINGRESP yet.
    pings: u16,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            deadlines: [None; TIMERS.len()],
            last_sent: Instant::ZERO,
            last_received: Instant::ZERO,
            pings: 0,
        }
    }

    pub(super) fn handle_opened(&mut self, now: Instant, config: &Config) {
        self.last_sent = now;
        self.last_received = now;
        self.set(Timer::ConnAck, Some(now + config.connect_timeout));
    }

    pub(super) fn handle_connected(&mut self) {
        self.set(Timer::ConnAck, None);
    }

    fn handle_received(&mut self, now: Instant, ping_deadline: Option<Instant>) {
        self.last_received = now;
        if self.pings > 0 {
            self.set(Timer::PingResponse, ping_deadline);
        }
    }

    pub(super) fn handle_written(&mut self, now: Instant) {
        self.last_sent = now;
        self.set(Timer::Write, None);
    }

    /// False if no PINGREQ was answered by it.
    pub(super) fn handle_ping_response(&mut self) -> bool {
        let asked = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        if self.pings == 0 {
            self.set(Timer::PingResponse, None);
        }
        asked
    }

    pub(super) fn handle_acknowledged(&mut self) {
        self.set(Timer::Acknowledgement, None);
    }

    fn ping_due(&self, config: &Config) -> Option<Instant> {
        let since = if self.pings > 0 {
            self.last_sent
        } else {
            self.last_sent.min(self.last_received)
        };
        Some(since + ping_interval(config)?)
    }

    fn set(&mut self, timer: Timer, deadline: Option<Instant>) {
        if let Some(place) = self.deadlines.get_mut(timer as usize) {
            *place = deadline;
        }
    }

    /// Starts the timer if it should run and does not; stops it if it should not.
    fn run(&mut self, timer: Timer, deadline: Option<Instant>) {
        if let Some(place) = self.deadlines.get_mut(timer as usize) {
            *place = deadline.map(|fresh| place.unwrap_or(fresh));
        }
    }

    fn earliest(&self) -> Option<Instant> {
        self.deadlines.iter().filter_map(|deadline| *deadline).min()
    }

    fn expired(&self, now: Instant) -> Option<Timer> {
        let due = |&(_, deadline): &(_, &Option<Instant>)| {
            deadline.is_some_and(|deadline| deadline <= now)
        };
        TIMERS
            .iter()
            .zip(&self.deadlines)
            .find(due)
            .map(|(timer, _)| *timer)
    }
}

/// Three quarters of Keep Alive: the broker is to have heard of us, and we of it, before it runs out.
fn ping_interval(config: &Config) -> Option<Duration> {
    Some(Duration::from_micros(
        u64::from(config.keep_alive?.get()) * 750_000,
    ))
}

/// Half of Keep Alive: a silent peer is noticed within one and a quarter of it.
fn ping_timeout(config: &Config) -> Option<Duration> {
    Some(Duration::from_micros(
        u64::from(config.keep_alive?.get()) * 500_000,
    ))
}

impl<S: Storage> Session<S> {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called, unless something happens before. To be asked
    /// last, before the caller sleeps; `None` without connection.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.link.phase == Phase::Closed {
            return None;
        }
        let link = &mut self.link;
        let unwritten = link.staged != link.written || !link.packet.is_none();
        link.timers.run(
            Timer::Write,
            unwritten.then(|| now + self.config.write_timeout),
        );
        // while nothing is read, no acknowledgement can come
        let awaited = self.publishes.in_flight() > 0 && link.reading != Reading::Paused;
        let ack_timeout = self.config.ack_timeout.filter(|_| awaited);
        link.timers.run(
            Timer::Acknowledgement,
            ack_timeout.map(|timeout| now + timeout),
        );
        let stalls = link.reading == Reading::Paused && self.awaits_answer();
        let timers = &mut self.link.timers;
        timers.run(
            Timer::Stall,
            stalls.then(|| now + self.config.stall_timeout),
        );
        let ping = self
            .link
            .timers
            .ping_due(&self.config)
            .filter(|_| self.pings_now());
        let deadline = self.link.timers.earliest();
        match (ping, deadline) {
            (Some(ping), Some(deadline)) => Some(ping.min(deadline)),
            (ping, deadline) => ping.or(deadline),
        }
    }

    /// Acts on what is due. Bytes already readable must have gone through [`handle_input`](Self::handle_input)
    /// before, so that a busy caller does not take a live link for a dead one.
    ///
    /// # Errors
    /// The connection is over: close the transport and call [`handle_closed`](Self::handle_closed).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.pings_now()
            && self
                .link
                .timers
                .ping_due(&self.config)
                .is_some_and(|due| due <= now)
        {
            self.link.ping_wanted = true;
            let deadline = self.ping_deadline(now);
            let timers = &mut self.link.timers;
            timers.pings = timers.pings.saturating_add(1);
            // In the caller's buffer it may wait for the transport: the next one is not due before its own interval.
            timers.last_sent = now;
            timers.run(Timer::PingResponse, deadline);
        }
        let timeout = match self.link.timers.expired(now) {
            None => return Ok(()),
            Some(Timer::Stall) => {
                self.link.timers.set(Timer::Stall, None);
                self.link.reading = Reading::Overrun;
                self.handle_life(now);
                self.event = Some(Event::ReadOn);
                return Ok(());
            }
            Some(Timer::ConnAck) => Timeout::ConnAck,
            Some(Timer::PingResponse) => Timeout::PingResponse,
            Some(Timer::Write) => Timeout::Write,
            Some(Timer::Acknowledgement) => Timeout::Acknowledgement,
        };
        Err(Error::Timeout(timeout))
    }

    /// The caller stops reading because its consumers cannot keep up. The deadline of a PINGRESP pauses as well.
    pub fn handle_paused(&mut self) {
        if self.link.reading == Reading::On {
            self.link.reading = Reading::Paused;
            self.link.timers.set(Timer::PingResponse, None);
        }
    }

    /// The caller reads again.
    pub fn handle_resumed(&mut self, now: Instant) {
        if self.link.reading == Reading::Paused {
            self.link.reading = Reading::On;
            self.link.timers.set(Timer::Stall, None);
            self.handle_life(now);
        }
    }

    /// Any byte is a sign of life, that of a large packet still arriving too.
    pub(super) fn handle_life(&mut self, now: Instant) {
        let deadline = self.ping_deadline(now);
        self.link.timers.handle_received(now, deadline);
    }

    /// When an answer to a PINGREQ of now is overdue; never while nothing is read.
    fn ping_deadline(&self, now: Instant) -> Option<Instant> {
        if self.link.reading == Reading::Paused {
            return None;
        }
        ping_timeout(&self.config).map(|timeout| now + timeout)
    }

    /// A PINGREQ can neither leave within a packet nor twice; there the write time-out guards.
    fn pings_now(&self) -> bool {
        self.link.phase == Phase::Connected && self.link.packet.is_none() && !self.link.ping_wanted
    }
}
