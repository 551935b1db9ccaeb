//! The settings of the ESP32's image. Its build script cannot be tested where it is: that folder builds for chips only.

use std::{env::VarError, ffi::OsString};

#[path = "../../esp32/build/settings.rs"]
mod settings;

use settings::{SETTINGS, SettingsError, values, variable};

fn unset(_: &str) -> Result<String, VarError> {
    Err(VarError::NotPresent)
}

fn value(text: &str, name: &str) -> String {
    let values = values(text, unset).expect("the text is right");
    let found = values.into_iter().find(|(found, _)| *found == name);
    found.expect("there is such a setting").1
}

#[test]
fn a_value_is_everything_behind_the_first_equals_sign() {
    for password in [
        "",
        "secret",
        "secret ",
        " secret",
        "a=b#c",
        "\"quoted\"",
        "\\",
        "ü\t",
    ] {
        for end in ["", "\n", "\r\n"] {
            let text = format!("WIFI_SSID=net\nWIFI_PASSWORD={password}{end}");
            assert_eq!(value(&text, "WIFI_PASSWORD"), password, "{text:?}");
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let environment = |name: &str| match name {
        "MQBOARD_WIFI_SSID" => Ok("of the environment".to_owned()),
        "MQBOARD_WIFI_PASSWORD" => Ok(String::new()),
        _ => Err(VarError::NotPresent),
    };
    let text = "# both\n\nWIFI_SSID=of the file\nWIFI_PASSWORD=of the file\nBROKER_PORT=1\n";
    let values = values(text, environment).unwrap();
    let expected = [
        "of the environment",
        "",
        "",
        "1",
        "",
        "",
        "",
        "mqboard",
        "low",
    ];
    let names = SETTINGS.iter().map(|(name, _)| *name);
    let expected: Vec<_> = names.zip(expected.map(str::to_owned)).collect();
    assert_eq!(values, expected);
}

#[test]
fn an_empty_value_stands_for_the_default() {
    let text: String = SETTINGS
        .iter()
        .map(|(name, _)| format!("{name}=\n"))
        .collect();
    let defaults = values("", unset).unwrap();
    assert_eq!(values(&text, unset).unwrap(), defaults);
    assert_eq!(
        values("BROKER_PORT=1", |_| Ok(String::new())).unwrap(),
        defaults
    );
}

#[test]
fn a_wrong_line_is_told_without_what_may_be_a_password() {
    for line in [
        "WIFI_PASWORD=topsecret",
        "WIFI_PASSWORD = topsecret",
        " WIFI_PASSWORD=topsecret",
        "wifi_password=topsecret",
        "WIFI_PASSWORD:topsecret",
        "topsecret",
        "topsecret=",
        "=topsecret",
        "export WIFI_PASSWORD=topsecret",
        "WIFI_SSID=topsecret",
    ] {
        let text = format!("WIFI_SSID=net\n# a comment\n{line}\n");
        let error = values(&text, unset).expect_err(line);
        let told = format!("{error} {error:?}");
        assert!(!told.contains("topsecret"), "{told}");
        assert!(error.to_string().contains("line 3"), "{told}");
    }
}

#[test]
fn an_unknown_name_is_told() {
    let error = values("WIFI_PASWORD=topsecret", unset).unwrap_err();
    assert_eq!(error, SettingsError::Unknown(1, "WIFI_PASWORD".to_owned()));
    assert_eq!(
        error.to_string(),
        "settings, line 1: there is no setting WIFI_PASWORD"
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_told_by_its_name() {
    let password = variable("WIFI_PASSWORD");
    let environment = |name: &str| {
        Err(if name == password {
            VarError::NotUnicode(OsString::from("topsecret"))
        } else {
            VarError::NotPresent
        })
    };
    let error = values("", environment).unwrap_err();
    assert_eq!(error.to_string(), "MQBOARD_WIFI_PASSWORD is not UTF-8");
    assert_eq!(error, SettingsError::NotUtf8(password.clone()));
}
