//! Servers with TLS: one whose certificate nobody has signed but itself, and
//! those of an authority that a test makes.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Where it listens. It ends with the test's runtime.
pub async fn self_signed() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("the key is the certificate's");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The handshake is as far as a careful client goes.
            let _refused = acceptor.accept(stream).await;
        }
    });
    address
}

/// An authority of a test's own, which signs for servers on loopback and for
/// clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Credentials {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate can be made"))
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// For a client, from 2020 to the end of that year.
    pub fn client_until(&self, name: &str, year: i32) -> Credentials {
        let (certificate, key) = self.signed(name, &[], ExtendedKeyUsagePurpose::ClientAuth, year);
        Credentials { certificate: pem("CERTIFICATE", &certificate), key: pem("PRIVATE KEY", &key) }
    }

    pub fn client(&self, name: &str) -> Credentials {
        self.client_until(name, 2090)
    }

    fn signed(&self, name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose, until: i32) -> (Vec<u8>, Vec<u8>) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names and addresses");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params.signed_by(&key, &self.0).expect("a certificate can be made");
        (signed.der().to_vec(), key.serialize_der())
    }

    /// A server on loopback, which lets nobody in whom `clients` did not sign for,
    /// if it is given.
    pub async fn listener(&self, clients: Option<&Self>) -> TlsListener {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, key) =
            self.signed("receiver", &["127.0.0.1", "localhost"], ExtendedKeyUsagePurpose::ServerAuth, 2090);
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring offers TLS");
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.expect("there is an authority"))
            }
        };
        let config = config
            .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
            .expect("the key is the certificate's");
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// Takes connections that have proved what they should.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

/// Passes on to `server` what comes, as a proxy in front of it does that ends TLS.
pub fn in_front(mut listener: TlsListener, server: SocketAddr) {
    tokio::spawn(async move {
        loop {
            let (mut from, _) = axum::serve::Listener::accept(&mut listener).await;
            tokio::spawn(async move {
                let Ok(mut to) = TcpStream::connect(server).await else { return };
                let _either_hangs_up = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, from)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
