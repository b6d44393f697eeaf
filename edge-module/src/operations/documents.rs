//! Topologies that an operations file names, in files and behind addresses.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Request, header};
use lva_client_transport::ClientTls;
use lva_client_transport::http::{HttpConnection, HttpLimits};
use lva_graph_model::{MAX_DOCUMENT_BYTES, Topology};
use url::Url;

use super::service::origin;

/// Why a topology cannot be used; for the user to fix.
#[derive(Debug, thiserror::Error)]
#[error("the topology {name}: {message}")]
pub struct DocumentsError {
    name: String,
    message: String,
}

/// Where the topologies of an operations file are.
#[derive(Debug, Clone)]
pub struct TopologyFiles {
    directory: PathBuf,
    tls: ClientTls,
}

impl TopologyFiles {
    /// Files relative to the working directory as the original takes them, else to the directory of the operations file.
    /// Addresses are asked with `tls`.
    pub fn of(operations: &Path, tls: ClientTls) -> Self {
        let directory = operations.parent().unwrap_or(Path::new(""));
        Self {
            directory: directory.to_owned(),
            tls,
        }
    }

    /// Reads a file. Blocks.
    ///
    /// # Errors
    ///
    /// [`DocumentsError`] when it cannot be read, or is not a topology.
    pub fn file(&self, path: &str) -> Result<Topology, DocumentsError> {
        let failed = |message: String| DocumentsError {
            name: path.to_owned(),
            message,
        };
        let beside = self.directory.join(path);
        let found = match Path::new(path).is_file() {
            true => Path::new(path),
            false => &beside,
        };
        let bytes = std::fs::read(found).map_err(|error| {
            failed(format!(
                "cannot be read ({error}), neither here nor as {}: correct topologyFile",
                beside.display()
            ))
        })?;
        topology(&bytes).map_err(failed)
    }

    /// Fetches a topology from `http://` or `https://`.
    ///
    /// # Errors
    ///
    /// [`DocumentsError`].
    pub async fn fetch(&self, address: &str) -> Result<Topology, DocumentsError> {
        let failed = |message: String| DocumentsError {
            name: address.to_owned(),
            message,
        };
        let url = Url::parse(address).map_err(|error| failed(error.to_string()))?;
        let origin =
            origin(&url).ok_or_else(|| failed("its address is neither http:// nor https://".to_owned()))?;
        let limits = HttpLimits {
            max_body_bytes: MAX_DOCUMENT_BYTES,
            ..HttpLimits::default()
        };
        let mut connection =
            HttpConnection::new(origin, &self.tls, limits).map_err(|e| failed(e.to_string()))?;
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let request = Request::get(target)
            .header(header::ACCEPT, "application/json, */*")
            .body(Bytes::new())
            .map_err(|error| failed(error.to_string()))?;
        let response = connection
            .exchange(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !response.status.is_success() {
            let status = response.status;
            return Err(failed(format!(
                "the server answered {status}: use the address of the raw file, or save it and name it by topologyFile"
            )));
        }
        if response.body.trim_ascii_start().starts_with(b"<") {
            return Err(failed(
                "the address returns an HTML page: use that of the raw file".to_owned(),
            ));
        }
        topology(&response.body).map_err(failed)
    }
}

fn topology(bytes: &[u8]) -> Result<Topology, String> {
    Topology::from_slice(bytes).map_err(|error| error.to_string())
}
