//! Measures one client at one workload: `contender NAME WORKLOAD ADDRESS SHARE CPU`.

use anyhow::Result;

fn main() -> Result<()> {
    mqboard_bench_peers::contender_main(None)
}
