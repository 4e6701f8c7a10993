//! TLS as a client: rustls with ring, the system's roots, the operator's own roots.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::UpstreamError;

/// A client configuration that speaks HTTP/1.1. Reads the system's certificate store from disk: call it at start.
///
/// # Errors
/// [`UpstreamError::CaBundle`] when `extra_ca_pem` holds no usable certificate.
pub fn client_config(extra_ca_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, UpstreamError> {
    let mut roots = system_roots();
    if let Some(pem) = extra_ca_pem {
        add_bundle(&mut roots, pem)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The system's roots, or Mozilla's where the system has none (an image made from scratch).
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for problem in &found.errors {
        tracing::warn!(error = %problem, "a part of the system's certificate store could not be read");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn add_bundle(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), UpstreamError> {
    let mut added = 0usize;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| UpstreamError::CaBundle { reason: error.to_string() })?;
        roots.add(certificate).map_err(|error| UpstreamError::CaBundle { reason: error.to_string() })?;
        added += 1;
    }
    if added == 0 {
        return Err(UpstreamError::CaBundle { reason: "it holds no certificate".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_speaks_http_1_only() {
        let config = client_config(None).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        for pem in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(client_config(Some(pem)), Err(UpstreamError::CaBundle { .. })));
        }
    }
}
