use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Streams a file of any size at QoS 1 in constant memory; the receiving side checks its SHA-256.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) send: Send,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Receive files and check them, until the program is ended.
    Receive(Place),
}

#[derive(Args)]
pub(crate) struct Send {
    /// File to send, at most 268,435,451 bytes with the topic: the longest message of MQTT. Without it, invented content.
    pub(crate) file: Option<PathBuf>,
    /// Bytes of invented content; k, M, Ki and Mi may follow the number.
    #[arg(long, default_value = "16M", value_parser = parse_size, conflicts_with = "file")]
    pub(crate) size: u64,
    /// Cut the connection once, when half of the content has been read.
    #[arg(long)]
    pub(crate) cut: bool,
    /// Start no receiving process: one runs already, with the same broker and topic.
    #[arg(long, requires = "broker")]
    pub(crate) no_receiver: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the two sides meet.
#[derive(Args, Clone)]
pub(crate) struct Place {
    /// Broker, for example mqtt://localhost. Without it the receiving process brings a small one.
    #[arg(long, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// Topic under which the content, its announcement and the verdict are published.
    #[arg(long, default_value = "mqboard/upload")]
    pub(crate) topic: String,
}

impl Place {
    pub(crate) fn announcement(&self) -> String {
        format!("{}/announcement", self.topic)
    }

    pub(crate) fn content(&self) -> String {
        format!("{}/content", self.topic)
    }

    pub(crate) fn verdict(&self) -> String {
        format!("{}/verdict", self.topic)
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        _ => return Err("the unit is none of k, M, Ki, Mi".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}
