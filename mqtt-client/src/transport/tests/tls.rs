//! Against a rustls server in the same process, with certificates made here.
use std::{net::SocketAddr, sync::Arc};

use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::{CryptoProvider, ring},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use super::*;
use crate::options::{OptionsError, TlsOptions, TlsOptionsError};

/// A certificate authority.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }

    fn store(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Trusts this authority alone.
    fn trusted(&self) -> TlsOptions {
        let pem = self.certificate.pem();
        TlsOptions::without_public_roots()
            .roots_pem(pem.as_bytes())
            .unwrap()
    }
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    fn shown_by(&self, options: TlsOptions) -> TlsOptions {
        let (chain, key) = (self.certificate.pem(), self.key.serialize_pem());
        options
            .client_certificate_pem(chain.as_bytes(), key.as_bytes())
            .unwrap()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server_config(version: &'static SupportedProtocolVersion, identity: &Identity) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.key())
        .unwrap()
}

/// A server that lets in only those who show a certificate of `authority`.
fn mutual_config(
    version: &'static SupportedProtocolVersion,
    identity: &Identity,
    authority: &Authority,
) -> ServerConfig {
    let verifier: Arc<dyn ClientCertVerifier> =
        WebPkiClientVerifier::builder_with_provider(authority.store(), provider())
            .build()
            .unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.key())
        .unwrap()
}

/// Takes one connection; its task ends with the server's side of it.
async fn serve(config: ServerConfig) -> (SocketAddr, JoinHandle<io::Result<TlsStream<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    });
    (address, server)
}

fn at(host: &str, server: SocketAddr) -> ConnectOptions {
    ConnectOptions::new(Address::tls(host, server.port()).unwrap())
}

/// The failure, which must name the server.
fn tls_failure(error: &ConnectError, server_name: &str) -> String {
    let ConnectFailure::Tls(tls) = error.failure() else {
        panic!("{error:?}");
    };
    assert_eq!(tls.server_name(), server_name);
    assert!(
        error.to_string().contains(&format!("`{server_name}`")),
        "{error}"
    );
    assert!(!error.is_terminal());
    let shown = format!("{:?}", tls.failure());
    shown
        .split([' ', '('])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_server_with_a_certificate_of_an_own_root_is_trusted() {
    let authority = Authority::new("Our CA");
    for version in [&TLS12, &TLS13] {
        let (address, server) = serve(server_config(
            version,
            &authority.issue("localhost", |_| {}),
        ))
        .await;
        let transport = open_first(at("localhost", address).tls(authority.trusted()))
            .await
            .unwrap();
        assert!(matches!(transport, Transport::Tls(_)) && transport.is_write_vectored());
        carries_bytes(transport, server.await.unwrap().unwrap()).await;
    }
}

#[tokio::test]
async fn a_url_names_the_file_of_those_who_are_trusted() {
    let (ours, other) = (Authority::new("Our CA"), Authority::new("Another CA"));
    for (authority, is_trusted) in [(&ours, true), (&other, false)] {
        let identity = authority.issue("localhost", |_| {});
        let (address, _server) = serve(server_config(&TLS13, &identity)).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ours.certificate.pem()).unwrap();
        let (port, path) = (address.port(), file.path().display());
        let options: ConnectOptions = format!("mqtts://localhost:{port}?ca_file={path}")
            .parse()
            .unwrap();
        assert_eq!(open_first(options).await.is_ok(), is_trusted);
    }
}

#[tokio::test]
async fn an_ip_address_is_a_name_too() {
    let authority = Authority::new("Our CA");
    let (address, server) =
        serve(server_config(&TLS13, &authority.issue("127.0.0.1", |_| {}))).await;
    let transport = open_first(at("127.0.0.1", address).tls(authority.trusted()))
        .await
        .unwrap();
    carries_bytes(transport, server.await.unwrap().unwrap()).await;
}

#[tokio::test]
async fn a_ready_configuration_is_used_as_it_is() {
    let authority = Authority::new("Our CA");
    let (address, server) = serve(server_config(
        &TLS13,
        &authority.issue("broker.example", |_| {}),
    ))
    .await;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.store())
        .with_no_client_auth();
    let options = at("localhost", address)
        .tls_config(Arc::new(config))
        .tls_server_name("broker.example");
    let transport = open_first(options).await.unwrap();
    carries_bytes(transport, server.await.unwrap().unwrap()).await;
}

