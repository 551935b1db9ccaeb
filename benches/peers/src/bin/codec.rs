//! Measures one codec: `codec NAME CPU`.

use anyhow::Result;

fn main() -> Result<()> {
    mqboard_bench_peers::codec_main()
}
