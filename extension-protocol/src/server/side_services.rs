//! What a gRPC server is expected to answer beside its own service: whether it is well, and what it offers.

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::options::ServerOptions;
use crate::wire;
use crate::wire::media_graph_extension_server::SERVICE_NAME;

/// The whole server, and the contract's service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// The state that the health service tells.
pub(super) struct Health(Option<HealthReporter>);

/// Adds the services that the options ask for.
pub(super) async fn add(mut routes: Routes, options: &ServerOptions) -> (Routes, Health) {
    let mut health = Health(None);
    if options.health {
        let (reporter, service) = tonic_health::server::health_reporter();
        routes = routes.add_service(service);
        health.0 = Some(reporter);
        health.tell(ServingStatus::Serving).await;
    }
    if options.reflection {
        let describe = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
        };
        // Old tools know the first version alone. Neither fails: the descriptors are this crate's own.
        match (describe().build_v1(), describe().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
            (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection service"),
        }
    }
    (routes, health)
}

impl Health {
    async fn tell(&self, status: ServingStatus) {
        if let Some(reporter) = &self.0 {
            for name in NAMES {
                reporter.set_service_status(name, status).await;
            }
        }
    }

    /// Says that the server goes, and ends the streams of those who watch: they would hold up the shutdown.
    pub(super) async fn shut_down(&mut self) {
        self.tell(ServingStatus::NotServing).await;
        if let Some(reporter) = &mut self.0 {
            for name in NAMES {
                reporter.clear_service_status(name).await;
            }
        }
        // For those who ask once more meanwhile.
        self.tell(ServingStatus::NotServing).await;
    }
}
