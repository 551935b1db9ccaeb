//! What the settings are, and where their values come from. Tested on a host, in `mqboard-fw/core/tests`.

use std::{collections::BTreeMap, env::VarError, error, fmt};

/// Each setting with its default.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
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

/// What is wrong with the settings. It holds no value, and of a line no more than a name: the rest may be a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingsError {
    /// The line of this number is not `NAME=value`.
    Line(usize),
    /// It is, with a name of capital letters that no setting has.
    Unknown(usize, String),
    /// It sets for the second time what has this name.
    Twice(usize, &'static str),
    /// The environment variable of this name is not UTF-8.
    NotUtf8(String),
}

/// The environment variable that stands for a setting, and wins over the file.
pub(crate) fn variable(name: &str) -> String {
    format!("MQBOARD_{name}")
}

/// The value of each setting: that of the environment, else that in the text of the file; its default if there is
/// neither, or it is empty.
pub(crate) fn values(
    text: &str,
    environment: impl Fn(&str) -> Result<String, VarError>,
) -> Result<Vec<(&'static str, String)>, SettingsError> {
    let file = parse(text)?;
    SETTINGS
        .iter()
        .map(|&(name, default)| {
            let variable = variable(name);
            let mut value = match environment(&variable) {
                Ok(value) => value,
                Err(VarError::NotPresent) => (*file.get(name).unwrap_or(&"")).to_owned(),
                Err(VarError::NotUnicode(_)) => return Err(SettingsError::NotUtf8(variable)),
            };
            if value.is_empty() {
                default.clone_into(&mut value);
            }
            Ok((name, value))
        })
        .collect()
}

/// `NAME=value` lines, where everything behind `=` is the value; blank ones and those that begin with `#` count for
/// nothing.
fn parse(text: &str) -> Result<BTreeMap<&'static str, &str>, SettingsError> {
    let mut values = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(SettingsError::Line(number))?;
        if !is_plain(name) {
            return Err(SettingsError::Line(number));
        }
        let Some(&(name, _)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
            return Err(SettingsError::Unknown(number, name.to_owned()));
        };
        if values.insert(name, value).is_some() {
            return Err(SettingsError::Twice(number, name));
        }
    }
    Ok(values)
}

/// Whether it looks like the name of a setting, so that it may be shown.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(
                f,
                "settings, line {number}: neither NAME=value, without a space around the name, nor a comment"
            ),
            Self::Unknown(number, name) => {
                write!(f, "settings, line {number}: there is no setting {name}")
            }
            Self::Twice(number, name) => {
                write!(f, "settings, line {number}: {name} is set already")
            }
            Self::NotUtf8(name) => write!(f, "{name} is not UTF-8"),
        }
    }
}

impl error::Error for SettingsError {}
