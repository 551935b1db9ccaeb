//! The trait that a client is measured through, and the measurement.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::sync::Notify;

use crate::contenders;
use crate::measure::{Stamp, Used, pin_to_cpu, resident_bytes};
use crate::report::Report;
use crate::workload::{
    Delivery, FENCE_TOPIC, FILTER, FLOOD_TOPIC, RUN_LIMIT, TOPIC, Work, Workload,
};

/// Reads the number of allocations of the process so far.
pub type AllocationCounter = fn() -> u64;

/// A client under measurement, connected to the sink.
///
/// Every method does its work the way the library's users would, in the cheapest way that the library
/// offers for it. All clients use a keep alive of 60 s and have room for packets of 128 KiB; `TCP_NODELAY` is
/// each library's default (off in both of the rumqttc family, whose batches it would break up).
#[expect(async_fn_in_trait, reason = "no caller needs the futures to be `Send`")]
pub trait Contender: Sized + 'static {
    /// The name on the command line and in the table.
    const NAME: &'static str;
    /// What the contender is in the comparison.
    const ROLE: Role = Role::Peer;

    /// Whether the contender can do this workload.
    fn handles(_workload: &Workload) -> bool {
        true
    }

    /// How the contender's work differs from ours in this workload: a footnote of the table.
    fn remark(_workload: &Workload) -> Option<&'static str> {
        None
    }

    /// Runs a future to its end; on a current-thread tokio runtime unless the library needs another.
    fn block_on<F>(future: F) -> Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(future))
    }

    /// Connects with a clean session; returns after CONNACK.
    async fn connect(address: SocketAddr, client_id: String) -> Result<Self>;

    /// Subscribes; returns after SUBACK.
    async fn subscribe(&mut self, filter: &'static str, delivery: Delivery) -> Result<()>;

    /// Publishes `count` messages. QoS 0: returns when the library has taken all. QoS 1: keeps up to
    /// [`WINDOW`](crate::workload::WINDOW) in flight and returns when all are acknowledged.
    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()>;

    /// Returns when `count` further messages were delivered to user code (which calls [`consume`]) and,
    /// with QoS 1, their acknowledgements are under way.
    async fn receive(&mut self, count: u64) -> Result<()>;
}

/// What a contender is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Ours,
    Peer,
    /// The least that any client could do, without a library.
    Baseline,
}

/// A [`Contender`] in a list.
#[derive(Debug)]
pub struct Entry {
    pub name: &'static str,
    pub role: Role,
    pub handles: fn(&Workload) -> bool,
    pub remark: fn(&Workload) -> Option<&'static str>,
    run: fn(SocketAddr, &'static Workload, Run) -> Result<Report>,
}

impl Entry {
    pub const fn of<C: Contender>() -> Self {
        Self {
            name: C::NAME,
            role: C::ROLE,
            handles: C::handles,
            remark: C::remark,
            run: |address, workload, run| C::block_on(measure::<C>(address, workload, run))?,
        }
    }
}

/// `bench contender`: measures what the arguments name and prints the [`Report`].
///
/// Arguments: contender, workload, address of the sink, divisor of the workload's count, CPU to stay on.
pub fn run(arguments: &[String], allocations: Option<AllocationCounter>) -> Result<()> {
    let [name, workload, address, share, cpu] = arguments else {
        bail!("bench contender takes five arguments");
    };
    pin_to_cpu(cpu.parse()?)?;
    give_up_after(RUN_LIMIT);
    let entry = contenders::named(name).with_context(|| format!("no contender {name}"))?;
    let workload = Workload::named(workload).with_context(|| format!("no workload {workload}"))?;
    let count = (workload.count / share.parse::<u64>()?).max(100);
    let report = (entry.run)(address.parse()?, workload, Run { count, allocations })?;
    println!("{report}");
    Ok(())
}

/// Counts what a callback or an event loop has seen, and wakes who waits for a number.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    goal: AtomicU64,
    reached: Notify,
}

impl Progress {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            goal: AtomicU64::new(u64::MAX),
            ..Self::default()
        })
    }

    /// Counts one more; there is one counting task only.
    pub fn step(&self) {
        let done = self.done.load(Ordering::Relaxed) + 1;
        self.done.store(done, Ordering::Relaxed);
        if done >= self.goal.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// The number counted so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Returns when the total has reached `goal`.
    pub async fn reach(&self, goal: u64) {
        self.goal.store(goal, Ordering::Relaxed);
        while self.done() < goal {
            self.reached.notified().await;
        }
        self.goal.store(u64::MAX, Ordering::Relaxed);
    }
}

/// The user code that a received payload ends in.
pub fn consume(payload: &[u8]) {
    black_box(payload);
}