#[tokio::test]
async fn tls_goes_over_a_connectors_stream() {
    let authority = Authority::new("Our CA");
    let (address, server) = serve(server_config(
        &TLS13,
        &authority.issue("broker.example", |_| {}),
    ))
    .await;
    let options = at("broker.example", address)
        .tls(authority.trusted())
        .connector(move |_| TcpStream::connect(address));
    let transport = open_first(options).await.unwrap();
    carries_bytes(transport, server.await.unwrap().unwrap()).await;
}

#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn either_provider_can_be_chosen_when_both_are_there() {
    use tokio_rustls::rustls::crypto::aws_lc_rs;

    let authority = Authority::new("Our CA");
    for chosen in [ring::default_provider(), aws_lc_rs::default_provider()] {
        let (address, server) =
            serve(server_config(&TLS13, &authority.issue("localhost", |_| {}))).await;
        let options = at("localhost", address).tls(authority.trusted().crypto_provider(chosen));
        let transport = open_first(options).await.unwrap();
        carries_bytes(transport, server.await.unwrap().unwrap()).await;
    }
}

#[tokio::test]
async fn refuses_an_unknown_issuer() {
    let authority = Authority::new("Our CA");
    for options in [TlsOptions::new(), Authority::new("Other CA").trusted()] {
        let (address, _server) =
            serve(server_config(&TLS13, &authority.issue("localhost", |_| {}))).await;
        let error = open_first(at("localhost", address).tls(options))
            .await
            .unwrap_err();
        assert_eq!(tls_failure(&error, "localhost"), "UnknownIssuer");
    }
}

#[tokio::test]
async fn tells_a_new_authority_with_the_old_name_from_an_unknown_one() {
    let authority = Authority::new("Our CA");
    let old = Authority::new("Our CA");
    let (address, _server) =
        serve(server_config(&TLS13, &authority.issue("localhost", |_| {}))).await;
    let error = open_first(at("localhost", address).tls(old.trusted()))
        .await
        .unwrap_err();
    assert_eq!(tls_failure(&error, "localhost"), "BadSignature");
}

#[tokio::test]
async fn refuses_another_name() {
    let authority = Authority::new("Our CA");
    let (address, _server) = serve(server_config(
        &TLS13,
        &authority.issue("other.example", |_| {}),
    ))
    .await;
    let error = open_first(at("localhost", address).tls(authority.trusted()))
        .await
        .unwrap_err();
    assert_eq!(tls_failure(&error, "localhost"), "NameMismatch");
    assert!(error.to_string().contains("other.example"), "{error}");
}

#[tokio::test]
async fn refuses_a_certificate_outside_its_time() {
    let authority = Authority::new("Our CA");
    let expired = authority.issue("localhost", |params| {
        params.not_after = date_time_ymd(2001, 1, 1)
    });
    let not_yet = authority.issue("localhost", |params| {
        params.not_before = date_time_ymd(4000, 1, 1)
    });
    for (identity, expected) in [(expired, "Expired"), (not_yet, "NotYetValid")] {
        let (address, _server) = serve(server_config(&TLS13, &identity)).await;
        let error = open_first(at("localhost", address).tls(authority.trusted()))
            .await
            .unwrap_err();
        assert_eq!(tls_failure(&error, "localhost"), expected);
    }
}

#[tokio::test]
async fn shows_its_certificate_to_a_server_that_asks() {
    let authority = Authority::new("Our CA");
    let client = authority.issue("gateway-1", |_| {});
    for version in [&TLS12, &TLS13] {
        let config = mutual_config(version, &authority.issue("localhost", |_| {}), &authority);
        let (address, server) = serve(config).await;
        let options = at("localhost", address).tls(client.shown_by(authority.trusted()));
        let transport = open_first(options).await.unwrap();
        carries_bytes(transport, server.await.unwrap().unwrap()).await;
    }
}

