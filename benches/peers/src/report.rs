//! What one run of a contender hands to the driver, as one line of text.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};

/// The figures of one run; those that a workload does not have are absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Wall time per message, in nanoseconds.
    pub wall: Option<f64>,
    /// User and system time per message, in nanoseconds.
    pub cpu: Option<f64>,
    /// The system part of `cpu`.
    pub system: Option<f64>,
    /// Allocations per message.
    pub allocations: Option<f64>,
    /// Latency in nanoseconds that half of the messages undercut.
    pub p50: Option<f64>,
    /// Latency in nanoseconds that 99 % of the messages undercut.
    pub p99: Option<f64>,
    /// Resident bytes per idle connection.
    pub resident: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("wall", self.wall),
            ("cpu", self.cpu),
            ("system", self.system),
            ("allocations", self.allocations),
            ("p50", self.p50),
            ("p99", self.p99),
            ("resident", self.resident),
        ];
        let mut separator = "";
        for (name, value) in fields {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

impl FromStr for Report {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut report = Self::default();
        for field in line.split_whitespace() {
            let (name, value) = field.split_once('=').context("a field without `=`")?;
            let value = Some(
                value
                    .parse()
                    .with_context(|| format!("bad value of {name}"))?,
            );
            match name {
                "wall" => report.wall = value,
                "cpu" => report.cpu = value,
                "system" => report.system = value,
                "allocations" => report.allocations = value,
                "p50" => report.p50 = value,
                "p99" => report.p99 = value,
                "resident" => report.resident = value,
                _ => anyhow::bail!("unknown field {name}"),
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_text_form() {
        let report = Report {
            wall: Some(12.5),
            p99: Some(3.0),
            ..Report::default()
        };
        assert_eq!(report.to_string().parse::<Report>().unwrap(), report);
    }
}
