use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mqtt_codec::wire::PacketType;
use testkit::{Broker, Frame, LinkId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{Notify, watch},
    time::{Instant, sleep},
};

/// The broker model behind streams in memory, and the hand that cuts them.
///
/// ```text
/// client ═ stream, 64 KiB each way ═ pump (a task for each connection) ─ broker model
/// ```
#[derive(Clone, Debug, Default)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<watch::Sender<()>>,
}

/// One connection that a client has opened.
#[derive(Clone, Debug)]
pub struct Link {
    id: LinkId,
    notify: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    broker: Broker,
    links: Vec<Wire>,
    dials: Vec<Instant>,
    is_down: bool,
    takes_nothing: bool,
    /// Bytes of the client that the transport takes in a tenth of a second.
    rate: Option<usize>,
    cut_after_input: Option<usize>,
    cut_after_output: Option<usize>,
}

#[derive(Debug)]
struct Wire {
    link: Link,
    output: Vec<u8>,
    is_cut: bool,
    is_over: bool,
}

/// What a stream holds in each direction, as sockets do, bytes.
const BUFFER: usize = 64 * 1_024;
/// Attempts of one test, at most.
const DIALS: usize = 10_000;

impl World {
    /// Opens a stream to the broker.
    ///
    /// # Errors
    /// The broker is [`down`](Self::set_down).
    pub fn dial(&self) -> io::Result<DuplexStream> {
        let mut inner = self.lock();
        if inner.dials.len() >= DIALS {
            // a panic would be one more failed attempt
            eprintln!("the client connects for ever, and the clock does not stop it");
            std::process::abort();
        }
        inner.dials.push(Instant::now());
        if inner.is_down {
            drop(inner);
            self.changed.send_replace(());
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = duplex(BUFFER);
        let link = Link {
            id: inner.broker.open(),
            notify: Arc::default(),
        };
        inner.links.push(Wire {
            link: link.clone(),
            output: Vec::new(),
            is_cut: false,
            is_over: false,
        });
        drop(inner);
        tokio::spawn(pump(self.clone(), link, server));
        Ok(client)
    }

    /// Looks at the broker, or has it do something.
    pub fn broker<T>(&self, act: impl FnOnce(&mut Broker) -> T) -> T {
        let mut inner = self.lock();
        let result = act(&mut inner.broker);
        inner.notify_all();
        result
    }

    /// Waits until the broker has come to this.
    pub async fn until<T>(&self, mut reached: impl FnMut(&mut Broker) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(value) = reached(&mut self.lock().broker) {
                return value;
            }
            changed.changed().await.expect("the world has a sender");
        }
    }

    /// Waits until so many packets of this type have come, on all connections.
    pub async fn arrived(&self, packet_type: PacketType, count: usize) -> Vec<Frame> {
        self.until(|broker| {
            let frames: Vec<Frame> = broker
                .arrivals()
                .iter()
                .map(|arrival| &arrival.frame)
                .filter(|frame| frame.packet_type() == packet_type)
                .cloned()
                .collect();
            (frames.len() >= count).then_some(frames)
        })
        .await
    }

    /// The packets that the `n`-th connection has brought, from 0.
    #[must_use]
    pub fn frames(&self, n: usize) -> Vec<Frame> {
        let of_link = |arrival: &&testkit::Arrival| arrival.link == LinkId(n);
        let inner = self.lock();
        let arrivals = inner.broker.arrivals().iter().filter(of_link);
        arrivals.map(|arrival| arrival.frame.clone()).collect()
    }

    /// The packet types of the `n`-th connection, from 0.
    #[must_use]
    pub fn packet_types(&self, n: usize) -> Vec<PacketType> {
        self.frames(n).iter().map(Frame::packet_type).collect()
    }

    /// Connections that were opened.
    #[must_use]
    pub fn links(&self) -> usize {
        self.lock().links.len()
    }

    /// When attempts were made, the failed ones included.
    #[must_use]
    pub fn dials(&self) -> Vec<Instant> {
        self.lock().dials.clone()
    }

    /// Waits for so many attempts.
    pub async fn dialed(&self, count: usize) {
        let mut changed = self.changed.subscribe();
        while self.lock().dials.len() < count {
            changed.changed().await.expect("the world has a sender");
        }
    }

    /// Waits until every connection is over.
    pub async fn all_closed(&self) {
        let mut changed = self.changed.subscribe();
        while !self.lock().links.iter().all(|wire| wire.is_over) {
            changed.changed().await.expect("the world has a sender");
        }
    }

