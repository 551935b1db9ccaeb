//! How much memory a process has needed.

/// The largest resident set size of this process up to now, in KiB.
///
/// # Panics
/// The system does not tell: it is not Linux.
#[must_use]
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("it tells the peak");
    let number = line.split_whitespace().next().expect("there is a number");
    number.parse().expect("it is a number")
}
