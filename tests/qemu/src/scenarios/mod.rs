//! What is run. Each scenario panics when something is not as it must be.

mod board;

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
