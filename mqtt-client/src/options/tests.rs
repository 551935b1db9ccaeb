use mqtt_codec::wire::StringError;

use super::*;

type Set = fn(ConnectOptions) -> ConnectOptions;

fn options() -> ConnectOptions {
    ConnectOptions::new(Address::tcp("broker", 1883).unwrap())
}

fn error(options: &ConnectOptions) -> OptionsError {
    options.validate().expect_err("the options are wrong")
}

fn filter(filter: &str) -> Filter {
    Filter::new(filter).unwrap()
}

#[test]
fn without_a_client_id_a_session_is_transient_with_a_random_id() {
    let options = options();
    let [one, other] = [options.settings().unwrap(), options.settings().unwrap()];
    let id = one.session.client_id().as_str();
    assert_eq!(one.session.start, SessionStart::Transient);
    assert_eq!(id.len(), 23);
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_ne!(one.session, other.session);
}

#[test]
fn with_a_client_id_a_session_is_resumed_unless_said_otherwise() {
    let options = options().client_id("gw");
    assert_eq!(
        options.settings().unwrap().session.start,
        SessionStart::Resume
    );
    for start in [
        SessionStart::Resume,
        SessionStart::CleanSlate,
        SessionStart::Transient,
    ] {
        let session = options
            .clone()
            .session_start(start)
            .settings()
            .unwrap()
            .session;
        assert_eq!((session.client_id().as_str(), session.start), ("gw", start));
    }
}

#[test]
fn a_lasting_session_needs_a_client_id() {
    for start in [SessionStart::Resume, SessionStart::CleanSlate] {
        for options in [options(), options().client_id("")] {
            let error = error(&options.session_start(start));
            let expected =
                matches!(error, OptionsError::ClientIdRequired { start: named } if named == start);
            assert!(expected, "{error:?}");
        }
    }
}

#[test]
fn refuses_a_client_id_that_connect_cannot_carry() {
    for (id, reason) in [
        ("a\0".to_owned(), StringError::Nul),
        ("x".repeat(65_536), StringError::TooLong),
    ] {
        let error = error(&options().client_id(id));
        assert!(
            matches!(error, OptionsError::ClientId(named) if named == reason),
            "{error:?}"
        );
    }
}

#[test]
fn keep_alive_is_whole_seconds_up_to_65535() {
    let keep_alive = |interval| options().keep_alive(interval).settings();
    let seconds =
        |seconds| keep_alive(Duration::from_secs(seconds)).map(|settings| settings.keep_alive);
    assert_eq!(
        options().settings().unwrap().keep_alive,
        NonZeroU16::new(60)
    );
    assert_eq!(seconds(0).unwrap(), None);
    assert_eq!(seconds(65_535).unwrap(), Some(NonZeroU16::MAX));
    assert!(matches!(
        seconds(65_536),
        Err(OptionsError::KeepAliveTooLong { seconds: 65_536 })
    ));
    let fraction = keep_alive(Duration::from_millis(1_500));
    assert!(matches!(fraction, Err(OptionsError::KeepAliveNotWhole)));
}

#[test]
fn names_the_option_that_is_out_of_range() {
    let day = Duration::from_secs(86_400);
    let rows: [(&str, Set); 20] = [
        ("connect_timeout", |o| o.connect_timeout(Duration::ZERO)),
        ("connect_timeout", |o| o.connect_timeout(Duration::MAX)),
        ("write_timeout", |o| o.write_timeout(Duration::ZERO)),
        ("stall_timeout", |o| o.stall_timeout(Duration::ZERO)),
        ("ack_timeout", |o| o.ack_timeout(Duration::ZERO)),
        ("drain_timeout", |o| o.drain_timeout(Duration::ZERO)),
        ("backoff.min", |o| {
            o.backoff(BackoffOptions::default().min(Duration::ZERO))
        }),
        ("backoff.max", |o| {
            o.backoff(BackoffOptions::default().max(Duration::MAX))
        }),
        ("backoff.max", |o| {
            o.backoff(BackoffOptions::default().max(Duration::from_millis(499)))
        }),
        ("backoff.stable_after", |o| {
            o.backoff(BackoffOptions::default().stable_after(Duration::ZERO))
        }),
        ("max_attempts", |o| o.max_attempts(0)),
        ("max_attempts", |o| o.max_attempts(256)),
        ("in_flight", |o| o.in_flight(0)),
        ("in_flight", |o| o.in_flight(64_512)),
        ("outbox.messages", |o| o.outbox(Capacity::new(0, 1))),
        ("outbox.bytes", |o| o.outbox(Capacity::new(1, 0))),
        ("queue.messages", |o| o.queue(Capacity::new(0, 1))),
        ("queue.bytes", |o| o.queue(Capacity::new(1, 0))),
        ("packet_limit", |o| o.packet_limit(255)),
        ("packet_limit", |o| o.packet_limit(268_435_456)),
    ];
    for (expected, set) in rows {
        let error = error(&set(options()));
        let named = matches!(error, OptionsError::OutOfRange { option, .. } if option == expected);
        assert!(named, "{expected}: {error:?}");
    }
    let widest = options()
        .connect_timeout(day)
        .ack_timeout(Duration::from_millis(1))
        .max_attempts(1)
        .in_flight(64_511)
        .outbox(Capacity::new(1, 1))
        .queue(Capacity::new(1, 1))
        .packet_limit(268_435_455);
    assert!(widest.validate().is_ok());
}