    /// From now on attempts to connect fail, or do so no longer.
    pub fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    /// From now on the transport takes nothing from the client and gives it nothing.
    pub fn take_nothing(&self) {
        self.lock().takes_nothing = true;
    }

    /// From now on the transport takes so many bytes from the client in a second, and not more.
    pub fn take_slowly(&self, bytes_per_second: usize) {
        self.lock().rate = Some(bytes_per_second / 10);
    }

    /// Ends every connection without a word; what is under way is lost.
    pub fn cut(&self) {
        let mut inner = self.lock();
        for wire in &mut inner.links {
            wire.is_cut = true;
        }
        inner.notify_all();
    }

    /// Cuts, once, when so many more bytes of the client have reached the broker.
    pub fn cut_after_input(&self, bytes: usize) {
        self.lock().cut_after_input = Some(bytes);
    }

    /// Cuts, once, when so many more bytes have reached the client.
    pub fn cut_after_output(&self, bytes: usize) {
        self.lock().cut_after_output = Some(bytes);
    }

    /// Sends the client bytes that no broker would, on every open connection.
    pub fn inject(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        for wire in inner.links.iter_mut().filter(|wire| !wire.is_over) {
            wire.output.extend_from_slice(bytes);
        }
        inner.notify_all();
    }

    /// The client has obeyed the rules so far.
    ///
    /// # Panics
    /// It has not.
    pub fn assert_no_complaints(&self) {
        let inner = self.lock();
        assert!(
            inner.broker.complaints().is_empty(),
            "{:?}",
            inner.broker.complaints()
        );
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn notify_all(&self) {
        for wire in &self.links {
            wire.link.notify.notify_one();
        }
    }

    fn wire(&mut self, link: &Link) -> &mut Wire {
        &mut self.links[link.id.0]
    }

    /// Bytes of the client have come; true if the link is to be cut.
    fn handle_input(&mut self, link: &Link, bytes: &[u8]) -> bool {
        let taken = match &mut self.cut_after_input {
            Some(left) if *left <= bytes.len() => {
                let taken = *left;
                self.cut_after_input = None;
                self.broker.handle_input(link.id, &bytes[..taken]);
                return true;
            }
            Some(left) => {
                *left -= bytes.len();
                bytes
            }
            None => bytes,
        };
        self.broker.handle_input(link.id, taken);
        false
    }

    /// Bytes for the client, `None` if the link is over.
    fn poll_output(&mut self, link: &Link) -> Option<Vec<u8>> {
        let of_broker = self.broker.take_output(link.id);
        let is_closed = self.broker.is_closed(link.id);
        let wire = self.wire(link);
        wire.output.extend(of_broker);
        if wire.is_cut || (is_closed && wire.output.is_empty()) {
            return None;
        }
        let mut output = wire.output.clone();
        if let Some(left) = self.cut_after_output {
            output.truncate(left);
        }
        Some(output)
    }

    /// The client's stream took so many bytes; true if the link is to be cut.
    fn handle_sent(&mut self, link: &Link, n: usize) -> bool {
        self.wire(link).output.drain(..n);
        if let Some(left) = &mut self.cut_after_output {
            *left -= n;
            if *left == 0 {
                self.cut_after_output = None;
                return true;
            }
        }
        false
    }
}

async fn pump(world: World, link: Link, stream: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; BUFFER];
    loop {
        let (output, blocked, rate) = {
            let mut inner = world.lock();
            let Some(output) = inner.poll_output(&link) else {
                break;
            };
            (output, inner.takes_nothing, inner.rate)
        };
        let most = rate.unwrap_or(BUFFER);
        let cut = tokio::select! {
            () = link.notify.notified() => false,
            read = reader.read(&mut buffer[..most]), if !blocked => match read {
                Ok(n) if n > 0 => {
                    if rate.is_some() {
                        sleep(Duration::from_millis(100)).await;
                    }
                    let mut inner = world.lock();
                    let cut = inner.handle_input(&link, &buffer[..n]);
                    inner.notify_all();
                    cut
                }
                _ => true,
            },
            written = writer.write(&output), if !blocked && !output.is_empty() => match written {
                Ok(n) => world.lock().handle_sent(&link, n),
                Err(_) => true,
            },
        };
        world.changed.send_replace(());
        if cut {
            break;
        }
    }
    {
        let mut inner = world.lock();
        inner.broker.handle_closed(link.id);
        inner.wire(&link).is_over = true;
        inner.notify_all();
    }
    drop((reader, writer));
    world.changed.send_replace(());
}
