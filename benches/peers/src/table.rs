//! The table of medians, with the ratios to the peers and the distance to each target.

use std::fmt::Write as _;

use crate::contender::Role;
use crate::report::Report;
use crate::rounds::Results;
use crate::targets::{Target, target};
use crate::workload::{WORKLOADS, Work};
use crate::{codecs, contenders};

/// One kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Cpu,
    Wall,
    P50,
    P99,
    Resident,
    Allocations,
    /// Wall time to decode or encode one packet.
    Packet,
}

/// The results as text.
pub fn render(results: &Results) -> String {
    let mut notes = Notes::default();
    let mut rows = client_rows(results, &mut notes);
    rows.extend(codec_rows(results, &mut notes));

    let columns = columns(&rows);
    let mut header = vec!["work".to_owned(), "unit".to_owned()];
    header.extend(columns.iter().map(|name| (*name).to_owned()));
    header.extend(
        [
            "best peer ÷ ours",
            "same work ÷ ours",
            "target",
            "ours ÷ target",
        ]
        .map(str::to_owned),
    );
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| row.cells(&columns)));

    let mut text = aligned(&lines);
    text.push_str("\nMedians. CPU is user and system time of the client's process; the other end is another process.\n");
    text.push_str("All on one thread: tokio's current-thread runtime; ntex-mqtt on ntex's own above tokio's.\n");
    text.push_str("A ratio above 1 means that ours is the better one; a distance above 1, that the target is missed.\n");
    text.push_str("Marked figures stand for less or other work than ours:\n");
    for (index, note) in notes.texts.iter().enumerate() {
        let _ = writeln!(text, "  {} {note}", mark(index));
    }
    for failure in &results.failures {
        let _ = writeln!(text, "failed: {failure}");
    }
    text
}

struct Row {
    name: &'static str,
    metric: Metric,
    figures: Vec<Figure>,
}

struct Figure {
    contender: &'static str,
    role: Role,
    value: f64,
    note: Option<usize>,
}

#[derive(Default)]
struct Notes {
    texts: Vec<String>,
}

impl Notes {
    fn index(&mut self, text: String) -> usize {
        self.texts
            .iter()
            .position(|known| *known == text)
            .unwrap_or_else(|| {
                self.texts.push(text);
                self.texts.len() - 1
            })
    }
}

impl Metric {
    fn of(self, report: &Report) -> Option<f64> {
        match self {
            Self::Cpu => report.cpu,
            Self::Wall => report.wall,
            Self::P50 => report.p50,
            Self::P99 => report.p99,
            Self::Resident => report.resident,
            Self::Allocations => report.allocations,
            Self::Packet => None,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "µs CPU",
            Self::Wall => "µs wall",
            Self::P50 => "µs p50",
            Self::P99 => "µs p99",
            Self::Resident => "KiB",
            Self::Allocations => "allocations",
            Self::Packet => "ns",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Cpu | Self::Wall | Self::P50 | Self::P99 => significant(value / 1000.0),
            Self::Resident => significant(value / 1024.0),
            Self::Allocations if value < 0.01 => format!("{value:.4}"),
            Self::Allocations => format!("{value:.2}"),
            Self::Packet => significant(value),
        }
    }
}

impl Row {
    fn cells(&self, columns: &[&str]) -> Vec<String> {
        let mut cells = vec![self.name.to_owned(), self.metric.unit().to_owned()];
        cells.extend(columns.iter().map(|column| {
            let figure = self
                .figures
                .iter()
                .find(|figure| figure.contender == *column);
            figure.map_or_else(absent, |figure| {
                let note = figure.note.map_or_else(String::new, mark);
                self.metric.show(figure.value) + &note
            })
        }));
        let ours = self.value_of(Role::Ours);
        let ratio = |peer: Option<f64>| match (peer, ours) {
            (Some(peer), Some(ours)) if ours > 0.0 => format!("{:.2}", peer / ours),
            _ => absent(),
        };
        let target = self.target();
        cells.push(ratio(self.best_peer(|_| true)));
        cells.push(ratio(self.best_peer(|figure| figure.note.is_none())));
        cells.push(target.map_or_else(absent, |target| format!("≤ {}", self.metric.show(target))));
        cells.push(match (ours, target) {
            (Some(ours), Some(target)) => format!("{:.2}", ours / target),
            _ => absent(),
        });
        cells
    }

    fn target(&self) -> Option<f64> {
        match target(self.name, self.metric)? {
            Target::AtMost(limit) => Some(limit),
            Target::TimesRaw(factor) => Some(factor * self.value_of(Role::Baseline)?),
        }
    }

    fn value_of(&self, role: Role) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.role == role)
            .map(|figure| figure.value)
    }

    fn best_peer(&self, counts: impl Fn(&Figure) -> bool) -> Option<f64> {
        self.figures
            .iter()
            .filter(|figure| figure.role == Role::Peer && counts(figure))
            .map(|figure| figure.value)
            .min_by(f64::total_cmp)
    }
}

