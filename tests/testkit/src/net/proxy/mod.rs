mod framing;
mod link;
mod plan;
mod record;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;
use super::port::{ReservedPort, loopback};
use link::Link;
pub use plan::{Fault, Plan};
use record::Seen;
pub use record::{Counters, Record, Whole};

/// A TCP proxy between one client and its broker: records every packet and injects the faults of a [`Plan`].
///
/// It takes connections one after the other, as a client makes them. Its seed and counters are printed when it is
/// dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    ToBroker,
    /// From the broker.
    ToClient,
}

/// What a [`Proxy`] does, beside its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Lets everything through.
    Forward,
    /// Takes everything and lets nothing through: a network that is gone without a word. What was swallowed is
    /// lost, so the connection is ended when another mode follows.
    Swallow,
    /// Takes nothing, so that the client's transport fills up.
    Block,
    /// Ends the connection and refuses new ones.
    Refuse,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    plan: Mutex<Plan>,
    seen: Mutex<Seen>,
    /// How often something has gone through: to wait for.
    progress: watch::Sender<u64>,
    mode: watch::Sender<Mode>,
    /// Connections to be ended on the test's demand, counted.
    demanded: watch::Sender<u64>,
}

impl Proxy {
    /// Stands between its [`address`](Self::address) and the broker at `upstream`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(upstream: SocketAddr, plan: Plan) -> Self {
        println!("proxy: seed {}", plan.seed());
        let port = ReservedPort::new();
        let address = loopback(port.number());
        let listener = TcpListener::bind(address).await.expect("the port is ours");
        let shared = Arc::new(Shared {
            upstream,
            plan: Mutex::new(plan),
            seen: Mutex::default(),
            progress: watch::Sender::new(0),
            mode: watch::Sender::new(Mode::Forward),
            demanded: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(Arc::clone(&shared), port, listener));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Where the client connects to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that went through, in the order of its last bytes.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.shared.seen().records.clone()
    }

    /// Payloads, as far as they are kept, of the client's messages whose PUBACK went through, once for each of them.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Vec<u8>> {
        self.shared.seen().acknowledged.clone()
    }

    /// What it has seen and done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.seen().counters
    }

    /// Changes what it does from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Ends the present connection, if there is one.
    pub fn cut(&self) {
        self.shared.demanded.send_modify(|count| *count += 1);
    }

    /// Waits until the counters are as wanted.
    ///
    /// # Panics
    /// They are not in time.
    pub async fn wait_until(&self, mut wanted: impl FnMut(&Counters) -> bool) {
        let mut progress = self.shared.progress.subscribe();
        let wait = progress.wait_for(|_| wanted(&self.shared.seen().counters));
        let came = timeout(PATIENCE, wait).await;
        assert!(came.is_ok(), "not in time: {:?}", self.counters());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        let seed = lock(&self.shared.plan).seed();
        println!("proxy: seed {seed}, {:?}", self.counters());
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    fn note_progress(&self) {
        self.progress.send_modify(|count| *count += 1);
    }
}

/// A panic of a test says nothing about what the lock guards.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one connection after the other, and none while they are to be refused.
async fn serve(shared: Arc<Shared>, port: ReservedPort, first: TcpListener) {
    let mut listener = Some(first);
    let mut mode = shared.mode.subscribe();
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            if mode.wait_for(|&mode| mode != Mode::Refuse).await.is_err() {
                return;
            }
        }
        let listening = match listener.take() {
            Some(listening) => listening,
            None => TcpListener::bind(loopback(port.number()))
                .await
                .expect("the port is ours"),
        };
        tokio::select! {
            biased;
            _ = mode.changed() => {}
            accepted = listening.accept() => if let Ok((client, _)) = accepted {
                Link::run(Arc::clone(&shared), client).await;
            },
        }
        listener = Some(listening);
    }
}

#[cfg(all(test, feature = "broker"))]
mod tests;
