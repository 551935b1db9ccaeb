//! The log, on the serial port.

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};

use crate::registers;

/// Room for one byte, in the status of the port.
const READY: u8 = 1 << 5;

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // At most the time that one byte takes: the port empties itself.
            while registers::UART_STATUS.read() & READY == 0 {}
            registers::UART_DATA.write(byte);
        }
        Ok(())
    }
}

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // `write_str` of the console never fails.
        let _ = writeln!(
            Self,
            "{:<5} {}: {}",
            record.level(),
            record.target(),
            record.args()
        );
    }

    fn flush(&self) {}
}

/// Sends what is logged at this level and above to the serial port.
pub(crate) fn init(level: LevelFilter) {
    static CONSOLE: Console = Console;
    // Fails only if there is a logger already: then everything is set.
    if log::set_logger(&CONSOLE).is_ok() {
        log::set_max_level(level);
    }
}

/// Prints a measured value, in the form that the host collects: `figure <name> <value>`.
pub fn figure(name: &str, value: impl fmt::Display) {
    // `write_str` of the console never fails.
    let _ = writeln!(Console, "figure {name} {value}");
}
