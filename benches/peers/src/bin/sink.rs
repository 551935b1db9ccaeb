//! The broker that the contenders are measured against: `sink [CPU]`.

use anyhow::Result;

fn main() -> Result<()> {
    if let Some(cpu) = std::env::args().nth(1) {
        mqboard_bench_peers::pin_to_cpu(cpu.parse()?)?;
    }
    mqboard_bench_peers::run_sink()
}
