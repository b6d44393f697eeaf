//! The health and reflection services.

use lva_server_transport::Connection;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::options::ServerOptions;
use crate::wire::media_graph_extension_server::SERVICE_NAME;
use crate::{credentials, wire};

/// The whole server, and the contract's service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// Bytes of a message to these services: names.
const MESSAGE_BYTES: usize = 64 << 10;

/// The health service, if enabled.
pub(super) struct Health(Option<HealthReporter>);

/// Adds the services that the options enable.
pub(super) async fn add(mut routes: Routes, options: &ServerOptions) -> (Routes, Health) {
    let mut health = Health(None);
    if options.health {
        let (reporter, service) = tonic_health::server::health_reporter();
        routes = routes.add_service(service.max_decoding_message_size(MESSAGE_BYTES));
        health.0 = Some(reporter);
        health.report(ServingStatus::Serving).await;
    }
    if options.reflection {
        let describe = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
        };
        // Old tools only support v1alpha. Neither build fails: the descriptors are part of this crate.
        match (describe().build_v1(), describe().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => {
                let v1 = v1.max_decoding_message_size(MESSAGE_BYTES);
                let v1alpha = v1alpha.max_decoding_message_size(MESSAGE_BYTES);
                routes = routes
                    .add_service(InterceptedService::new(v1, with_credentials(options)))
                    .add_service(InterceptedService::new(v1alpha, with_credentials(options)));
            }
            (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection service"),
        }
    }
    (routes, health)
}

/// Admits requests with the credentials, or all where none are set.
fn with_credentials(
    options: &ServerOptions,
) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone + Send + Sync + 'static {
    let wanted = options.credentials.clone();
    move |request| match &wanted {
        Some(wanted) if !credentials::verify(wanted, request.metadata()) => {
            if let Some(connection) = request.extensions().get::<Connection>() {
                connection.refuse();
            }
            Err(Status::unauthenticated(credentials::MISSING))
        }
        _ => Ok(request),
    }
}

impl Health {
    async fn report(&self, status: ServingStatus) {
        if let Some(reporter) = &self.0 {
            for name in NAMES {
                reporter.set_service_status(name, status).await;
            }
        }
    }

    /// Reports the shutdown, and ends watching streams, which would delay it.
    pub(super) async fn shut_down(&mut self) {
        self.report(ServingStatus::NotServing).await;
        if let Some(reporter) = &mut self.0 {
            for name in NAMES {
                reporter.clear_service_status(name).await;
            }
        }
        // For checks during the shutdown.
        self.report(ServingStatus::NotServing).await;
    }
}
