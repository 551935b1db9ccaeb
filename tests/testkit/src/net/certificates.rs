use std::path::{Path, PathBuf};
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Certificates made for one test: two authorities, servers right and wrong, a client.
#[derive(Debug)]
pub struct Certificates {
    /// PEM of the authority that signed all others.
    pub authority: String,
    /// PEM of an authority that signed nothing here.
    pub other_authority: String,
    /// Valid for `localhost` and `127.0.0.1`.
    pub server: Identity,
    /// As `server`, until the year 2001.
    pub expired: Identity,
    /// Valid for `other.example` alone.
    pub wrong_name: Identity,
    /// Of a client, common name `client`.
    pub client: Identity,
}

/// A certificate with its key, both PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Certificates {
    /// Fresh ones.
    ///
    /// # Panics
    /// There is no randomness to make keys of.
    #[must_use]
    pub fn new() -> Self {
        let issuer = authority("mqboard test authority");
        let mut expired = params(&["localhost", "127.0.0.1"]);
        expired.not_before = date_time_ymd(2000, 1, 1);
        expired.not_after = date_time_ymd(2001, 1, 1);
        Self {
            authority: issuer.pem(),
            other_authority: authority("another authority").pem(),
            server: server(&issuer, params(&["localhost", "127.0.0.1"])),
            expired: server(&issuer, expired),
            wrong_name: server(&issuer, params(&["other.example"])),
            client: client(&issuer),
        }
    }

    /// Writes them as `authority.pem`, `server.pem`, `server.key` and so on.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("authority.pem"), &self.authority)?;
        for (name, identity) in [
            ("server", &self.server),
            ("expired", &self.expired),
            ("wrong_name", &self.wrong_name),
        ] {
            let [certificate, key] = files(folder, name);
            fs::write(certificate, &identity.certificate)?;
            fs::write(key, &identity.key)?;
        }
        Ok(())
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

/// The files of a certificate and its key.
pub(super) fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["pem", "key"].map(|extension| folder.join(name).with_extension(extension))
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, key()).expect("an authority can be made")
}

fn server(issuer: &Issuer, mut params: CertificateParams) -> Identity {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(issuer, params)
}

fn client(issuer: &Issuer) -> Identity {
    let mut params = params(&[]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, "client");
    sign(issuer, params)
}

fn sign(issuer: &Issuer, params: CertificateParams) -> Identity {
    let key = key();
    let certificate = params.signed_by(&key, issuer).expect("can be signed");
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("the names are names")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}
