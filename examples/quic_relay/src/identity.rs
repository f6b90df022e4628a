//! Who is who: the relay's certificate, and the protocol that tells a publisher from a viewer.

use crate::Error;
use quinn::{
    ClientConfig, ServerConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
    rustls::{
        self, RootCertStore,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
        version::TLS13,
    },
};
use std::sync::Arc;

/// The name in the relay's certificate.
pub const NAME: &str = "localhost";

/// What a client asks for in the handshake (ALPN), so that the relay knows before the first stream what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sends frames.
    Publisher,
    /// It receives frames.
    Viewer,
}

impl Role {
    const ALL: [Role; 2] = [Role::Publisher, Role::Viewer];

    fn protocol(self) -> &'static [u8] {
        match self {
            Role::Publisher => b"quic-relay-publish",
            Role::Viewer => b"quic-relay-watch",
        }
    }

    /// Returns the role that was agreed on in the handshake. `None` is a client that asked for no protocol at all.
    #[must_use]
    pub fn of(connection: &quinn::Connection) -> Option<Role> {
        let data = connection.handshake_data()?;
        let data = data
            .downcast::<quinn::crypto::rustls::HandshakeData>()
            .ok()?;
        let protocol = data.protocol?;
        Role::ALL
            .into_iter()
            .find(|role| role.protocol() == protocol)
    }
}

/// The only provider in this build, chosen here because another package of the workspace may bring a second one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes a key and a certificate that lasts as long as the process. Clients must be given the certificate.
///
/// # Errors
///
/// If the system has no random numbers.
pub fn server_config() -> Result<(ServerConfig, CertificateDer<'static>), Error> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    tls.alpn_protocols = Role::ALL.map(|role| role.protocol().to_vec()).to_vec();
    let quic = QuicServerConfig::try_from(tls)?;
    Ok((ServerConfig::with_crypto(Arc::new(quic)), certificate))
}

/// The configuration of a client that trusts this certificate and no other.
///
/// # Errors
///
/// If it is not a certificate.
pub fn client_config(
    certificate: CertificateDer<'static>,
    role: Role,
) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![role.protocol().to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(
        tls,
    )?)))
}
