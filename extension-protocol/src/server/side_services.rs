//! The health and reflection services.

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::options::ServerOptions;
use crate::wire;
use crate::wire::media_graph_extension_server::SERVICE_NAME;

/// The whole server, and the contract's service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// The health service, if enabled.
pub(super) struct Health(Option<HealthReporter>);

/// Adds the services that the options enable.
pub(super) async fn add(mut routes: Routes, options: &ServerOptions) -> (Routes, Health) {
    let mut health = Health(None);
    if options.health {
        let (reporter, service) = tonic_health::server::health_reporter();
        routes = routes.add_service(service);
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
            (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
            (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection service"),
        }
    }
    (routes, health)
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