#[derive(Clone, Copy, Debug)]
struct Run {
    count: u64,
    allocations: Option<AllocationCounter>,
}

async fn measure<C: Contender>(
    address: SocketAddr,
    workload: &'static Workload,
    run: Run,
) -> Result<Report> {
    if workload.work == Work::Idle {
        return measure_idle::<C>(address, run.count).await;
    }
    let mut client = C::connect(address, "bench".to_owned()).await?;
    if let Work::Receive(delivery) = workload.work {
        client.subscribe(FILTER, delivery).await?;
    }
    if workload.work == Work::Latency {
        return measure_latency(&mut client, workload, run.count).await;
    }
    let payload = Bytes::from(vec![b'x'; workload.payload_len]);
    work(&mut client, workload, &payload, run.count / 5).await?;

    let allocated = run.allocations.map(|count| count());
    let start = Stamp::now()?;
    work(&mut client, workload, &payload, run.count).await?;
    let used = start.elapsed()?;
    let allocated = run
        .allocations
        .zip(allocated)
        .map(|(count, before)| count() - before);
    Ok(report(used, run.count, allocated))
}

/// One batch of the workload, to the point where the sink has confirmed all of it.
async fn work<C: Contender>(
    client: &mut C,
    workload: &Workload,
    payload: &Bytes,
    count: u64,
) -> Result<()> {
    match workload.work {
        Work::Publish(delivery) => client.publish(TOPIC, delivery, payload, count).await?,
        Work::Receive(delivery) => {
            let request = format!("{} {} {count}", delivery.bits(), workload.payload_len);
            client
                .publish(FLOOD_TOPIC, Delivery::AtLeastOnce, &request.into(), 1)
                .await?;
            client.receive(count).await?;
        }
        Work::Latency | Work::Idle => unreachable!("measured apart"),
    }
    client
        .publish(FENCE_TOPIC, Delivery::AtLeastOnce, &Bytes::new(), 1)
        .await
}

async fn measure_latency<C: Contender>(
    client: &mut C,
    workload: &Workload,
    count: u64,
) -> Result<Report> {
    let payload = Bytes::from(vec![b'x'; workload.payload_len]);
    for _ in 0..count / 5 {
        client
            .publish(TOPIC, Delivery::AtLeastOnce, &payload, 1)
            .await?;
    }
    let mut samples = Vec::with_capacity(count as usize);
    let start = Stamp::now()?;
    for _ in 0..count {
        let sent = Instant::now();
        client
            .publish(TOPIC, Delivery::AtLeastOnce, &payload, 1)
            .await?;
        samples.push(sent.elapsed());
    }
    let used = start.elapsed()?;
    samples.sort_unstable();
    let at = |percent: usize| samples[samples.len() * percent / 100].as_nanos() as f64;
    Ok(Report {
        p50: Some(at(50)),
        p99: Some(at(99)),
        ..report(used, count, None)
    })
}

async fn measure_idle<C: Contender>(address: SocketAddr, count: u64) -> Result<Report> {
    let warm_up = 100.min(count / 5);
    let mut clients = Vec::with_capacity((warm_up + count) as usize);
    for index in 0..warm_up {
        clients.push(C::connect(address, format!("idle-{index}")).await?);
    }
    let before = resident_bytes()?;
    let start = Stamp::now()?;
    for index in warm_up..warm_up + count {
        clients.push(C::connect(address, format!("idle-{index}")).await?);
    }
    // A round trip after all connections: their tasks have come to rest behind it.
    let last = clients.last_mut().context("no connection was opened")?;
    last.publish(FENCE_TOPIC, Delivery::AtLeastOnce, &Bytes::new(), 1)
        .await?;
    let used = start.elapsed()?;
    let grown = resident_bytes()?.saturating_sub(before);
    Ok(Report {
        resident: Some(grown as f64 / count as f64),
        ..report(used, count, None)
    })
}

/// Ends the process when a client hangs.
fn give_up_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("not done after {} s", limit.as_secs());
        process::exit(1);
    });
}

fn report(used: Used, count: u64, allocated: Option<u64>) -> Report {
    let per_message = |time: Duration| Some(time.as_nanos() as f64 / count as f64);
    Report {
        wall: per_message(used.wall),
        cpu: per_message(used.user + used.system),
        system: per_message(used.system),
        allocations: allocated.map(|allocated| allocated as f64 / count as f64),
        ..Report::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn progress_wakes_the_waiter_at_its_goal() {
        let progress = Progress::new();
        let waiter = progress.clone();
        let (_, done) = tokio::join!(
            async {
                for _ in 0..3 {
                    progress.step();
                    tokio::task::yield_now().await;
                }
            },
            async move {
                waiter.reach(3).await;
                waiter.done()
            }
        );
        assert_eq!(done, 3);
    }
}
