//! TLS with a certificate authority of one's own and a client certificate.
//!
//! ```console
//! $ cargo run --example tls
//! $ cargo run --example tls -- mqtts://broker.example --ca ca.pem --cert client.pem --key client.key
//! ```
use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use mqtt_client::{
    Client, ConnectOptions, QoS, TlsOptions,
    rustls::{
        RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer,
        server::WebPkiClientVerifier,
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{exit_code, start_broker};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Connects by TLS, publishes a message and receives it.
///
/// Without arguments a broker is started within this program that speaks TLS and wants a client certificate; all
/// certificates are made for the occasion.
#[derive(Parser)]
struct Arguments {
    /// Broker, mqtts://[user:password@]host[:port].
    url: Option<String>,
    /// PEM file of the certificate authorities to trust, instead of the public ones.
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// PEM file of the client's certificate, followed by its intermediates.
    #[arg(long, value_name = "FILE", requires = "url", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of the client's private key.
    #[arg(long, value_name = "FILE", requires = "url", requires = "cert")]
    key: Option<PathBuf>,
    /// The name that the broker's certificate carries, if that is not the host of the URL.
    #[arg(long, value_name = "NAME", requires = "url")]
    server_name: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<()> {
    match &arguments.url {
        Some(url) => {
            ensure!(
                url.starts_with("mqtts://"),
                "TLS needs an mqtts:// URL, for example mqtts://localhost:8883"
            );
            let mut options: ConnectOptions = url.parse()?;
            options = options.tls(tls_options(&arguments)?);
            if let Some(name) = arguments.server_name {
                options = options.tls_server_name(name);
            }
            exchange(options).await
        }
        None => demonstrate().await,
    }
}

fn tls_options(arguments: &Arguments) -> Result<TlsOptions> {
    let read =
        |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut tls = match &arguments.ca {
        Some(path) => TlsOptions::without_public_roots()
            .roots_pem(&read(path)?)
            .with_context(|| format!("in {}", path.display()))?,
        None => TlsOptions::new(),
    };
    if let (Some(certificate), Some(key)) = (&arguments.cert, &arguments.key) {
        tls = tls.client_certificate_pem(&read(certificate)?, &read(key)?)?;
    }
    Ok(tls)
}

async fn exchange(options: ConnectOptions) -> Result<()> {
    let client = Client::connect(options).await.context("cannot connect")?;
    println!("Connected by TLS.");
    let topic = format!("mqboard/tls/{}", std::process::id());
    let mut stream = client.subscribe(topic.as_str(), QoS::AtLeastOnce).await?;
    client
        .publish(&topic, "nobody else can read this")
        .qos(QoS::AtLeastOnce)
        .await?;
    println!("Published to {topic}: acknowledged.");
    let message = stream.next().await.context("the stream has ended")??;
    println!("Received: {}", String::from_utf8_lossy(message.payload()));
    drop(message);
    client.disconnect().await?;
    println!("Disconnected.");
    Ok(())
}

async fn demonstrate() -> Result<()> {
    let authority = authority()?;
    let broker = start_tls_broker(&authority).await?;
    println!("A broker that wants a client certificate listens on {broker}.");
    let trusting = TlsOptions::without_public_roots().roots_pem(authority.pem().as_bytes())?;
    // the broker's certificate is for `localhost`
    let options: ConnectOptions = format!("mqtts://localhost:{}", broker.port()).parse()?;

    println!("\nWith the public certificate authorities:");
    report(Client::connect(options.clone()).await);
    println!("\nWith the broker's, without a client certificate:");
    report(Client::connect(options.clone().tls(trusting.clone())).await);
    println!("\nWith both:");
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(["gateway".to_owned()])?.signed_by(&key, &authority)?;
    let tls = trusting
        .client_certificate_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?;
    exchange(options.tls(tls)).await
}

fn report(outcome: Result<Client, mqtt_client::StartError>) {
    match outcome {
        Ok(_) => println!("Connected, which should not have been possible."),
        Err(error) => println!("Not connected: {error}."),
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// TLS in front of the plain broker.
async fn start_tls_broker(authority: &CertifiedIssuer<'static, KeyPair>) -> Result<SocketAddr> {
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, authority)?;
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let plain = start_broker()?;
    let listener = TcpListener::bind("localhost:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // what fails here, the client reports
                let mut stream = acceptor.accept(stream).await?;
                let mut broker = TcpStream::connect(plain).await?;
                copy_bidirectional(&mut stream, &mut broker).await
            });
        }
    });
    Ok(address)
}