/// Opens, then reads as one who awaits CONNACK does: TLS 1.3 tells only there what the server
/// thinks of our certificate.
async fn refusal(options: ConnectOptions) -> ConnectError {
    let settings = settings(options);
    let address = settings.address(0);
    let deadline = Instant::now() + settings.tuning.connect_timeout;
    match open(&settings, address, deadline).await {
        Err(error) => error,
        Ok(mut transport) => {
            let error = transport.read(&mut [0; 16]).await.unwrap_err();
            ConnectError::before_connack(&settings, address, error)
        }
    }
}

#[tokio::test]
async fn says_that_the_server_requires_a_client_certificate() {
    let authority = Authority::new("Our CA");
    for version in [&TLS12, &TLS13] {
        let config = mutual_config(version, &authority.issue("localhost", |_| {}), &authority);
        let (address, _server) = serve(config).await;
        let error = refusal(at("localhost", address).tls(authority.trusted())).await;
        assert_eq!(
            tls_failure(&error, "localhost"),
            "ClientCertificateRequired"
        );
    }
}

#[tokio::test]
async fn says_that_the_server_refused_the_client_certificate() {
    let authority = Authority::new("Our CA");
    // the second is of an authority made anew under its old name: the server finds the signature wrong
    for issuer in ["Other CA", "Our CA"] {
        let stranger = Authority::new(issuer).issue("gateway-1", |_| {});
        for version in [&TLS12, &TLS13] {
            let config = mutual_config(version, &authority.issue("localhost", |_| {}), &authority);
            let (address, _server) = serve(config).await;
            let options = at("localhost", address).tls(stranger.shown_by(authority.trusted()));
            let error = refusal(options).await;
            assert_eq!(tls_failure(&error, "localhost"), "ClientCertificateRefused");
        }
    }
}

#[tokio::test]
async fn refuses_a_key_of_another_certificate() {
    let authority = Authority::new("Our CA");
    let (one, other) = (authority.issue("a", |_| {}), authority.issue("b", |_| {}));
    let tls = authority
        .trusted()
        .client_certificate_der([one.certificate.der().to_vec()], other.key.serialize_der())
        .unwrap();
    let error = at("localhost", ([127, 0, 0, 1], 1).into())
        .tls(tls)
        .validate()
        .unwrap_err();
    let expected = matches!(
        &error,
        OptionsError::Tls(TlsOptionsError::ClientCertificate(_))
    );
    assert!(expected, "{error:?}");
}

#[tokio::test]
async fn offers_protocols_by_alpn() {
    let authority = Authority::new("Our CA");
    let mut config = server_config(&TLS13, &authority.issue("localhost", |_| {}));
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    for (offer, accepted) in [("mqtt", true), ("x-other", false)] {
        let (address, server) = serve(config.clone()).await;
        let options = at("localhost", address).tls(authority.trusted().alpn(["x-first", offer]));
        let result = open_first(options).await;
        if accepted {
            let stream = server.await.unwrap().unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"mqtt"[..]));
        } else {
            assert_eq!(
                tls_failure(&result.unwrap_err(), "localhost"),
                "NoCommonAlpnProtocol"
            );
        }
    }
}

#[tokio::test]
async fn says_that_a_plain_listener_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        stream
            .write_all(b"\x20\x02\x00\x00 not a TLS record")
            .await
            .unwrap();
    });
    let error = open_first(at("localhost", address)).await.unwrap_err();
    assert_eq!(tls_failure(&error, "localhost"), "NotTls");
    assert!(error.to_string().contains("use `mqtt://`"), "{error}");
}

#[tokio::test]
async fn says_that_the_server_closed_during_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // All of the ClientHello is read, or the close would become a reset.
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    });
    let error = open_first(at("localhost", address)).await.unwrap_err();
    assert_eq!(tls_failure(&error, "localhost"), "Closed");
    assert!(error.to_string().contains("use `mqtt://`"), "{error}");
}

#[tokio::test]
async fn debug_hides_the_key() {
    let identity = Authority::new("Our CA").issue("a", |_| {});
    let tls = identity.shown_by(TlsOptions::new());
    let shown = format!("{tls:?}");
    assert!(shown.contains("client_certificate: true"), "{shown}");
    assert!(shown.len() < 200, "{shown}");
}