#[test]
fn refuses_subscriptions_that_cannot_be_declared() {
    let declared = options().declare(filter("a/+"), QoS::AtLeastOnce);
    let twice = declared.clone().declare(filter("a/+"), QoS::AtMostOnce);
    let error_twice = error(&twice);
    assert!(
        matches!(&error_twice, OptionsError::DuplicateSubscription { filter } if filter.as_str() == "a/+"),
        "{error_twice:?}"
    );
    let qos2 = error(&declared.clone().declare(filter("b"), QoS::ExactlyOnce));
    assert!(
        matches!(&qos2, OptionsError::QoS2Subscription { filter } if filter.as_str() == "b"),
        "{qos2:?}"
    );
    let settings = declared
        .declare(filter("a/#"), QoS::AtMostOnce)
        .settings()
        .unwrap();
    assert_eq!(settings.subscriptions.len(), 2);
}

#[test]
fn refuses_credentials_that_connect_cannot_carry() {
    let error = error(&options().credentials(Credentials::user("a\0")));
    assert!(
        matches!(
            error,
            OptionsError::Credentials(CredentialsError::UserName(_))
        ),
        "{error:?}"
    );
}

#[test]
fn settings_carry_the_will() {
    let will = Will::new(Topic::new("status").unwrap(), "offline").unwrap();
    let settings = options().will(will).settings().unwrap();
    assert_eq!(settings.will.unwrap().wire().topic.as_str(), "status");
}

#[test]
fn addresses_are_tried_in_order_and_again_from_the_first() {
    let options = options()
        .address(Address::tcp("second", 1).unwrap())
        .address("mqtt://third".parse().unwrap());
    let settings = options.settings().unwrap();
    let tried: Vec<_> = (0..4)
        .map(|attempt| settings.address(attempt).endpoint().unwrap().host())
        .collect();
    assert_eq!(tried, ["broker", "second", "third", "broker"]);
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;

    fn tls_error(tls: TlsOptions) -> OptionsError {
        error(&ConnectOptions::new(Address::tls("broker", 8883).unwrap()).tls(tls))
    }

    #[test]
    fn refuses_to_trust_no_one() {
        let error = tls_error(TlsOptions::without_public_roots());
        assert!(
            matches!(error, OptionsError::Tls(TlsOptionsError::NoRoots)),
            "{error:?}"
        );
    }

    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    #[test]
    fn refuses_to_go_without_cryptography() {
        let error = tls_error(TlsOptions::new());
        assert!(
            matches!(error, OptionsError::Tls(TlsOptionsError::NoCryptoProvider)),
            "{error:?}"
        );
    }

    #[cfg(feature = "ring")]
    #[test]
    fn refuses_a_server_name_that_no_certificate_can_carry() {
        let address = Address::tls("broker", 8883).unwrap();
        let options = ConnectOptions::new(address.clone()).tls_server_name("a b");
        let named = error(&options);
        assert!(
            matches!(&named, OptionsError::Tls(TlsOptionsError::ServerName { name }) if name == "a b"),
            "{named:?}"
        );
        let host = error(&ConnectOptions::new(address).address(Address::tls("-a-", 1).unwrap()));
        assert!(
            matches!(&host, OptionsError::Tls(TlsOptionsError::ServerName { name }) if name == "-a-"),
            "{host:?}"
        );
    }

    #[test]
    fn refuses_pem_without_what_it_must_hold() {
        let no_certificate = TlsOptions::new().roots_pem(b"nothing here").unwrap_err();
        assert!(
            matches!(no_certificate, TlsOptionsError::NoCertificate),
            "{no_certificate:?}"
        );
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        let cut = TlsOptions::new().roots_pem(cut).unwrap_err();
        assert!(matches!(cut, TlsOptionsError::Pem(_)), "{cut:?}");
        let no_der = TlsOptions::new().root_der(*b"no certificate").unwrap_err();
        assert!(
            matches!(no_der, TlsOptionsError::Certificate(_)),
            "{no_der:?}"
        );
        let no_key = TlsOptions::new()
            .client_certificate_pem(b"", b"")
            .unwrap_err();
        assert!(matches!(no_key, TlsOptionsError::Pem(_)), "{no_key:?}");
        let no_key = TlsOptions::new()
            .client_certificate_der([vec![0]], *b"no key")
            .unwrap_err();
        assert!(
            matches!(no_key, TlsOptionsError::UnknownKeyFormat),
            "{no_key:?}"
        );
    }
}

#[cfg(feature = "tls")]
#[test]
fn refuses_tls_options_that_would_not_be_used() {
    let options: ConnectOptions = "mqtt://b".parse().unwrap();
    let rows = [
        (options.clone().tls(TlsOptions::new()), "tls"),
        (options.clone().ca_file("ca.pem"), "ca_file"),
        (options.tls_server_name("b"), "tls_server_name"),
    ];
    for (options, expected) in rows {
        let error = options.validate().unwrap_err();
        assert!(
            matches!(error, OptionsError::TlsWithoutAddress { option } if option == expected),
            "{error}"
        );
        assert!(error.to_string().contains("write mqtts://"), "{error}");
    }
}
