//! How TLS is done.
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, crypto::CryptoProvider};

/// Whom to trust, what to show and which cryptography to use with `mqtts` addresses. TLS 1.3 and
/// 1.2.
///
/// ```no_run
/// use mqtt_client::{ConnectOptions, TlsOptions};
///
/// let options: ConnectOptions = "mqtts://broker.example".parse()?;
/// let options = options.tls(
///     TlsOptions::without_public_roots()
///         .roots_pem(&std::fs::read("ca.pem")?)?
///         .client_certificate_pem(&std::fs::read("client.pem")?, &std::fs::read("client.key")?)?,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TlsOptions {
    roots: Arc<RootCertStore>,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
}

impl TlsOptions {
    /// Trusts the public certificate authorities that Mozilla trusts (crate `webpki-roots`).
    pub fn new() -> Self {
        Self::with_roots(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        })
    }

    /// Trusts no one but the roots added after this.
    pub fn without_public_roots() -> Self {
        Self::with_roots(RootCertStore::empty())
    }

    fn with_roots(roots: RootCertStore) -> Self {
        Self {
            roots: Arc::new(roots),
            identity: None,
            alpn: Vec::new(),
            provider: None,
        }
    }

    /// Also trusts every certificate of this PEM text; what is not a certificate is passed over.
    ///
    /// # Errors
    /// [`TlsOptionsError::NoCertificate`], [`Pem`](TlsOptionsError::Pem),
    /// [`Certificate`](TlsOptionsError::Certificate).
    pub fn roots_pem(self, pem: &[u8]) -> Result<Self, TlsOptionsError> {
        certificates(pem)?.into_iter().try_fold(self, Self::root)
    }

    /// Also trusts this certificate, given as DER.
    ///
    /// # Errors
    /// [`TlsOptionsError::Certificate`].
    pub fn root_der(self, der: impl Into<Vec<u8>>) -> Result<Self, TlsOptionsError> {
        self.root(CertificateDer::from(der.into()))
    }

    fn root(mut self, certificate: CertificateDer<'static>) -> Result<Self, TlsOptionsError> {
        Arc::make_mut(&mut self.roots)
            .add(certificate)
            .map_err(TlsOptionsError::Certificate)?;
        Ok(self)
    }

    /// Shows this certificate (followed by its intermediates) to a server that asks for one. The
    /// key is PKCS #8, PKCS #1 or SEC1; whether it belongs to the certificate is checked when the
    /// client connects.
    ///
    /// # Errors
    /// [`TlsOptionsError::NoCertificate`], [`Pem`](TlsOptionsError::Pem).
    pub fn client_certificate_pem(self, chain: &[u8], key: &[u8]) -> Result<Self, TlsOptionsError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsOptionsError::Pem)?;
        Ok(self.identity(certificates(chain)?, key))
    }

    /// As [`client_certificate_pem`](Self::client_certificate_pem), given as DER.
    ///
    /// # Errors
    /// [`TlsOptionsError::NoCertificate`], [`UnknownKeyFormat`](TlsOptionsError::UnknownKeyFormat).
    pub fn client_certificate_der(
        self,
        chain: impl IntoIterator<Item = Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, TlsOptionsError> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        if chain.is_empty() {
            return Err(TlsOptionsError::NoCertificate);
        }
        let key =
            PrivateKeyDer::try_from(key.into()).map_err(|_| TlsOptionsError::UnknownKeyFormat)?;
        Ok(self.identity(chain, key))
    }

    fn identity(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.identity = Some(Identity {
            chain,
            key: Arc::new(key),
        });
        self
    }

    /// Offers these protocols by ALPN, the preferred one first, for servers that tell MQTT from
    /// others by it (AWS IoT on port 443: `mqtt`). Default: none are offered.
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The cryptography to use, never the process-wide default of rustls. Default: ring if the
    /// cargo feature `ring` is on, otherwise aws-lc-rs.
    ///
    /// ```
    /// # #[cfg(feature = "aws-lc-rs")] {
    /// use mqtt_client::{TlsOptions, rustls::crypto::aws_lc_rs};
    ///
    /// let options = TlsOptions::new().crypto_provider(aws_lc_rs::default_provider());
    /// # }
    /// ```
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    fn client_config(&self) -> Result<ClientConfig, TlsOptionsError> {
        if self.roots.is_empty() {
            return Err(TlsOptionsError::NoRoots);
        }
        let provider = self
            .provider
            .clone()
            .or_else(default_provider)
            .ok_or(TlsOptionsError::NoCryptoProvider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsOptionsError::CryptoProvider)?
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(TlsOptionsError::ClientCertificate)?,
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("roots", &self.roots.len())
            .field("client_certificate", &self.identity.is_some())
            .field("alpn", &self.alpn)
            .finish_non_exhaustive()
    }
}

