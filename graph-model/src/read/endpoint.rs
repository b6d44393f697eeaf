//! Endpoints, credentials, certificates.

use serde_json::Value;

use super::members::Members;
use super::{Presence, Reader, ValueError, shortened};
use crate::diagnostic::DiagnosticCode;
use crate::document::scalar_string;
use crate::graph::{Endpoint, EndpointCredentials, EndpointTls, EndpointUrl};
use lva_media_types::{Credentials, SecretString};

/// What may stand at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Camera,
    Http,
    Grpc,
}

impl Peer {
    /// What an address of the right scheme has to be, where it is not.
    fn misfit(self, url: &EndpointUrl) -> Option<&'static str> {
        let scheme = url.scheme();
        match self {
            // People write passwords with any character; what is the host then is decided where it is used.
            Self::Camera if url.as_str().contains('@') => None,
            Self::Camera if !matches!(scheme.as_str(), "rtsp" | "rtsps") => None,
            Self::Camera => {
                (!url.has_valid_port(0)).then_some("an address whose port is a number up to 65535")
            }
            Self::Http if !matches!(scheme.as_str(), "http" | "https") => None,
            Self::Grpc if scheme != "tcp" => None,
            Self::Http | Self::Grpc if url.has_user_info() => {
                Some("an address without a user and a password: write them as credentials")
            }
            Self::Grpc if url.has_path() => Some("an address of the form tcp://host:port, without a path"),
            Self::Http | Self::Grpc => {
                (!url.has_valid_port(1)).then_some("an address whose port is a number from 1 to 65535")
            }
        }
    }

    fn check(self, url: Option<EndpointUrl>) -> Result<EndpointUrl, ValueError> {
        let scheme = url.as_ref().map(EndpointUrl::scheme);
        let scheme = scheme.as_deref();
        if let Some(expected) = url.as_ref().and_then(|url| self.misfit(url)) {
            return Err(ValueError::with(DiagnosticCode::EndpointUrlInvalid, expected));
        }
        match (self, url) {
            (Self::Camera, Some(url)) if matches!(scheme, Some("rtsp" | "rtsps")) => Ok(url),
            (Self::Camera, _) => Err(ValueError::with(
                DiagnosticCode::RtspEndpointUrlInvalidScheme,
                "an address of the form rtsp://host:port/path",
            )),
            (Self::Http, Some(url)) if matches!(scheme, Some("http" | "https")) => Ok(url),
            (Self::Http, _) => Err(ValueError::with(
                DiagnosticCode::EndpointUrlInvalid,
                "an address of the form http://host:port/path or https://host:port/path",
            )),
            (Self::Grpc, Some(url)) if scheme == Some("tcp") && url.port().is_some() => Ok(url),
            (Self::Grpc, _) => Err(ValueError::with(
                DiagnosticCode::EndpointUrlInvalid,
                "an address of the form tcp://host:port",
            )),
        }
    }
}

