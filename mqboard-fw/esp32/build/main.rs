//! The settings of the image, as a macro for its source, and the linker script of esp-hal.

mod settings;

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs::{self, read_to_string},
    io,
    path::Path,
};

use settings::{SETTINGS, values, variable};

const FILE: &str = "settings";

/// No value is ever printed: what a build script prints is shown by cargo, and kept.
fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");
    println!("cargo::rerun-if-changed={FILE}");
    for (name, _) in SETTINGS {
        println!("cargo::rerun-if-env-changed={}", variable(name));
    }
    if let Err(error) = make() {
        println!("cargo::error={error}");
    }
}

/// Writes `setting!`, by which `src/settings.rs` names each of them. An environment variable would lose spaces at the
/// end of a password, and `cargo build -vv` would print it.
fn make() -> Result<(), Box<dyn Error>> {
    let text = match read_to_string(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| format!("{FILE}: {error}"))?,
    };
    let mut source = String::from("macro_rules! setting {\n");
    for (name, value) in values(&text, |variable| env::var(variable))? {
        if value.is_empty() && matches!(name, "WIFI_SSID" | "BROKER_HOST") {
            println!(
                "cargo::warning={name} is not set, so this image cannot connect: see README.md"
            );
        }
        if value.trim() != value {
            println!("cargo::warning={name} begins or ends with white space, which is part of it");
        }
        writeln!(source, "    ({name}) => {{ {value:?} }};")?;
    }
    source.push_str("}\n");
    let folder = env::var("OUT_DIR")?;
    fs::write(Path::new(&folder).join("settings.rs"), source)?;
    Ok(())
}
