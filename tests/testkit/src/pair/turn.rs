use std::collections::VecDeque;

use mqtt_codec::session::{Duration, Event, Identity, Instant, Next};
use mqtt_codec::wire::{Binary, ClientId, QoS, Retain, TopicName, Will};

use crate::{Brought, Pipe};

use super::{CLIENT, Connection, Pair};

/// Turns without time passing after which the client counts as spinning.
const SPINNING: usize = 1_000_000;
/// Calls of `handle_timeout` without time passing after which the client counts as spinning.
const SPINNING_TIMEOUTS: usize = 20;

impl Pair {
    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration, |_| false);
    }

    /// Lets time pass until `is_done`, at most an hour.
    ///
    /// # Panics
    /// It is not done by then.
    pub fn run_to(&mut self, is_done: impl FnMut(&Self) -> bool) {
        let done = self.run_until(self.now + Duration::from_secs(3_600), is_done);
        assert!(done, "not done after an hour: {self:#?}");
    }

    /// Lets time pass until everything accepted is settled.
    pub fn run_to_idle(&mut self) {
        self.run_to(|pair| pair.session.is_idle());
    }

    fn run_until(&mut self, end: Instant, mut is_done: impl FnMut(&Self) -> bool) -> bool {
        let mut turns = 0;
        let mut timeouts = 0;
        loop {
            while self.turn() {
                turns += 1;
                assert!(turns < SPINNING, "spins: {self:#?}");
                if is_done(self) {
                    return true;
                }
            }
            if is_done(self) {
                return true;
            }
            if self.is_timeout_due() {
                timeouts += 1;
                assert!(
                    timeouts < SPINNING_TIMEOUTS,
                    "the deadline stays in the past: {self:#?}"
                );
                let result = self.session.handle_timeout(self.now);
                self.note_event();
                if let Err(error) = result {
                    self.errors.push(error);
                    self.close();
                }
                continue;
            }
            if self.is_network_quiet() && self.broker.handle_quiet() {
                continue;
            }
            turns = 0;
            timeouts = 0;
            match self.next_instant() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return is_done(self);
                }
            }
        }
    }

    /// Everything that can happen at this instant, once. True if something did.
    fn turn(&mut self) -> bool {
        if self.connection.is_none() {
            return self.open_if_due();
        }
        self.carry_up()
            | self.carry_down()
            | self.take_input()
            | self.renew()
            | self.transmit()
            | self.write()
            | self.close_if_wanted()
    }

    fn open_if_due(&mut self) -> bool {
        if self.network.is_down || self.reopen_at.is_none_or(|due| due > self.now) {
            return false;
        }
        self.reopen_at = None;
        let will = self.will.clone();
        let identity = Identity {
            client_id: ClientId::new(CLIENT).expect("legal"),
            login: None,
            will: will.as_ref().map(|payload| Will {
                topic: TopicName::new("will").expect("legal"),
                payload: Binary::new(payload).expect("short"),
                qos: QoS::AtMostOnce,
                retain: Retain::No,
            }),
        };
        let mut buffer = [0; 256];
        let len = self
            .session
            .open(self.now, &identity, &mut buffer)
            .expect("CONNECT fits");
        self.tap.handle_opened(len);
        self.connections += 1;
        self.connection = Some(Connection {
            link: self.broker.open(),
            up: Pipe::default(),
            down: Pipe::default(),
            inbox: Vec::new(),
            staged: VecDeque::from(buffer[..len].to_vec()),
            is_first_packet: true,
            is_paused: false,
        });
        true
    }

    fn carry_up(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        if self.network.is_up_stalled {
            return false;
        }
        let max = before_cut(self.network.cut_up_at, self.arrived_up);
        let Some(bytes) = connection.up.pop(self.now, max) else {
            return false;
        };
        let link = connection.link;
        self.arrived_up += bytes.len();
        self.broker.handle_input(link, &bytes);
        if self.network.cut_up_at == Some(self.arrived_up) {
            self.network.cut_up_at = None;
            self.cut();
        }
        true
    }

    fn carry_down(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let output = self.broker.take_output(connection.link);
        connection
            .down
            .push(&output, self.now + self.network.latency, self.network.chunk);
        let is_paused = connection.is_paused || self.network.is_down_stalled;
        let room = self.session.config().receive_buffer as usize - connection.inbox.len();
        let max = before_cut(self.network.cut_down_at, self.arrived_down).min(room);
        let arrived = if is_paused {
            None
        } else {
            connection.down.pop(self.now, max)
        };
        if let Some(bytes) = arrived {
            self.arrived_down += bytes.len();
            connection.inbox.extend(bytes);
            if self.network.cut_down_at == Some(self.arrived_down) {
                self.network.cut_down_at = None;
                self.take_input();
                self.cut();
            }
            return true;
        }
        let hung_up = self.broker.is_closed(connection.link) && connection.down.is_empty();
        if hung_up && !is_paused {
            self.cut();
            return true;
        }
        !output.is_empty()
    }

    fn take_input(&mut self) -> bool {
        let mut any = false;
        while let Some(connection) = &mut self.connection {
            if connection.is_paused || connection.inbox.is_empty() {
                break;
            }
            let (consumed, brought) = match self.session.handle_input(self.now, &connection.inbox) {
                Ok((consumed, input)) => (consumed, input.map(Brought::from)),
                Err(error) => {
                    self.errors.push(error);
                    self.close();
                    return true;
                }
            };
            if connection.is_first_packet && consumed > 0 {
                connection.is_first_packet = false;
                if connection.inbox.starts_with(&[0x20, 2, 0, 0]) {
                    self.tap.handle_session_absent();
                }
            }
            connection.inbox.drain(..consumed);
            self.note_change();
            let nothing = brought.is_none();
            if let Some(brought) = brought {
                self.take_in(brought);
            }
            if consumed == 0 && nothing {
                break;
            }
            any = true;
        }
        any
    }

    fn transmit(&mut self) -> bool {
        let mut any = false;
        while let Some(connection) = &mut self.connection {
            let room = self.stage_limit.saturating_sub(connection.staged.len());
            if room == 0 {
                break;
            }
            let Some(transmit) = self.session.poll_transmit() else {
                break;
            };
            let mut bytes = transmit.bytes.concat();
            if let Some(dup) = transmit.begins {
                self.tap.handle_begin(transmit.bytes[1], dup);
            }
            if let Some(range) = transmit.payload {
                let from = range.offset as usize;
                bytes.extend(&range.handle.payload()[from..from + range.len as usize]);
            }
            bytes.truncate(room.min(self.step_limit));
            self.session.advance(bytes.len());
            self.tap.handle_staged(bytes.len());
            connection.staged.extend(bytes);
            any = true;
        }
        any
    }

    fn write(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let room = self.network.room.saturating_sub(connection.up.len());
        let n = connection.staged.len().min(room);
        if n == 0 {
            return false;
        }
        let bytes: Vec<u8> = connection.staged.drain(..n).collect();
        let due = self.now + self.network.latency;
        connection.up.push(&bytes, due, self.network.chunk);
        self.session.handle_written(self.now, n);
        self.tap.handle_written(n);
        true
    }

    fn close_if_wanted(&mut self) -> bool {
        let wanted = self.connection.is_some() && self.session.wants_close();
        if wanted {
            self.close();
        }
        wanted
    }

    /// The client closes its transport: what the transport has taken still arrives.
    fn close(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let late = Instant::from_micros(u64::MAX);
        while !self.network.is_up_stalled {
            let max = before_cut(self.network.cut_up_at, self.arrived_up);
            let Some(bytes) = connection.up.pop(late, max) else {
                break;
            };
            self.arrived_up += bytes.len();
            self.broker.handle_input(connection.link, &bytes);
        }
        if self.network.cut_up_at == Some(self.arrived_up) {
            self.network.cut_up_at = None;
        }
        self.broker.handle_closed(connection.link);
        self.handle_closed();
    }

    pub(super) fn handle_closed(&mut self) {
        self.session.count_attempt();
        let next = self.session.handle_closed();
        self.note_change();
        self.note_event();
        self.reopen_at = match next {
            Next::Now => Some(self.now),
            Next::AfterBackoff => Some(self.now + self.backoff),
            Next::Never => None,
        };
    }

    pub(super) fn note_change(&mut self) {
        self.changes.extend(self.session.take_change());
    }

    fn note_event(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if let (Event::ReadOn, Some(connection)) = (&event, &mut self.connection) {
                connection.is_paused = false;
            }
            self.events.push(event);
        }
    }

    fn is_timeout_due(&mut self) -> bool {
        let due = self.session.poll_timeout(self.now);
        self.connection.is_some() && due.is_some_and(|due| due <= self.now)
    }

    fn is_network_quiet(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.up.is_empty() && connection.down.is_empty())
    }

    fn next_instant(&mut self) -> Option<Instant> {
        let Some(connection) = &self.connection else {
            return self.reopen_at.filter(|_| !self.network.is_down);
        };
        let up = connection.up.next_arrival();
        let down = connection.down.next_arrival();
        [
            up.filter(|_| !self.network.is_up_stalled),
            down.filter(|_| !self.network.is_down_stalled && !connection.is_paused),
            self.session.poll_timeout(self.now),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Bytes that may arrive before the connection is cut.
fn before_cut(cut_at: Option<usize>, arrived: usize) -> usize {
    cut_at.map_or(usize::MAX, |at| at.saturating_sub(arrived))
}
