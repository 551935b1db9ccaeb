//! Ways in, and what is said when there is none.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mqtt_client::{
    Address, BackoffOptions, Client, ConnectFailure, ConnectOptions, ConnectRefusal, Credentials,
    Event, FirstConnect, TlsFailure, TlsOptions,
};
use testkit::net::{Listener, Mode, Mosquitto, PATIENCE, Plan, Proxy};
use tokio::time::timeout;

use crate::support::{assert_works, client, connect_error, options};

#[tokio::test]
async fn plain() {
    let broker = Mosquitto::start().await;
    assert_works(&client(&broker).await).await;
}

#[tokio::test]
async fn unix_socket() {
    let broker = Mosquitto::start().await;
    let url = format!("unix:{}", broker.socket().display());
    assert_works(&Client::connect(url.as_str()).await.unwrap()).await;

    let nowhere = Address::unix(broker.socket().with_extension("gone")).unwrap();
    let error = connect_error(ConnectOptions::new(nowhere)).await;
    let ConnectFailure::UnixSocket(cause) = error.failure() else {
        panic!("{error}")
    };
    assert_eq!(cause.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn password() {
    let broker = Mosquitto::start().await;
    let credentials = Credentials::user(Mosquitto::USER);
    let options = || options(&broker, Listener::Password);
    let right = credentials.clone().password(Mosquitto::PASSWORD);
    let client = Client::connect(options().credentials(right)).await.unwrap();
    assert_works(&client).await;

    for wrong in [
        options(),
        options().credentials(credentials.clone()),
        options().credentials(credentials.password("wr0ng")),
        // trying again would not help, whatever was asked for
        options().first_connect(FirstConnect::KeepTrying),
    ] {
        let error = connect_error(wrong).await;
        let ConnectFailure::Refused(refusal) = error.failure() else {
            panic!("{error}")
        };
        assert_eq!(*refusal, ConnectRefusal::NotAuthorized);
        assert!(error.is_terminal());
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
}

#[tokio::test]
async fn credentials_are_asked_for_until_they_are_right() {
    let broker = Mosquitto::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let provider = move || {
        let attempt = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match attempt {
                0 => Err(io::Error::other("no token yet")),
                1 => Ok(Credentials::user(Mosquitto::USER).password("stale")),
                _ => Ok(Credentials::user(Mosquitto::USER).password(Mosquitto::PASSWORD)),
            }
        }
    };
    let options = options(&broker, Listener::Password)
        .credentials_provider(provider)
        .first_connect(FirstConnect::KeepTrying)
        .backoff(BackoffOptions::default().min(Duration::from_millis(1)));
    assert_works(&Client::connect(options).await.unwrap()).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn tls() {
    let broker = Mosquitto::start().await;
    let authority = &broker.certificates().authority;
    let client = Client::connect(tls_options(&broker, Listener::Tls, trusting(authority)))
        .await
        .unwrap();
    assert_works(&client).await;
}

#[tokio::test]
async fn tls_failures_say_what_is_wrong_with_which_server() {
    let broker = Mosquitto::start().await;
    let authority = || trusting(&broker.certificates().authority);
    let other = trusting(&broker.certificates().other_authority);

    fails_by_tls(&broker, Listener::Tls, other, |failure| {
        matches!(failure, TlsFailure::UnknownIssuer)
    })
    .await;
    fails_by_tls(&broker, Listener::Tls, TlsOptions::new(), |failure| {
        matches!(failure, TlsFailure::UnknownIssuer)
    })
    .await;
    fails_by_tls(&broker, Listener::Expired, authority(), |failure| {
        matches!(failure, TlsFailure::Expired)
    })
    .await;
    fails_by_tls(&broker, Listener::WrongName, authority(), |failure| {
        matches!(failure, TlsFailure::NameMismatch { presented }
            if presented.iter().any(|name| name.contains("other.example")))
    })
    .await;
    // mosquitto takes the handshake for a malformed packet and closes, with bytes unread
    fails_by_tls(
        &broker,
        Listener::Plain,
        authority(),
        |failure| match failure {
            TlsFailure::Io(error) => error.kind() == io::ErrorKind::ConnectionReset,
            other => matches!(other, TlsFailure::Closed),
        },
    )
    .await;
}

#[tokio::test]
async fn the_wrong_one_of_two_ports_is_told_with_what_to_do() {
    let broker = Mosquitto::start().await;
    let plain = connect_error(options(&broker, Listener::Tls)).await;
    assert!(plain.to_string().contains("use `mqtts://`"), "{plain}");

    let port = broker.address(Listener::Plain).port();
    let url = format!("mqtts://localhost:{port}");
    let options: ConnectOptions = url.parse().unwrap();
    let trusting = trusting(&broker.certificates().authority);
    let tls = connect_error(options.tls(trusting)).await;
    assert!(tls.to_string().contains("use `mqtt://`"), "{tls}");
}

#[tokio::test]
async fn a_client_id_used_twice_is_told() {
    let broker = Mosquitto::start().await;
    let (min, max) = (Duration::from_millis(5), Duration::from_millis(50));
    let options = || {
        options(&broker, Listener::Plain)
            .client_id("twice")
            .backoff(BackoffOptions::default().min(min).max(max))
    };
    let one = Client::connect(options()).await.unwrap();
    let mut events = one.events();
    let _other = Client::connect(options()).await.unwrap();
    let told = async {
        loop {
            if let Event::RepeatedlyClosed { times } = events.recv().await.unwrap() {
                return times;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, told).await.expect("it is told"), 3);
}

#[tokio::test]
async fn client_certificate() {
    let broker = Mosquitto::start().await;
    let certificates = broker.certificates();
    let identity = &certificates.client;
    let with = trusting(&certificates.authority)
        .client_certificate_pem(identity.certificate.as_bytes(), identity.key.as_bytes())
        .unwrap();
    let options = tls_options(&broker, Listener::ClientCertificate, with);
    assert_works(&Client::connect(options).await.unwrap()).await;

    let without = trusting(&certificates.authority);
    let listener = Listener::ClientCertificate;
    fails_by_tls(&broker, listener, without, |failure| {
        matches!(failure, TlsFailure::ClientCertificateRequired)
    })
    .await;
    let stranger = testkit::net::Certificates::new().client;
    let strange = trusting(&certificates.authority)
        .client_certificate_pem(stranger.certificate.as_bytes(), stranger.key.as_bytes())
        .unwrap();
    fails_by_tls(&broker, listener, strange, |failure| {
        matches!(failure, TlsFailure::ClientCertificateRefused(_))
    })
    .await;
}

#[tokio::test]
async fn each_address_is_tried() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.address(Listener::Plain), Plan::faithful()).await;
    proxy.set_mode(Mode::Refuse);
    let nowhere = Address::unix(broker.socket().with_extension("gone")).unwrap();
    let options = ConnectOptions::new(nowhere)
        .address(proxy.address().into())
        .address(broker.address(Listener::Plain).into());
    let client = Client::connect(options).await.unwrap();
    assert_works(&client).await;
    assert!(client.stats().failed_attempts >= 1);
}

fn trusting(authority: &str) -> TlsOptions {
    TlsOptions::without_public_roots()
        .roots_pem(authority.as_bytes())
        .unwrap()
}

fn tls_options(broker: &Mosquitto, listener: Listener, tls: TlsOptions) -> ConnectOptions {
    let port = broker.address(listener).port();
    ConnectOptions::new(Address::tls("localhost", port).unwrap()).tls(tls)
}

async fn fails_by_tls(
    broker: &Mosquitto,
    listener: Listener,
    tls: TlsOptions,
    expected: fn(&TlsFailure) -> bool,
) {
    let error = connect_error(tls_options(broker, listener, tls)).await;
    let ConnectFailure::Tls(tls) = error.failure() else {
        panic!("{listener:?}: {error}")
    };
    assert!(expected(tls.failure()), "{listener:?}: {error} {tls:?}");
    assert_eq!(tls.server_name(), "localhost");
}
