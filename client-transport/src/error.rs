/// Why a client cannot set up TLS. The configuration is wrong, or the machine trusts no authority; a retry does not help.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientTlsError {
    /// A document without a certificate, or one that is not PEM.
    #[error(
        "trusted certificate {position} is not valid PEM: it needs at least one -----BEGIN CERTIFICATE----- block"
    )]
    Pem {
        /// Which document, counted from 1.
        position: usize,
    },
    /// A certificate that cannot be used as a trusted one.
    #[error("trusted certificate {position} cannot be used: {cause}")]
    Certificate {
        /// Which document, counted from 1.
        position: usize,
        /// What is wrong with it.
        cause: rustls::Error,
    },
    /// A client's own certificate, or its key.
    #[error("the client's certificate cannot be used: {message}")]
    ClientCertificate {
        /// What is wrong.
        message: String,
    },
    /// An empty list of certificates.
    #[error(
        "the list of trusted certificates is empty: give at least one certificate in PEM, or leave the list out"
    )]
    NoCertificates,
    /// The machine trusts no authority.
    #[error(
        "this machine has no trusted certificate authorities: install the package ca-certificates, or configure trusted \
         certificates{}",
        if errors.is_empty() { String::new() } else { format!(" ({errors})") }
    )]
    NoPlatformRoots {
        /// Why certificates could not be read, where there was a reason.
        errors: String,
    },
    /// The host of the address is neither a name nor an IP address.
    #[error("'{host}' is not a host name that a certificate could be for")]
    HostName {
        /// The host in the address.
        host: String,
    },
    /// The cryptography provider does not support the protocol versions: a defect of this crate.
    #[error("TLS cannot be set up: {0}")]
    Provider(rustls::Error),
}
