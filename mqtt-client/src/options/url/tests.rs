use mqtt_codec::wire::Password;

use super::*;
use crate::options::{AddressError, CredentialsSource, Settings};

fn settings(url: &str) -> Settings {
    let options: ConnectOptions = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    options
        .settings()
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn error(url: &str) -> UrlError {
    match url.parse::<ConnectOptions>() {
        Ok(options) => panic!("{url} was accepted: {options:?}"),
        Err(error) => error,
    }
}

#[test]
fn reads_address_and_default_port() {
    let rows = [
        ("mqtt://broker", "mqtt://broker:1883"),
        ("mqtt://broker/", "mqtt://broker:1883"),
        ("MQTT://Broker.example.:1", "mqtt://Broker.example.:1"),
        ("mqtt://10.0.0.1:65535?", "mqtt://10.0.0.1:65535"),
        ("mqtt://[::1]", "mqtt://[::1]:1883"),
        (
            "mqtt://[fe80::1]:99/?start=transient",
            "mqtt://[fe80::1]:99",
        ),
        ("mqtt://user@broker", "mqtt://broker:1883"),
        ("mqtt://@broker", "mqtt://broker:1883"),
        #[cfg(feature = "ring")]
        ("mqtts://broker", "mqtts://broker:8883"),
        #[cfg(feature = "ring")]
        ("mqtts://[::1]:1", "mqtts://[::1]:1"),
        #[cfg(unix)]
        ("unix:/run/m.sock", "unix:/run/m.sock"),
        #[cfg(unix)]
        ("unix:///run/m.sock", "unix:/run/m.sock"),
        #[cfg(unix)]
        ("unix:m@1%20%3f.sock?client_id=a", "unix:m@1 ?.sock"),
    ];
    for (url, address) in rows {
        assert_eq!(settings(url).address(0).to_string(), address, "{url}");
    }
}

#[test]
fn reads_user_and_password() {
    let rows: [(&str, &str, Option<&[u8]>); 8] = [
        ("mqtt://user:secret@broker", "user", Some(b"secret")),
        ("mqtt://user@broker", "user", None),
        ("mqtt://user:@broker", "user", Some(b"")),
        ("mqtt://:token@broker", "", Some(b"token")),
        ("mqtt://a:b:c@d@broker", "a", Some(b"b:c@d")),
        ("mqtt://%75%3A%40:%2f%3F%23%25@broker", "u:@", Some(b"/?#%")),
        (
            "mqtt://broker?user=u&password=%26+%C3%BC",
            "u",
            Some("&+ü".as_bytes()),
        ),
        ("mqtt://u@broker?password=p=q", "u", Some(b"p=q")),
    ];
    for (url, user, password) in rows {
        let settings = settings(url);
        let CredentialsSource::Fixed(credentials) = settings.credentials else {
            panic!("{url}: no credentials");
        };
        let login = credentials.login().unwrap();
        assert_eq!(login.user_name.as_str(), user, "{url}");
        assert_eq!(login.password.map(Password::as_bytes), password, "{url}");
    }
    assert!(matches!(
        settings("mqtt://@broker").credentials,
        CredentialsSource::None
    ));
}

#[test]
fn reads_every_parameter() {
    let settings = settings(
        "mqtt://b?client_id=gw%201&start=clean_slate&keep_alive=30&connect_timeout=1.5&write_timeout=2\
         &stall_timeout=3&ack_timeout=4&max_attempts=5&in_flight=6&packet_limit=4096&user=u&password=p\
         &drain_timeout=0.25&first_connect=keep_trying",
    );
    assert_eq!(settings.session.client_id().as_str(), "gw 1");
    assert_eq!(settings.session.start, SessionStart::CleanSlate);
    assert_eq!(settings.keep_alive.map(|seconds| seconds.get()), Some(30));
    let tuning = settings.tuning;
    assert_eq!(tuning.connect_timeout, Duration::from_millis(1_500));
    assert_eq!(tuning.write_timeout, Duration::from_secs(2));
    assert_eq!(tuning.stall_timeout, Duration::from_secs(3));
    assert_eq!(tuning.ack_timeout, Some(Duration::from_secs(4)));
    assert_eq!(tuning.max_attempts, Some(5));
    assert_eq!(tuning.in_flight, 6);
    assert_eq!(tuning.packet_limit, 4_096);
    assert_eq!(tuning.drain_timeout, Duration::from_millis(250));
    assert_eq!(tuning.first_connect, FirstConnect::KeepTrying);
    let returns = self::settings("mqtt://b?first_connect=return_error");
    assert_eq!(returns.tuning.first_connect, FirstConnect::ReturnError);
}

#[cfg(feature = "ring")]
#[test]
fn trusts_the_certificates_of_a_file() {
    use crate::options::{OptionsError, TlsOptionsError};
    use std::io::ErrorKind;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let made = rcgen::generate_simple_self_signed(["broker".to_owned()]).unwrap();
    let ca = file("c a.pem", &made.cert.pem()).replace(' ', "%20");
    assert!(
        settings(&format!("mqtts://broker?ca_file={ca}"))
            .tls
            .is_some()
    );
    // it would not be used
    let options: ConnectOptions = format!("mqtt://broker?ca_file={ca}").parse().unwrap();
    let error = options.validate().unwrap_err();
    assert!(
        matches!(error, OptionsError::TlsWithoutAddress { option } if option == "ca_file"),
        "{error}"
    );
    let key = made.signing_key.serialize_pem();
    let wrong = [
        (file("key.pem", &key), ErrorKind::InvalidData),
        (
            folder.path().join("none").to_str().unwrap().to_owned(),
            ErrorKind::NotFound,
        ),
    ];
    for (path, kind) in wrong {
        let options: ConnectOptions = format!("mqtts://broker?ca_file={path}").parse().unwrap();
        let error = options.validate().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&path), "{shown}");
        assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");
        let OptionsError::Tls(TlsOptionsError::CaFile { error, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn names_what_is_wrong() {
    let address = |error| UrlError::Address(error);
    let scheme = |scheme: &str| UrlError::UnknownScheme {
        scheme: scheme.into(),
    };
    let duplicate = |parameter| UrlError::DuplicateParameter { parameter };
    let rows = [
        ("", UrlError::NoScheme),
        ("broker", UrlError::NoScheme),
        ("broker:1883", UrlError::NoScheme),
        ("mqtt:broker", UrlError::NoScheme),
        ("://broker", UrlError::NoScheme),
        ("user:pa//ss@broker", UrlError::NoScheme),
        ("http://broker", scheme("http")),
        ("mqtt+tls://broker", scheme("mqtt+tls")),
        ("mqtt://", address(AddressError::EmptyHost)),
        ("mqtt://:1883", address(AddressError::EmptyHost)),
        ("mqtt://user@", address(AddressError::EmptyHost)),
        ("mqtt://[]", address(AddressError::InvalidHost)),
        ("mqtt://[::1", address(AddressError::InvalidHost)),
        ("mqtt://[::1]1883", address(AddressError::InvalidHost)),
        ("mqtt://::1", address(AddressError::InvalidHost)),
        ("mqtt://a b", address(AddressError::InvalidHost)),
        ("mqtt://%61", address(AddressError::InvalidHost)),
        ("mqtt://broker:", address(AddressError::PortOutOfRange)),
        ("mqtt://broker:0", address(AddressError::PortOutOfRange)),
        ("mqtt://broker:65536", address(AddressError::PortOutOfRange)),
        ("mqtt://broker:+1", address(AddressError::PortOutOfRange)),
        ("mqtt://broker:18x", address(AddressError::PortOutOfRange)),
        ("mqtt://broker/path", UrlError::Path),
        ("mqtt://broker#top", UrlError::Fragment),
        ("mqtt://broker?client_id=a#b", UrlError::Fragment),
        ("mqtt://broker?client_id=a@b", UrlError::UnescapedAt),
        ("mqtt://u%:p@broker", UrlError::PercentEscape),
        ("mqtt://u:%2@broker", UrlError::PercentEscape),
        ("mqtt://u:%zz@broker", UrlError::PercentEscape),
        ("mqtt://u:%+1@broker", UrlError::PercentEscape),
        ("mqtt://u:%ff@broker", UrlError::PercentEscape),
        ("mqtt://u:%2ü@broker", UrlError::PercentEscape),
        ("mqtt://broker?client_id=%", UrlError::PercentEscape),
        (
            "mqtt://b?clientid=a",
            UrlError::UnknownParameter {
                parameter: "clientid".into(),
            },
        ),
        ("mqtt://b?client_id=a&client_id=a", duplicate("client_id")),
        ("mqtt://u@b?user=u", duplicate("user")),
        ("mqtt://u:p@b?password=p", duplicate("password")),
        ("mqtt://b?password=p", UrlError::PasswordWithoutUser),
        #[cfg(unix)]
        ("unix:", address(AddressError::EmptyPath)),
        #[cfg(unix)]
        ("unix://", address(AddressError::EmptyPath)),
        #[cfg(unix)]
        ("unix:?client_id=a", address(AddressError::EmptyPath)),
        #[cfg(unix)]
        ("unix://host/run/m.sock", UrlError::UnixHost),
        #[cfg(not(feature = "tls"))]
        ("mqtts://broker", UrlError::TlsNotBuilt),
        #[cfg(not(feature = "tls"))]
        ("mqtt://broker?ca_file=ca.pem", UrlError::TlsNotBuilt),
    ];
    for (url, expected) in rows {
        assert_eq!(error(url), expected, "{url}");
    }
}

#[test]
fn names_the_parameter_with_a_wrong_value() {
    let rows = [
        ("client_id", "client_id"),
        ("client_id=", "client_id"),
        ("start=transient&client_id=", "client_id"),
        ("keep_alive=65536", "keep_alive"),
        ("keep_alive=-1", "keep_alive"),
        ("keep_alive=1.5", "keep_alive"),
        ("keep_alive=", "keep_alive"),
        ("keep_alive", "keep_alive"),
        ("start=clean", "start"),
        ("connect_timeout=0", "connect_timeout"),
        ("drain_timeout=0", "drain_timeout"),
        ("drain_timeout=soon", "drain_timeout"),
        ("first_connect=true", "first_connect"),
        ("first_connect", "first_connect"),
        #[cfg(feature = "tls")]
        ("ca_file=", "ca_file"),
        ("write_timeout=-1", "write_timeout"),
        ("stall_timeout=NaN", "stall_timeout"),
        ("ack_timeout=86401", "ack_timeout"),
        ("max_attempts=x", "max_attempts"),
        ("in_flight=65536", "in_flight"),
        ("packet_limit=-1", "packet_limit"),
    ];
    for (query, expected) in rows {
        let error = error(&format!("mqtt://b?{query}"));
        let named =
            matches!(error, UrlError::ParameterValue { parameter, .. } if parameter == expected);
        assert!(named, "{query}: {error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn lists_the_known_parameters() {
    let shown = error("mqtt://b?clean=1").to_string();
    assert!(shown.contains("\"clean\""), "{shown}");
    assert!(
        PARAMETERS.iter().all(|parameter| shown.contains(parameter)),
        "{shown}"
    );
}

#[test]
fn names_first_what_a_password_most_likely_lacks() {
    let shown = error("mqtt://user:pa/ss@broker").to_string();
    let slash = shown.find("`/`, `?`, `#` in user and password").unwrap();
    assert!(slash < shown.find("%40").unwrap(), "{shown}");
}

#[test]
fn an_error_never_shows_a_piece_of_the_password() {
    // What had to be percent-encoded is not, in every place where it changes the meaning of the
    // rest.
    for url in [
        "mqtt://user:SEC/RET@broker",
        "mqtt://user:SEC?RET@broker",
        "mqtt://user:SEC#RET@broker",
        "mqtt://user:1?RET=SEC@broker",
        "mqtt://user:1/?RET=SEC@broker",
        "mqtt://user:x@SEC?RET@broker",
        "mqtt://user:x@SEC:RET/@broker",
        "mqtt://user:%SECRET@broker",
        "mqtt://user:SECRET@",
        "mqtt://user:SECRET@bro ker",
        "mqtt://user:SECRET@broker:port",
        "mqtt://user:SECRET@broker?wrong=1",
        "mqtt://user:SECRET@broker?password=x",
        "mqtt://broker?user=u&password=SEC&RET",
        "mqtt://broker?user=u&password=SEC&RET=1",
        "mqtt://broker?password=SECRET",
        "mqtt://broker?user=u&password=%SECRET",
        "user:SECRET@broker:1883",
        "mqtt:user:SECRET@broker",
        "SEC:RET://broker",
        "user SECRET://broker",
    ] {
        let error = error(url);
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("SEC") && !shown.contains("RET"),
            "{url}: {shown}"
        );
    }
}

#[test]
fn options_and_settings_never_show_the_password() {
    let options: ConnectOptions = "mqtt://user:SECRET@broker".parse().unwrap();
    let shown = format!("{options:?} {:?}", options.settings().unwrap());
    assert!(
        shown.contains("user") && !shown.contains("SECRET"),
        "{shown}"
    );
}

#[test]
fn an_address_alone_has_neither_user_nor_parameters() {
    assert_eq!("mqtt://b:2".parse(), Ok(Address::tcp("b", 2).unwrap()));
    for url in ["mqtt://u@b", "mqtt://b?client_id=a"] {
        assert_eq!(
            url.parse::<Address>(),
            Err(UrlError::MoreThanAnAddress),
            "{url}"
        );
    }
}
