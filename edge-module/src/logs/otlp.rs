//! The log to a collector: OTLP logs in protobuf over HTTP (OpenTelemetry Protocol specification, section "OTLP/HTTP").

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use lva_client_transport::ClientTls;
use lva_client_transport::http::{HttpConnection, HttpLimits, Origin};
use opentelemetry::KeyValue;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tracing::Metadata;

/// How long a collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where collectors take logs, below the address of all signals.
const PATH: &str = "/v1/logs";
/// Targets whose lines an export would cause, and so export again.
const OWN: [&str; 3] = ["opentelemetry", "hyper", "lva_client_transport"];

/// What is sent to the collector for each line.
pub(super) type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// Sends lines to the collector at `endpoint` (`http://HOST:4318`), as those of `service` on `device`. A thread sends them
/// each second or each 512; up to 2,048 wait, and further ones are lost, which the log reports at the end. Needs a runtime of
/// tokio, which it uses as long as that lives.
pub(super) fn start(
    endpoint: &str,
    service: &str,
    device: &str,
) -> Result<(SdkLoggerProvider, Bridge), String> {
    let base = endpoint.trim_end_matches('/');
    let client = Client::new(base)
        .map_err(|message| format!("{message}; write http://HOST:PORT or https://HOST:PORT"))?;
    let exporter = LogExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{base}{PATH}"))
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder_empty()
        .with_service_name(service.to_owned())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{device}/{service}")),
        ])
        .build();
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build();
    let bridge = OpenTelemetryTracingBridge::new(&provider);
    Ok((provider, bridge))
}

/// Whether a line goes to the collector.
pub(super) fn is_exported(line: &Metadata<'_>) -> bool {
    !OWN.iter().any(|own| line.target().starts_with(own))
}

/// Our HTTP client under the exporter, whose thread has no runtime.
#[derive(Debug)]
struct Client {
    connection: Arc<Mutex<HttpConnection>>,
    runtime: Handle,
}

impl Client {
    fn new(endpoint: &str) -> Result<Self, String> {
        let uri: Uri = endpoint.parse().map_err(|_| "it is not a URL")?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or("it has no host")?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("a collector takes no user".into());
        }
        let origin = match uri.scheme_str() {
            Some("http") => Origin::http(host, uri.port_u16().unwrap_or(4318)),
            Some("https") => Origin::https(host, uri.port_u16().unwrap_or(443)),
            _ => return Err("it is not an HTTP address".into()),
        };
        let limits = HttpLimits {
            exchange_timeout: TIMEOUT,
            max_body_bytes: 64 * 1024,
            ..HttpLimits::default()
        };
        let connection =
            HttpConnection::new(origin, &ClientTls::platform(), limits).map_err(|error| error.to_string())?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            runtime: Handle::try_current().map_err(|error| error.to_string())?,
        })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let connection = Arc::clone(&self.connection);
        let (mut head, body) = request.into_parts();
        let exchange = self.runtime.spawn(async move {
            let mut connection = connection.lock().await;
            // The connection knows its server, and wants the path alone.
            if let Some(path) = head.uri.path_and_query().cloned() {
                head.uri = path.into();
            }
            let answer = connection.exchange(Request::from_parts(head, body)).await?;
            Ok::<_, HttpError>(answer)
        });
        let answer = exchange.await??;
        Ok(Response::builder().status(answer.status).body(answer.body)?)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_collector_gets_lines_with_their_service_and_none_about_itself() {
        let (sender, mut received) = mpsc::unbounded_channel();
        let take = |State(sender): State<mpsc::UnboundedSender<Bytes>>, body: Bytes| async move {
            sender.send(body).unwrap();
        };
        let collector = Router::new().route(PATH, post(take)).with_state(sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, collector).await });
        let (provider, bridge) = start(&endpoint, "lvaEdge", "shop-7").unwrap();
        let subscriber = tracing_subscriber::registry().with(bridge.with_filter(filter_fn(is_exported)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(camera = "door", "no picture for 5 s");
            tracing::warn!(target: "hyper::client", "never sent");
        });
        tokio::task::spawn_blocking(move || provider.shutdown())
            .await
            .unwrap()
            .unwrap();
        let request = received.recv().await.unwrap();
        // Protobuf has strings as they are.
        let text = String::from_utf8_lossy(&request);
        for word in [
            "lvaEdge",
            "shop-7/lvaEdge",
            "no picture for 5 s",
            "camera",
            "door",
            "WARN",
        ] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        assert!(!text.contains("never sent"));
        serving.abort();
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_with_the_form_that_is_right() {
        for wrong in [
            "collector:4318",
            "grpc://collector",
            "http://",
            "http://user:geheim@collector",
        ] {
            let message = start(wrong, "m", "d").map(drop).unwrap_err();
            assert!(
                message.contains("http://HOST:PORT") && !message.contains("geheim"),
                "{wrong}: {message}"
            );
        }
    }
}