impl Reader<'_> {
    pub(crate) fn endpoint(&mut self, node: &mut Members<'_>, peer: Peer) -> Option<Endpoint> {
        let Some(mut members) = node.object("endpoint", self.findings) else {
            if node.get("endpoint").is_none() {
                node.missing("endpoint", self.findings);
            }
            return None;
        };
        let local = self.local_type(&mut members);
        let tls = match &local {
            Some((name, _)) if name.eq_ignore_ascii_case("UnsecuredEndpoint") => Some(None),
            // Its name in the private preview.
            Some((name, at)) if name.eq_ignore_ascii_case("ClearEndpoint") => {
                let message = "'ClearEndpoint', of early previews, is read as 'UnsecuredEndpoint'";
                self.findings.info(DiagnosticCode::OtherForm, at, message);
                Some(None)
            }
            Some((name, _)) if name.eq_ignore_ascii_case("TlsEndpoint") => {
                self.tls_options(&mut members, peer).map(Some)
            }
            Some((name, at)) => {
                self.unknown_type(&members, name, at, "UnsecuredEndpoint or TlsEndpoint");
                None
            }
            None => None,
        };
        let url = self.url(&mut members, peer);
        let credentials = self.credentials(&mut members);
        if let Some(Some(credentials)) = &credentials {
            self.check_credentials(&mut members, peer, credentials);
        }
        members.finish(self.findings);
        Some(Endpoint {
            url: url?,
            credentials: credentials?,
            tls: tls?,
        })
    }

    /// Refuses credentials that cannot go to such a peer.
    fn check_credentials(
        &mut self,
        endpoint: &mut Members<'_>,
        peer: Peer,
        credentials: &EndpointCredentials,
    ) {
        let reason = match (peer, credentials) {
            (_, EndpointCredentials::UsernamePassword(_)) => return,
            (Peer::Camera, _) => {
                "a camera takes a user name and a password only: use UsernamePasswordCredentials"
            }
            (Peer::Grpc, _) => {
                "a gRPC extension takes a user name and a password only: use UsernamePasswordCredentials"
            }
            (Peer::Http, EndpointCredentials::HttpHeader { name, value })
                if fits_header(name.as_str(), value.expose()) =>
            {
                return;
            }
            (Peer::Http, _) => {
                "they cannot go with an HTTP request: use UsernamePasswordCredentials, or HttpHeaderCredentials with \
                 the name of a header of your own and a value of one line"
            }
        };
        if let Some((_, at)) = endpoint.get("credentials") {
            let message = format!("the credentials of {} cannot be used: {reason}", endpoint.what);
            self.findings.error(DiagnosticCode::InvalidValue, &at, message);
        }
    }

    fn url(&mut self, members: &mut Members<'_>, peer: Peer) -> Option<EndpointUrl> {
        let (interpolated, at) = self.interpolated(members, "url", Presence::Required)?;
        let text = self.literal(&interpolated, &at)?;
        let url = EndpointUrl::parse(&text, interpolated.secret);
        // Messages must not show a user and a password, also of an address that cannot be taken apart.
        let shown = match &url {
            Some(url) => url.to_string(),
            None if text.contains('@') => "***".to_owned(),
            None => text,
        };
        match peer.check(url) {
            Ok(url) => Some(url),
            Err(error) => {
                self.refuse(members, "url", &at, &interpolated, &shown, error);
                None
            }
        }
    }

    /// `Some(None)` for none at all, `None` for some that cannot be read.
    pub(crate) fn credentials(&mut self, endpoint: &mut Members<'_>) -> Option<Option<EndpointCredentials>> {
        if endpoint.get("credentials").is_none() {
            return Some(None);
        }
        let mut members = endpoint.object("credentials", self.findings)?;
        let (local, at) = self.local_type(&mut members)?;
        let credentials = if local.eq_ignore_ascii_case("UsernamePasswordCredentials") {
            let username = self.secret_scalar(&mut members, "username", Presence::Required, |text| {
                Ok(text.to_owned())
            });
            let password = self.secret(&mut members, "password", Presence::Optional);
            username.map(|(username, _)| {
                EndpointCredentials::UsernamePassword(Credentials::new(
                    username,
                    password.unwrap_or_default(),
                ))
            })
        } else if local.eq_ignore_ascii_case("HttpHeaderCredentials") {
            let name = self.string(&mut members, "headerName", Presence::Required);
            let value = self.secret(&mut members, "headerValue", Presence::Required);
            name.zip(value)
                .map(|(name, value)| EndpointCredentials::HttpHeader { name, value })
        } else if local.eq_ignore_ascii_case("SymmetricKeyCredentials") {
            self.secret(&mut members, "key", Presence::Required)
                .map(EndpointCredentials::SymmetricKey)
        } else {
            let known = "UsernamePasswordCredentials, HttpHeaderCredentials or SymmetricKeyCredentials";
            self.unknown_type(&members, &local, &at, known);
            return None;
        };
        members.finish(self.findings);
        credentials.map(Some)
    }

    fn secret(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<SecretString> {
        self.scalar(members, name, presence, |text| Ok(SecretString::new(text)))
    }

    fn tls_options(&mut self, endpoint: &mut Members<'_>, peer: Peer) -> Option<EndpointTls> {
        let mut options = EndpointTls::default();
        let mut readable = true;
        if endpoint.get("trustedCertificates").is_some() {
            let certificates = self.certificates(endpoint);
            readable = certificates.is_some();
            options.trusted_certificates = certificates;
        }
        if let Some(mut members) = endpoint.object("validationOptions", self.findings) {
            options.ignore_hostname = self.boolean(&mut members, "ignoreHostname").unwrap_or(false);
            options.ignore_signature = self.boolean(&mut members, "ignoreSignature").unwrap_or(false);
            if peer == Peer::Grpc && (options.ignore_hostname || options.ignore_signature) {
                let message = format!(
                    "{} has no effect with gRPC: give the extension a certificate for its host name",
                    members.what
                );
                self.findings
                    .warning(DiagnosticCode::MemberIgnored, &members.at, message);
            }
            members.finish(self.findings);
        }
        readable.then_some(options)
    }

    fn certificates(&mut self, endpoint: &mut Members<'_>) -> Option<Vec<String>> {
        let mut members = endpoint.object("trustedCertificates", self.findings)?;
        let (local, at) = self.local_type(&mut members)?;
        if !local.eq_ignore_ascii_case("PemCertificateList") {
            self.unknown_type(&members, &local, &at, "PemCertificateList");
            return None;
        }
        let mut certificates = Vec::new();
        let list = members.list("certificates", self.findings);
        if list.is_empty() {
            members.missing("certificates", self.findings);
        }
        for (value, at) in list {
            certificates.extend(self.certificate(value, &at));
        }
        members.finish(self.findings);
        Some(certificates)
    }

    fn certificate(&mut self, value: &Value, at: &str) -> Option<String> {
        let text = scalar_string(value).unwrap_or_default();
        let interpolated = self.interpolate(&text, at);
        let text = self.literal(&interpolated, at)?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            let shown = if interpolated.secret {
                "***".to_owned()
            } else {
                shortened(&text)
            };
            let message =
                format!("a certificate must be PEM with '-----BEGIN CERTIFICATE-----', but is '{shown}'");
            self.findings.error(DiagnosticCode::InvalidValue, at, message);
            return None;
        }
        Some(text)
    }
}

/// Whether a request can carry a header, which it does not have already for reasons of its own.
fn fits_header(name: &str, value: &str) -> bool {
    const RESERVED: [&str; 5] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
    ];
    let name = name.trim();
    // RFC 9110, section 5.6.2.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty()
        && name.chars().all(token)
        && !RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name))
        && !value.trim().chars().any(|c| c.is_control() && c != '\t')
}
