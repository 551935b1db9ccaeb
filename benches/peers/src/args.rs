//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub const USAGE: &str = "\
Usage: bench [--quick] [--rounds N] [--only NAME]... [--save FILE]

Measures every client at every workload, and every codec, and prints one table of medians.

  --quick      one round with a twentieth of the messages: a smoke test
  --rounds N   interleaved rounds (default 11)
  --only NAME  only this workload, client or codec row; may be repeated
  --save FILE  writes every single figure, tab-separated

The driver starts itself for each process that it needs:
  bench sink CPU
  bench contender CLIENT WORKLOAD ADDRESS SHARE CPU
  bench codec CODEC CPU
";

const ROUNDS: usize = 11;
const QUICK_SHARE: u64 = 20;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    Help,
    Sink { cpu: usize },
    Contender { arguments: Vec<String> },
    Codec { name: String, cpu: usize },
    Table(Plan),
}

/// How the table is made.
#[derive(Debug)]
pub struct Plan {
    /// Runs of each client at each workload.
    pub rounds: usize,
    /// The divisor of each workload's count.
    pub share: u64,
    /// Workloads, clients and codec rows to keep; all if empty.
    pub only: Vec<String>,
    /// Where every single figure goes.
    pub save: Option<PathBuf>,
}

impl Command {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let arguments: Vec<String> = arguments.collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words[..] {
            ["--help" | "-h"] => Ok(Self::Help),
            ["sink", cpu] => Ok(Self::Sink { cpu: cpu.parse()? }),
            ["contender", ..] => Ok(Self::Contender {
                arguments: arguments[1..].to_vec(),
            }),
            ["codec", name, cpu] => Ok(Self::Codec {
                name: name.to_owned(),
                cpu: cpu.parse()?,
            }),
            _ => Plan::parse(arguments.into_iter()).map(Self::Table),
        }
    }
}

impl Plan {
    /// Whether a row of the table is wanted from this client or codec.
    pub fn wants(&self, row: &str, contender: &str) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|name| name == row || name == contender)
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            rounds: ROUNDS,
            share: 1,
            only: Vec::new(),
            save: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--quick" => (plan.rounds, plan.share) = (1, QUICK_SHARE),
                "--rounds" => plan.rounds = value()?.parse().context("--rounds needs a number")?,
                "--only" => plan.only.push(value()?),
                "--save" => plan.save = Some(value()?.into()),
                _ => bail!("unknown argument {argument}\n\n{USAGE}"),
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_argument_asks_for_the_whole_table() {
        let Command::Table(plan) = parse("").unwrap() else {
            panic!("not a table")
        };
        assert_eq!((plan.rounds, plan.share), (ROUNDS, 1));
        assert!(plan.wants("qos0-out-64", "rumqttc"));
    }

    #[test]
    fn only_keeps_the_named_rows_and_clients() {
        let Command::Table(plan) = parse("--quick --only idle --only rumqttc").unwrap() else {
            panic!("not a table")
        };
        assert!(plan.wants("idle", "ntex"));
        assert!(plan.wants("qos0-out-64", "rumqttc"));
        assert!(!plan.wants("qos0-out-64", "ntex"));
    }

    #[test]
    fn an_unknown_argument_is_an_error() {
        assert!(parse("--fast").is_err());
    }
}
