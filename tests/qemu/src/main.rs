//! `cargo xtask qemu` builds the firmwares and calls this: each scenario runs in a QEMU of its own, under a time limit, and
//! gives a line of figures.
#![forbid(unsafe_code)]

mod machine;
mod scenarios;

use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::time::timeout;

use crate::scenarios::{Lab, SCENARIOS, Scenario};

/// Whatever a scenario waits for, it fails after this. Each takes a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let firmwares = arguments
        .next()
        .context("the first argument is the folder of the firmwares")?;
    // Absolute, since each machine runs in a folder of its own.
    let lab = Lab::new(PathBuf::from(firmwares).canonicalize()?);
    let names: Vec<_> = arguments.collect();
    for name in &names {
        ensure!(
            SCENARIOS.iter().any(|scenario| scenario.name == name),
            "there is no scenario `{name}`"
        );
    }

    let mut table = Vec::new();
    let mut failed = 0;
    for scenario in SCENARIOS {
        if names.is_empty() || names.iter().any(|name| name == scenario.name) {
            let (passed, line) = judge(scenario, lab.clone()).await;
            println!("{line}");
            failed += usize::from(!passed);
            table.push(line);
        }
    }
    println!("\n{}", table.join("\n"));
    println!(
        "scenarios: {} passed, {failed} failed",
        table.len() - failed
    );
    ensure!(failed == 0, "{failed} scenarios failed: see above");
    Ok(())
}

/// Whether it passed, and its line of the table.
async fn judge(scenario: &Scenario, lab: Lab) -> (bool, String) {
    let begin = Instant::now();
    // In a task of its own, so that a panic ends this scenario alone; aborted, it kills what it has started.
    let mut task = tokio::spawn((scenario.run)(lab));
    let outcome = timeout(LIMIT, &mut task).await;
    task.abort();
    let seconds = begin.elapsed().as_secs_f64();
    let (passed, figures) = match outcome {
        Ok(Ok(figures)) => (true, figures.join(", ")),
        Ok(Err(_)) => (false, "FAILED".to_owned()),
        Err(_) => (
            false,
            format!("FAILED: still running after {} s", LIMIT.as_secs()),
        ),
    };
    (
        passed,
        format!("{:<22} {seconds:>5.1} s  {figures}", scenario.name),
    )
}
