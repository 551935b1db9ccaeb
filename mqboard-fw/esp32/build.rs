//! The settings of the image, from the environment or the file `settings`, and the linker script of esp-hal.

use std::{collections::BTreeMap, env, error::Error, fs, io};

const FILE: &str = "settings";

/// Each setting with its default.
const SETTINGS: &[(&str, &str)] = &[
    ("WIFI_SSID", ""),
    ("WIFI_PASSWORD", ""),
    ("BROKER_HOST", ""),
    ("BROKER_PORT", "1883"),
    ("BROKER_USER", ""),
    ("BROKER_PASSWORD", ""),
    ("CLIENT_ID", ""),
    ("TOPIC_PREFIX", "mqboard"),
    ("LED_ON", "low"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");
    println!("cargo::rerun-if-changed={FILE}");
    let text = match fs::read_to_string(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let file = parse(&text)?;
    for (name, default) in SETTINGS {
        let variable = format!("MQBOARD_{name}");
        println!("cargo::rerun-if-env-changed={variable}");
        let value = match env::var(&variable) {
            Ok(value) => value,
            Err(_) => file.get(name).unwrap_or(default).to_string(),
        };
        if value.is_empty() && matches!(*name, "WIFI_SSID" | "BROKER_HOST") {
            println!(
                "cargo::warning={name} is not set, so this image cannot connect: see README.md"
            );
        }
        println!("cargo::rustc-env={variable}={value}");
    }
    Ok(())
}

/// `NAME=value` lines; blank ones and those that begin with `#` count for nothing.
fn parse(text: &str) -> Result<BTreeMap<&str, &str>, String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once('=') {
            Some((name, value)) if SETTINGS.iter().any(|(known, _)| *known == name) => {
                Ok((name, value))
            }
            _ => Err(format!("{FILE}: there is no such setting: {line}")),
        })
        .collect()
}
