//! TLS from files, read again when they change: certificates are renewed while a server runs.

use anyhow::Context;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at while connections come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the certificate and its key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate in PEM, with those between it and its root.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    fn read(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let shown = self.certificate.display();
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(|all| all.collect::<Result<Vec<_>, _>>())
            .with_context(|| format!("the certificate {shown}"))?;
        anyhow::ensure!(!chain.is_empty(), "the certificate {shown} holds none; it is expected in PEM");
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("the private key {}", self.key.display()))?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .with_context(|| format!("the certificate {shown} and the key {}", self.key.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|file| fs::metadata(file).and_then(|about| about.modified()).ok())
    }
}

struct Current {
    config: Arc<ServerConfig>,
    changed_at: [Option<SystemTime>; 2],
    looked_at: Instant,
}

/// What connections are taken up with.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

impl Tls {
    /// From files.
    ///
    /// # Errors
    /// When one cannot be read, or the key is not the certificate's; the message names it.
    pub fn open(files: TlsFiles) -> anyhow::Result<Self> {
        let (changed_at, config) = (files.changed_at(), files.read()?);
        let current = Mutex::new(Current { config, changed_at, looked_at: Instant::now() });
        Ok(Self { files, current })
    }

    /// With the certificate that is in the files now; with the one before while that cannot be used.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            let changed_at = self.files.changed_at();
            if changed_at != current.changed_at {
                match self.files.read() {
                    Ok(config) => {
                        tracing::info!("the certificate {} was renewed", self.files.certificate.display());
                        (current.config, current.changed_at) = (config, changed_at);
                    }
                    // Half of it may be written; it is looked at again.
                    Err(error) => tracing::warn!("the certificate before stays in use: {error:#}"),
                }
            }
        }
        TlsAcceptor::from(current.config.clone())
    }
}