fn client_rows(results: &Results, notes: &mut Notes) -> Vec<Row> {
    let mut rows = Vec::new();
    for workload in &WORKLOADS {
        let metrics: &[Metric] = match workload.work {
            Work::Publish(_) | Work::Receive(_) => {
                &[Metric::Cpu, Metric::Wall, Metric::Allocations]
            }
            Work::Latency => &[Metric::P50, Metric::P99],
            Work::Idle => &[Metric::Resident],
        };
        for &metric in metrics {
            let figures = contenders::ALL.iter().filter_map(|entry| {
                let key = (workload.name, entry.name);
                let value = if metric == Metric::Allocations {
                    results.allocations.get(&key).copied()
                } else {
                    let reports = results.clients.get(&key).map_or(&[][..], Vec::as_slice);
                    median(reports.iter().filter_map(|report| metric.of(report)))
                }?;
                let note = (entry.remark)(workload)
                    .map(|text| notes.index(format!("{}: {text}", entry.name)));
                Some(Figure {
                    contender: entry.name,
                    role: entry.role,
                    value,
                    note,
                })
            });
            let figures: Vec<Figure> = figures.collect();
            if !figures.is_empty() {
                rows.push(Row {
                    name: workload.name,
                    metric,
                    figures,
                });
            }
        }
    }
    rows
}

fn codec_rows(results: &Results, notes: &mut Notes) -> Vec<Row> {
    let rows = codecs::ROWS.iter().map(|row| {
        let figures = codecs::ALL.iter().filter_map(|entry| {
            let value = median(results.codecs.get(&(row.name, entry.name))?.iter().copied())?;
            let note =
                (entry.remark)(row).map(|text| notes.index(format!("{}: {text}", entry.name)));
            Some(Figure {
                contender: entry.name,
                role: entry.role,
                value,
                note,
            })
        });
        Row {
            name: row.name,
            metric: Metric::Packet,
            figures: figures.collect(),
        }
    });
    rows.filter(|row| !row.figures.is_empty()).collect()
}

/// The contenders that have a figure: ours first, then as listed.
fn columns(rows: &[Row]) -> Vec<&'static str> {
    let all = contenders::ALL
        .iter()
        .map(|entry| entry.name)
        .chain(codecs::ALL.iter().map(|entry| entry.name));
    let mut columns = Vec::new();
    for name in all {
        let present = rows
            .iter()
            .flat_map(|row| &row.figures)
            .any(|figure| figure.contender == name);
        if present && !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns.sort_by_key(|name| {
        let ours = |figure: &Figure| figure.contender == *name && figure.role == Role::Ours;
        !rows.iter().flat_map(|row| &row.figures).any(ours)
    });
    columns
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Three significant digits.
fn significant(value: f64) -> String {
    let digits = match value {
        ..0.0995 => 4,
        ..0.995 => 3,
        ..9.95 => 2,
        ..99.5 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

fn mark(index: usize) -> String {
    format!("[{}]", index + 1)
}

fn absent() -> String {
    "–".to_owned()
}

/// The cells as a table that reads as text and as Markdown.
fn aligned(lines: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 | 1 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let (dashes, end) = (width + 1, if column < 2 { "-" } else { ":" });
                let _ = write!(text, "|{:-<dashes$}{end}", "");
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cpu: f64) -> Report {
        Report {
            cpu: Some(cpu),
            ..Report::default()
        }
    }

    #[test]
    fn the_median_ignores_outliers() {
        assert_eq!(median([9.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn ratios_count_the_best_peer_and_the_best_with_the_same_work() {
        let figure = |contender, role, value, note| Figure {
            contender,
            role,
            value,
            note,
        };
        let row = Row {
            name: "qos1-out-64",
            metric: Metric::Cpu,
            figures: vec![
                figure("ours", Role::Ours, 250.0, None),
                figure("less", Role::Peer, 500.0, Some(0)),
                figure("same", Role::Peer, 1000.0, None),
            ],
        };
        let cells = row.cells(&["ours", "less", "same"]);
        assert_eq!(
            cells,
            [
                "qos1-out-64",
                "µs CPU",
                "0.250",
                "0.500[1]",
                "1.00",
                "2.00",
                "4.00",
                "≤ 0.300",
                "0.83"
            ]
        );
    }

    #[test]
    fn a_target_relative_to_the_raw_socket_needs_its_figure() {
        let figure = Figure {
            contender: "raw",
            role: Role::Baseline,
            value: 100.0,
            note: None,
        };
        let mut row = Row {
            name: "latency-64",
            metric: Metric::P50,
            figures: vec![figure],
        };
        assert_eq!(row.target(), Some(103.0));
        row.figures.clear();
        assert_eq!(row.target(), None);
    }

    #[test]
    fn failures_are_listed_below_the_table() {
        let mut results = Results {
            failures: vec!["idle, raw: gone".to_owned()],
            ..Results::default()
        };
        results
            .clients
            .insert(("qos0-out-64k", "raw"), vec![report(10_000.0)]);
        assert!(render(&results).contains("failed: idle, raw: gone"));
    }
}
