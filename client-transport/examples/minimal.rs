//! Asks a server over HTTP or HTTPS, with a password if it wants one, and within limits of time and memory.
//!
//! `cargo run -p lva-client-transport --example client-transport-minimal -- https example.org 443 /`

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use http::Request;
use lva_client_transport::ClientTls;
use lva_client_transport::http::{HttpAuthenticator, HttpConnection, HttpCredentials, HttpLimits, Origin};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scheme, host, port, path, credentials @ ..] = arguments.as_slice() else {
        bail!("usage: client-transport-minimal http|https HOST PORT PATH [USER PASSWORD]");
    };
    let port = port.parse().context("PORT is not a number of 0 to 65535")?;
    let origin = match scheme.as_str() {
        "http" => Origin::http(host, port),
        "https" => Origin::https(host, port),
        other => bail!("the scheme is http or https, not {other}"),
    };
    let credentials = match credentials {
        [user, password] => Some(HttpCredentials::password(user, password)),
        _ => None,
    };
    let limits = HttpLimits {
        exchange_timeout: Duration::from_secs(10),
        max_body_bytes: 1 << 20,
        ..HttpLimits::default()
    };
    let mut server = HttpConnection::new(origin, &ClientTls::platform(), limits)?;
    let mut authenticator = HttpAuthenticator::new(credentials);
    loop {
        let mut request = Request::get(path.as_str()).body(Default::default())?;
        if let Some((name, value)) = authenticator.header(request.method(), path, &[]) {
            request.headers_mut().insert(name, value);
        }
        let response = server.exchange(request).await?;
        if response.status == 401 && authenticator.challenged(response.challenges()) {
            continue;
        }
        eprintln!("{}", response.status);
        return Ok(std::io::stdout().write_all(&response.body)?);
    }
}
