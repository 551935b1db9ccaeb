//! Measures our client and codec beside other libraries: `bench --help`.

use anyhow::Result;

fn main() -> Result<()> {
    mqboard_bench_peers::main(None)
}