/// TLS options that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsOptionsError {
    /// The text is not PEM, or holds no private key where one is expected.
    #[error("wrong PEM: {0}")]
    Pem(pem::Error),
    /// The PEM text or the chain holds no certificate.
    #[error("no certificate where one is expected")]
    NoCertificate,
    /// A certificate given as a root is malformed.
    #[error("a root certificate cannot be used: {0}")]
    Certificate(rustls::Error),
    /// The file of root certificates cannot be read, or ([`InvalidData`](io::ErrorKind::InvalidData)) holds none that can be
    /// used.
    #[error("no root certificate from {}: {error}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The private key is neither PKCS #8, PKCS #1 nor SEC1.
    #[error("the private key is neither PKCS #8, PKCS #1 nor SEC1")]
    UnknownKeyFormat,
    /// The client's certificate or key cannot be used, or they do not belong together.
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(rustls::Error),
    /// The public roots are off and no own root is given, so that no server could be trusted.
    #[error("no root certificate: no server could be trusted")]
    NoRoots,
    /// The server name is neither a DNS name nor an IP address.
    #[error("the TLS server name `{name}` is neither a DNS name nor an IP address")]
    ServerName {
        /// The name.
        name: String,
    },
    /// Neither of the cargo features `ring` and `aws-lc-rs` is on, and no provider was given.
    #[error("no crypto provider: turn on the cargo feature `ring` or `aws-lc-rs`, or give one")]
    NoCryptoProvider,
    /// The provider has no cipher suite for TLS 1.2 or 1.3.
    #[error("the crypto provider cannot be used: {0}")]
    CryptoProvider(rustls::Error),
}

/// The configuration is made by us from options, or was made elsewhere.
#[derive(Debug, Clone)]
pub(super) enum TlsChoice {
    Options(TlsOptions),
    CaFile(PathBuf),
    Ready(Arc<ClientConfig>),
}

impl TlsChoice {
    /// The method that made it.
    pub(super) const fn option(&self) -> &'static str {
        match self {
            Self::Options(_) => "tls",
            Self::CaFile(_) => "ca_file",
            Self::Ready(_) => "tls_config",
        }
    }

    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, TlsOptionsError> {
        match self {
            Self::Options(options) => options.client_config().map(Arc::new),
            Self::CaFile(path) => trusting(path)?.client_config().map(Arc::new),
            Self::Ready(config) => Ok(config.clone()),
        }
    }
}

#[derive(Clone)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Options that trust what the file holds.
fn trusting(path: &Path) -> Result<TlsOptions, TlsOptionsError> {
    let wrong = |error| TlsOptionsError::CaFile {
        path: path.to_owned(),
        error,
    };
    let pem = fs::read(path).map_err(wrong)?;
    TlsOptions::without_public_roots()
        .roots_pem(&pem)
        .map_err(|error| wrong(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsOptionsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(TlsOptionsError::Pem)?;
    if certificates.is_empty() {
        return Err(TlsOptionsError::NoCertificate);
    }
    Ok(certificates)
}

#[cfg(feature = "ring")]
fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn default_provider() -> Option<Arc<CryptoProvider>> {
    None
}
