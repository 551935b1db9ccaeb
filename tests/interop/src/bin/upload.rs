//! The upload of the tests at its full size, with the link whole and cut.
//!
//! ```console
//! $ cargo run --release -p mqboard-interop --bin upload
//! ```
use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use interop::upload::{self, Link, Upload};

/// Streams a payload at QoS 1 through mosquitto; fails if it arrives changed or costs memory.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Length of the payload.
    #[arg(long, default_value_t = 256_000_000)]
    bytes: u64,
}

#[derive(Subcommand)]
enum Role {
    /// The sending process, which this program starts by itself.
    Send {
        /// Of the broker.
        url: String,
        /// Length of the payload.
        bytes: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Send { url, bytes }) = arguments.role {
        return upload::send(&url, bytes).await;
    }
    for link in [Link::Whole, Link::CutAtHalf] {
        let bytes = arguments.bytes;
        let report = Upload { bytes, link }
            .run(&std::env::current_exe()?)
            .await?;
        println!("{report}\n");
        ensure!(report.is_good(), "not as promised");
    }
    Ok(())
}
