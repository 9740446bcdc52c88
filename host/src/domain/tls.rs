//! TLS to one endpoint: the certificate that the host shows there, and the
//! authorities that it believes there. What is taken can be used: it is judged by
//! making of it what is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore};
use sha2::{Digest as _, Sha256};

use super::access::{BadAccess, wrong};
use super::secret::Secret;
use super::time::Timestamp;

/// At most this many bytes in each text.
const MAX_PEM: usize = 64 * 1024;
/// At most this many certificates in a chain, and authorities.
const MAX_CHAIN: usize = 10;
const MAX_AUTHORITIES: usize = 100;
/// Sessions that are remembered for one endpoint.
const SESSIONS: usize = 8;

const CERTIFICATE: &str = "client_certificate";
const KEY: &str = "client_key";
const CA: &str = "ca";

/// What one endpoint's owner set up.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// What the host shows.
    pub client: Option<ClientCertificate>,
    /// In PEM. Only these are believed, and none of the public ones.
    pub ca: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// In PEM, the host's own first.
    pub chain: String,
    /// In PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: Arc<Secret>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.client.as_ref().map(|client| &client.chain);
        f.debug_struct("Tls").field("chain", &chain).field("ca", &self.ca).finish()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn public_roots() -> Arc<RootCertStore> {
    Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// For whoever set up nothing.
pub fn public_config() -> ClientConfig {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    config.expect("ring offers TLS 1.2 and 1.3").with_root_certificates(public_roots()).with_no_client_auth()
}

impl Tls {
    /// What works at `now`.
    pub fn check(self, now: Timestamp) -> Result<Self, BadAccess> {
        if self.client.is_none() && self.ca.is_none() {
            return wrong("", "give `client_certificate` and `client_key`, or `ca`, or all three; null removes it");
        }
        self.config()?;
        if let Some(client) = &self.client {
            current(&certificates(CERTIFICATE, &client.chain, MAX_CHAIN)?, now)?;
        }
        Ok(self)
    }

    /// What a connection is made with.
    pub fn config(&self) -> Result<ClientConfig, BadAccess> {
        let roots = match &self.ca {
            Some(pem) => authorities(pem)?,
            None => public_roots(),
        };
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.expect("ring offers TLS 1.2 and 1.3").with_root_certificates(roots);
        let mut config = match &self.client {
            Some(client) => config.with_client_cert_resolver(client.resolver()?),
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }

    /// Tells one from another.
    pub fn fingerprint(&self) -> [u8; 32] {
        let client = self.client.as_ref();
        [client.map(|client| &*client.chain), client.map(|client| client.key.reveal()), self.ca.as_deref()]
            .iter()
            .map(|part| part.unwrap_or_default())
            .fold(Sha256::new(), |hash, part| hash.chain_update(part.len().to_be_bytes()).chain_update(part))
            .finalize()
            .into()
    }
}

impl ClientCertificate {
    fn resolver(&self) -> Result<Arc<dyn ResolvesClientCert>, BadAccess> {
        let chain = certificates(CERTIFICATE, &self.chain, MAX_CHAIN)?;
        let pem = self.key.reveal();
        if pem.len() > MAX_PEM {
            return wrong(KEY, format!("{} bytes, at most {MAX_PEM} are allowed", pem.len()));
        }
        if pem.contains("ENCRYPTED") {
            return wrong(KEY, "the key is encrypted; decrypt it first, it is sealed in here");
        }
        // The parser's own words may have a line of the key in them.
        let no_key = || wrong(KEY, "give a private key in PEM: `-----BEGIN PRIVATE KEY-----` and so on");
        let Ok(key) = PrivateKeyDer::from_pem_slice(pem.as_bytes()) else { return no_key() };
        let Ok(key) = provider().key_provider.load_private_key(key) else {
            return wrong(KEY, "the key cannot be used: give RSA (2048 to 8192 bits), ECDSA (P-256, P-384) or Ed25519");
        };
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Arc::new(SingleCertAndKey::from(certified))),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                wrong(KEY, "the key does not belong to the first certificate of `client_certificate`")
            }
            Err(_) => wrong(CERTIFICATE, "the first certificate cannot be read: give X.509 in PEM"),
        }
    }
}

/// All certificates of a PEM text, of which there is one at least.
fn certificates(field: &'static str, pem: &str, most: usize) -> Result<Vec<CertificateDer<'static>>, BadAccess> {
    if pem.len() > MAX_PEM {
        return wrong(field, format!("{} bytes, at most {MAX_PEM} are allowed", pem.len()));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if (1..=most).contains(&found.len()) => Ok(found),
        Ok(found) if found.len() > most => wrong(field, format!("{} certificates, at most {most}", found.len())),
        _ => wrong(field, "give one or more certificates in PEM: `-----BEGIN CERTIFICATE-----` and so on"),
    }
}

fn authorities(pem: &str) -> Result<Arc<RootCertStore>, BadAccess> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(CA, pem, MAX_AUTHORITIES)?.into_iter().enumerate() {
        if roots.add(certificate).is_err() {
            return wrong(CA, format!("certificate {} cannot be read: give X.509 in PEM", at + 1));
        }
    }
    Ok(Arc::new(roots))
}

/// Whether the first certificate is of use at `now`. Nobody here knows who the
/// receiver believes, so that anything but the dates is left to it.
fn current(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), BadAccess> {
    let verifier = WebPkiClientVerifier::builder_with_provider(public_roots(), provider()).build();
    let verifier = verifier.expect("there are public roots");
    let Some((own, above)) = chain.split_first() else { return Ok(()) };
    let seconds = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verifier.verify_client_cert(own, above, at) {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            wrong(CERTIFICATE, "the certificate has expired")
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            wrong(CERTIFICATE, "the certificate is not valid yet")
        }
        _ => Ok(()),
    }
}
