//! An extension node's endpoint and protocol for the clients of `lva-extension-protocol`.

use lva_client_transport::TrustedRoots;
use lva_client_transport::http::HttpCredentials;
use lva_extension_protocol::client::{ClientOptions, Transfer};
use lva_extension_protocol::http::HttpClientOptions;
use lva_extension_protocol::{
    Credentials, ExtensionUrl, FrameEncoding, FrameFormat, GraphIdentity, SharedMemoryOptions,
};
use lva_graph_model::SensitiveString;
use lva_graph_model::nodes::{
    DataTransfer, Endpoint, EndpointCredentials as ModelCredentials, EndpointTls, ExtensionProcessor,
    ExtensionProtocol,
};

use crate::convert::Unsupported;
use crate::convert::tls::client_tls;

/// What is known about an extension before the first picture.
#[derive(Debug, Clone)]
pub(crate) enum ClientPlan {
    Grpc(Box<GrpcPlan>),
    /// Everything but the picture format, which belongs to the node.
    Http(Box<HttpClientOptions>),
}

/// A gRPC extension.
#[derive(Debug, Clone)]
pub(crate) struct GrpcPlan {
    pub(crate) url: ExtensionUrl,
    pub(crate) transfer: Transfer,
    pub(crate) configuration: Option<SensitiveString>,
    tls: Option<TrustedRoots>,
    credentials: Option<Credentials>,
    identity: GraphIdentity,
    /// Whether what is only to be looked at is asked for.
    pub(crate) previews: bool,
}

impl ClientPlan {
    /// `instance` and `node` are how the graph names itself to an extension.
    pub(crate) fn new(
        extension: &ExtensionProcessor,
        encoding: FrameEncoding,
        instance: &str,
        node: &str,
    ) -> Result<Self, Unsupported> {
        let (transfer, configuration) = match &extension.protocol {
            ExtensionProtocol::Http => {
                return http(&extension.endpoint, encoding).map(Box::new).map(Self::Http);
            }
            ExtensionProtocol::Grpc {
                transfer,
                configuration,
            } => (memory(*transfer), configuration.clone()),
            // The node has no setting for memory: the window of frames decides its size.
            ExtensionProtocol::ComputerVision { operation } => (
                Transfer::SharedMemory(SharedMemoryOptions::default()),
                operation.clone(),
            ),
        };
        let (url, tls, credentials) = grpc(&extension.endpoint)?;
        let plan = GrpcPlan {
            url,
            transfer,
            configuration,
            tls,
            credentials,
            identity: GraphIdentity::new(instance, node),
            previews: false,
        };
        Ok(Self::Grpc(Box::new(plan)))
    }
}

impl GrpcPlan {
    /// A session for frames of one form.
    pub(crate) fn options(&self, format: FrameFormat) -> ClientOptions {
        let mut options = ClientOptions::new(self.url.clone(), format)
            .with_transfer(self.transfer.clone())
            .with_identity(self.identity.clone())
            .with_preview(self.previews);
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.clone());
        }
        if let Some(credentials) = &self.credentials {
            options = options.with_credentials(credentials.clone());
        }
        match &self.configuration {
            Some(text) => options.with_configuration(text.as_str()),
            None => options,
        }
    }
}

fn memory(transfer: DataTransfer) -> Transfer {
    match transfer {
        DataTransfer::Embedded => Transfer::Embedded,
        DataTransfer::SharedMemory { bytes } => {
            Transfer::SharedMemory(SharedMemoryOptions::default().with_bytes(bytes))
        }
    }
}

fn grpc(
    endpoint: &Endpoint,
) -> Result<(ExtensionUrl, Option<TrustedRoots>, Option<Credentials>), Unsupported> {
    let url = endpoint
        .url
        .as_str()
        .parse()
        .map_err(|error: lva_extension_protocol::ExtensionUrlError| {
            Unsupported::new(error.to_string(), "correct the endpoint's url")
        })?;
    let tls = endpoint.tls.as_ref().map(grpc_tls).transpose()?;
    let credentials = match &endpoint.credentials {
        None => None,
        Some(ModelCredentials::UsernamePassword(credentials)) => {
            Some(Credentials::new(credentials.username(), credentials.password()))
        }
        Some(ModelCredentials::HttpHeader { .. } | ModelCredentials::SymmetricKey(_)) => {
            return Err(Unsupported::new(
                "a gRPC extension takes a user name and a password only",
                "use UsernamePasswordCredentials",
            ));
        }
    };
    Ok((url, tls, credentials))
}

/// The two validation switches have no meaning for gRPC, as published: the name and the signature are always checked.
fn grpc_tls(tls: &EndpointTls) -> Result<TrustedRoots, Unsupported> {
    match &tls.trusted_certificates {
        None => Ok(TrustedRoots::platform()),
        Some(pem) => TrustedRoots::from_pem(pem)
            .map_err(|error| Unsupported::new(error.to_string(), WRONG_CERTIFICATES)),
    }
}

const WRONG_CERTIFICATES: &str = "correct the endpoint's trustedCertificates";

fn http(endpoint: &Endpoint, encoding: FrameEncoding) -> Result<HttpClientOptions, Unsupported> {
    let url =
        endpoint
            .url
            .as_str()
            .parse()
            .map_err(|error: lva_extension_protocol::http::HttpUrlError| {
                Unsupported::new(error.to_string(), "correct the endpoint's url")
            })?;
    let mut options = HttpClientOptions::new(url, encoding);
    if let Some(tls) = &endpoint.tls {
        let tls = client_tls(tls).map_err(|error| Unsupported::new(error.to_string(), WRONG_CERTIFICATES))?;
        options = options.with_tls(tls);
    }
    let credentials = match &endpoint.credentials {
        None => return Ok(options),
        Some(ModelCredentials::UsernamePassword(credentials)) => Some(HttpCredentials::password(
            credentials.username(),
            credentials.password(),
        )),
        Some(ModelCredentials::HttpHeader { name, value }) => {
            HttpCredentials::header(name.as_str(), value.expose())
        }
        Some(ModelCredentials::SymmetricKey(_)) => None,
    };
    let credentials = credentials.ok_or_else(|| {
        Unsupported::new(
            "its credentials cannot go with an HTTP request",
            "use UsernamePasswordCredentials, or HttpHeaderCredentials with a header's name and a value of one line",
        )
    })?;
    Ok(options.with_credentials(credentials))
}
