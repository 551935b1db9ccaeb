//! Reading the clocks and counters of the own process.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;

/// Keeps the calling process on one CPU, if the machine has it.
pub fn pin_to_cpu(cpu: usize) -> Result<()> {
    if std::thread::available_parallelism().is_ok_and(|count| cpu < count.get()) {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set).context("cannot pin the process to a CPU")?;
    }
    Ok(())
}

/// A point in wall and CPU time.
pub struct Stamp {
    wall: Instant,
    user: Duration,
    system: Duration,
}

/// What was used since a [`Stamp`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    pub wall: Duration,
    pub user: Duration,
    pub system: Duration,
}

impl Stamp {
    pub fn now() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            wall: Instant::now(),
            user: duration(usage.user_time()),
            system: duration(usage.system_time()),
        })
    }

    pub fn elapsed(&self) -> Result<Used> {
        let wall = self.wall.elapsed();
        let now = Self::now()?;
        Ok(Used {
            wall,
            user: now.user - self.user,
            system: now.system - self.system,
        })
    }
}

/// Bytes of memory that the process has resident.
pub fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kibibytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no VmRSS in /proc/self/status")?
        .trim()
        .parse()?;
    Ok(kibibytes * 1024)
}

fn duration(time: TimeVal) -> Duration {
    Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
}
