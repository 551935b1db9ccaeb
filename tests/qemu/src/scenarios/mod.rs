//! What is run. Each scenario panics when something is not as it must be.

mod application;
mod board;
mod faults;
mod messages;
mod streams;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use crate::machine::Firmware;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Lab) -> Running,
}

/// What a scenario measured, ready to be printed.
pub(crate) type Measured = Vec<String>;
pub(crate) type Running = Pin<Box<dyn Future<Output = Measured> + Send>>;

/// Declares the scenarios by their functions.
macro_rules! scenarios {
    ($($module:ident::$name:ident)*) => {
        pub(crate) const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            run: |lab| Box::pin($module::$name(lab)),
        }),*];
    };
}

scenarios! {
    board::sources
    board::flash
    board::network
    application::application
    messages::messages
    messages::instructions
    faults::broker_restarted
    faults::link_cut
    streams::streams
}

/// Where the firmwares are.
#[derive(Clone, Debug)]
pub(crate) struct Lab {
    firmwares: Arc<PathBuf>,
}

impl Lab {
    pub(crate) fn new(firmwares: PathBuf) -> Self {
        Self {
            firmwares: Arc::new(firmwares),
        }
    }

    pub(crate) fn firmware(&self, name: &str) -> Firmware {
        Firmware::new(self.firmwares.join(name))
    }
}

/// With 1,234,567 for 1234567.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn separates_thousands() {
        let written = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(written, ["0", "999", "1,000", "1,234,567"]);
    }
}
