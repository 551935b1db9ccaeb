//! Measures our client and codec beside other libraries: `bench --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mqboard_bench_peers::main(None)
}
