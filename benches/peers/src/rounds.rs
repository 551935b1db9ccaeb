//! Interleaved runs in processes of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::args::Plan;
use crate::report::Report;
use crate::workload::{WORKLOADS, Work, Workload};
use crate::{codecs, contenders};

const CONTENDER_CPU: &str = "0";
const SINK_CPU: &str = "1";
/// Allocations hardly vary: fewer messages tell as much.
const COUNTING_SHARE: u64 = 5;

/// Every figure, by row and contender.
#[derive(Debug, Default)]
pub struct Results {
    pub clients: BTreeMap<(&'static str, &'static str), Vec<Report>>,
    pub allocations: BTreeMap<(&'static str, &'static str), f64>,
    pub codecs: BTreeMap<(&'static str, &'static str), Vec<f64>>,
    pub failures: Vec<String>,
}

impl Results {
    /// Runs the plan.
    pub fn measure(plan: &Plan) -> Result<Self> {
        let programs = Programs::find()?;
        let mut results = Self::default();
        let mut progress = Steps::new(steps(plan));
        for (workload, client) in pairs(plan).filter(|(workload, _)| counts_allocations(workload)) {
            progress.step(format_args!("allocations, {}, {client}", workload.name));
            match programs.run_client(
                &programs.counting,
                client,
                workload,
                plan.share * COUNTING_SHARE,
            ) {
                Ok(report) => {
                    results
                        .allocations
                        .extend(report.allocations.map(|it| ((workload.name, client), it)));
                }
                Err(error) => results.fail(workload.name, client, &error),
            }
        }
        for round in 1..=plan.rounds {
            for (workload, client) in pairs(plan) {
                progress.step(format_args!(
                    "round {round} of {}, {}, {client}",
                    plan.rounds, workload.name
                ));
                match programs.run_client(&programs.plain, client, workload, plan.share) {
                    Ok(report) => results
                        .clients
                        .entry((workload.name, client))
                        .or_default()
                        .push(report),
                    Err(error) => results.fail(workload.name, client, &error),
                }
            }
            for codec in wanted_codecs(plan) {
                progress.step(format_args!(
                    "round {round} of {}, codec, {codec}",
                    plan.rounds
                ));
                match programs.run_codec(codec) {
                    Ok(figures) => {
                        for (row, figure) in figures
                            .into_iter()
                            .filter(|(row, _)| plan.wants(row, codec))
                        {
                            results.codecs.entry((row, codec)).or_default().push(figure);
                        }
                    }
                    Err(error) => results.fail("codec", codec, &error),
                }
            }
        }
        progress.finish();
        Ok(results)
    }

    /// Every single figure: row, contender, what, and the values of the rounds, separated by tabs.
    pub fn to_lines(&self) -> String {
        let mut lines = String::new();
        for ((row, client), reports) in &self.clients {
            for report in reports {
                let _ = writeln!(lines, "{row}\t{client}\t{report}");
            }
        }
        for ((row, client), allocations) in &self.allocations {
            let _ = writeln!(lines, "{row}\t{client}\tallocations={allocations}");
        }
        for ((row, codec), figures) in &self.codecs {
            for figure in figures {
                let _ = writeln!(lines, "{row}\t{codec}\twall={figure}");
            }
        }
        lines
    }

    fn fail(&mut self, row: &str, contender: &str, error: &anyhow::Error) {
        self.failures.push(format!("{row}, {contender}: {error:#}"));
    }
}

/// The two builds of this program.
struct Programs {
    plain: PathBuf,
    counting: PathBuf,
}

impl Programs {
    fn find() -> Result<Self> {
        let plain = std::env::current_exe()?;
        let counting = plain.with_file_name("bench-counting");
        ensure!(
            counting.is_file(),
            "{} is missing: build with --bins",
            counting.display()
        );
        Ok(Self { plain, counting })
    }

    fn run_client(
        &self,
        program: &PathBuf,
        client: &str,
        workload: &Workload,
        share: u64,
    ) -> Result<Report> {
        let sink = Sink::start(&self.plain)?;
        let share = share.to_string();
        let arguments = [
            "contender",
            client,
            workload.name,
            &sink.address,
            &share,
            CONTENDER_CPU,
        ];
        output(Command::new(program).args(arguments))?
            .trim()
            .parse()
    }

    fn run_codec(&self, codec: &str) -> Result<Vec<(&'static str, f64)>> {
        let lines = output(Command::new(&self.plain).args(["codec", codec, CONTENDER_CPU]))?;
        let mut figures = Vec::new();
        for line in lines.lines() {
            let (name, figure) = line.split_once('=').context("a line without `=`")?;
            let row = codecs::ROWS
                .iter()
                .find(|row| row.name == name)
                .context("an unknown row")?;
            figures.push((row.name, figure.parse()?));
        }
        Ok(figures)
    }
}

/// The process at the other end; killed when dropped.
struct Sink {
    process: Child,
    address: String,
}

impl Sink {
    fn start(program: &PathBuf) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["sink", SINK_CPU])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the sink")?;
        let stdout = process.stdout.take().context("the sink has no output")?;
        let mut sink = Self {
            process,
            address: String::new(),
        };
        BufReader::new(stdout).read_line(&mut sink.address)?;
        sink.address.truncate(sink.address.trim_end().len());
        ensure!(!sink.address.is_empty(), "the sink did not start");
        Ok(sink)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Either fails only if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Steps done and the time left.
struct Steps {
    terminal: bool,
    start: Instant,
    done: usize,
    total: usize,
}

impl Steps {
    fn new(total: usize) -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            start: Instant::now(),
            done: 0,
            total,
        }
    }

    fn step(&mut self, what: std::fmt::Arguments<'_>) {
        let left = match self.done {
            0 => String::new(),
            done => {
                let left = self.start.elapsed().as_secs() as usize * (self.total - done) / done;
                format!(", {}:{:02} left", left / 60, left % 60)
            }
        };
        self.done += 1;
        self.line(format_args!("[{}/{}{left}] {what}", self.done, self.total));
    }

    fn finish(self) {
        let seconds = self.start.elapsed().as_secs();
        self.line(format_args!(
            "{} runs in {}:{:02}\n",
            self.done,
            seconds / 60,
            seconds % 60
        ));
    }

    /// Overwrites the line on a terminal, appends one elsewhere.
    fn line(&self, text: std::fmt::Arguments<'_>) {
        if self.terminal {
            eprint!("\r\x1b[K{text}");
        } else {
            eprintln!("{text}");
        }
    }
}

fn steps(plan: &Plan) -> usize {
    let counted = pairs(plan)
        .filter(|(workload, _)| counts_allocations(workload))
        .count();
    counted + plan.rounds * (pairs(plan).count() + wanted_codecs(plan).count())
}

/// What is run in each round, in order.
fn pairs(plan: &Plan) -> impl Iterator<Item = (&'static Workload, &'static str)> {
    WORKLOADS.iter().flat_map(move |workload| {
        contenders::ALL
            .iter()
            .filter(move |entry| (entry.handles)(workload) && plan.wants(workload.name, entry.name))
            .map(move |entry| (workload, entry.name))
    })
}

fn wanted_codecs(plan: &Plan) -> impl Iterator<Item = &'static str> {
    codecs::ALL
        .iter()
        .filter(|codec| {
            codecs::ROWS
                .iter()
                .any(|row| plan.wants(row.name, codec.name))
        })
        .map(|codec| codec.name)
}

fn counts_allocations(workload: &Workload) -> bool {
    matches!(workload.work, Work::Publish(_) | Work::Receive(_))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        errors.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
