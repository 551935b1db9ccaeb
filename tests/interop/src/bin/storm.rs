//! The storm of the tests at its full size, or at any other.
//!
//! ```console
//! $ cargo run --release -p mqboard-interop --bin storm -- --seed 7
//! ```
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use clap::Parser;
use interop::storm::Storm;

/// Publishes at QoS 1 while the link is cut, the broker restarted and its store removed; fails if anything is lost,
/// reordered or never completed.
#[derive(Parser)]
struct Arguments {
    /// Where the places of the cuts are drawn from. Default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Messages in all.
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Tasks that publish them.
    #[arg(long, default_value_t = 4)]
    publishers: usize,
    /// Connections that the proxy ends.
    #[arg(long, default_value_t = 200)]
    cuts: usize,
    /// Times the broker is stopped by SIGTERM and started again.
    #[arg(long, default_value_t = 5)]
    restarts: usize,
    /// Times its store is removed, too.
    #[arg(long, default_value_t = 5)]
    wipes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let begin = Instant::now();
    let storm = Storm {
        seed: arguments.seed.unwrap_or_else(seed),
        messages: arguments.messages,
        publishers: arguments.publishers,
        cuts: arguments.cuts,
        restarts: arguments.restarts,
        wipes: arguments.wipes,
    };
    let report = storm
        .blow(|settled, cuts| {
            let seconds = begin.elapsed().as_secs_f64();
            println!(
                "{seconds:>6.1} s: {settled} of {} messages settled, {cuts} cuts",
                storm.messages
            );
        })
        .await;
    println!("{report}");
    println!(
        "seconds                      {:.1}",
        begin.elapsed().as_secs_f64()
    );
    ensure!(report.is_good(), "the storm was not weathered");
    Ok(())
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_micros() as u64)
}
