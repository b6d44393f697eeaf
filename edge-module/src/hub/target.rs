use std::path::{Path, PathBuf};

use lva_client_transport::{ClientCertificate, ClientTls, ClientTlsError};
use lva_hub::workload::WorkloadError;
use lva_hub::{
    ConnectionString, ConnectionStringError, Discovery, EdgeEnvironment, EnvironmentError, HubOptions,
    Identity, OutboxError, PlainOptions,
};
use lva_media_types::{Credentials, SecretString};
use serde_json::json;

use crate::config::{BrokerAddress, Config, ConfigError};

/// Variables of the hub's SDKs, for a module that runs without IoT Edge.
const CONNECTION_STRING: &str = "EdgeHubConnectionString";
const CERTIFICATES: &str = "EdgeModuleCACertificateFile";

/// Why the hub that is configured cannot be used. The operator has to act; a hub that cannot be reached is not such an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The variables of IoT Edge.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The address of the workload API.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The connection string.
    #[error("{place}: {cause}")]
    ConnectionString {
        /// The file or variable.
        place: String,
        /// What is wrong.
        cause: ConnectionStringError,
    },
    /// A file that the section `[hub]` names.
    #[error("cannot read {}, which [hub] names: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// Certificates to trust.
    #[error("cannot trust the certificates in {}: {cause}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: ClientTlsError,
    },
    /// The client's certificate.
    #[error("cannot use {}, which [hub] names, with its key: {cause}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: ClientTlsError,
    },
    /// Two ways to authenticate, or none.
    #[error("{place} {found}")]
    Authentication {
        /// The file or variable of the connection string.
        place: String,
        /// What it has, and what to do.
        found: &'static str,
    },
    /// The section `[hub]`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Where to connect, and with which identity.
pub(crate) struct Target {
    pub(crate) options: HubOptions,
    /// The hub's names for this module; a broker has none.
    pub(crate) identity: Option<Identity>,
    pub(crate) is_broker: bool,
}

/// The hub or broker of this module: that of IoT Edge's environment, else the configured one. `lookup` gives a variable of
/// the environment.
pub(crate) fn target(
    config: &Config,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Target>, HubError> {
    match EdgeEnvironment::from_lookup(&lookup) {
        Ok(environment) => {
            let options = HubOptions::from_edge(&environment)?;
            return Ok(Some(hub(config, options, environment.identity)));
        }
        Err(EnvironmentError::Missing {
            is_complete: true, ..
        }) => {}
        Err(error) => return Err(error.into()),
    }
    let certificates = &config.hub.trusted_certificates;
    let file = &config.hub.connection_string_file;
    if !file.as_os_str().is_empty() {
        let text = read(file)?;
        return connection_string(config, &file.display().to_string(), text, certificates).map(Some);
    }
    if let Some(text) = lookup(CONNECTION_STRING).filter(|text| !text.is_empty()) {
        let own = lookup(CERTIFICATES).map(PathBuf::from);
        let certificates = own.filter(|_| certificates.as_os_str().is_empty());
        let certificates = certificates.unwrap_or_else(|| config.hub.trusted_certificates.clone());
        return connection_string(config, CONNECTION_STRING, text, &certificates).map(Some);
    }
    match config.hub.broker_address()? {
        Some(address) => broker(config, address).map(Some),
        None => Ok(None),
    }
}

fn hub(config: &Config, options: HubOptions, identity: Identity) -> Target {
    let options = options.with_token_life(config.hub.token_life());
    Target {
        options: match config.hub.websocket {
            true => options.with_websocket(),
            false => options,
        },
        identity: Some(identity),
        is_broker: false,
    }
}

fn connection_string(
    config: &Config,
    place: &str,
    text: String,
    certificates: &Path,
) -> Result<Target, HubError> {
    let parsed = ConnectionString::parse(&text.into());
    let parsed = parsed.map_err(|cause| HubError::ConnectionString {
        place: place.to_owned(),
        cause,
    })?;
    let identity = parsed.identity.clone();
    let own = certificate(config)?;
    let found = match (&parsed.key, &own) {
        (None, None) => Some("asks for a certificate (x509=true): set hub.certificate and hub.key"),
        (Some(_), Some(_)) => Some(
            "has a SharedAccessKey: leave hub.certificate and hub.key out, or take the string with x509=true",
        ),
        _ => None,
    };
    if let Some(found) = found {
        let place = place.to_owned();
        return Err(HubError::Authentication { place, found });
    }
    let options = HubOptions::from_connection_string(parsed).with_tls(tls(certificates, own)?);
    Ok(hub(config, options, identity))
}

fn broker(config: &Config, address: BrokerAddress) -> Result<Target, HubError> {
    let (hub, module) = (&config.hub, &config.module.name);
    let product = json!({"product": "Live Video Analytics", "version": env!("CARGO_PKG_VERSION"), "apiVersions": ["1.0", "1.1", "2.0"]});
    let mut plain = PlainOptions::new(module)
        .with_prefix(&hub.prefix)
        .with_bare_events(hub.bare_events)
        .with_info(product);
    if !hub.discovery.is_empty() {
        plain = plain.with_discovery(Discovery::new(module, module).with_prefix(&hub.discovery));
    }
    let mut options = HubOptions::plain(plain, address.host).with_version(hub.mqtt_version.into());
    if address.tls {
        options = options.with_tls(tls(&hub.trusted_certificates, certificate(config)?)?);
    }
    if let Some(port) = address.port {
        options = options.with_port(port);
    }
    if let Some(path) = address.websocket {
        options = options.with_websocket_at(path);
    }
    if !hub.username.is_empty() {
        let password = match hub.password_file.as_os_str().is_empty() {
            true => SecretString::new(""),
            false => SecretString::new(read(&hub.password_file)?),
        };
        options = options.with_credentials(Credentials::new(&hub.username, password));
    }
    Ok(Target {
        options,
        identity: None,
        is_broker: true,
    })
}

/// With these trusted certificates (an empty name: the system's), and this one to show.
fn tls(trusted: &Path, own: Option<ClientCertificate>) -> Result<ClientTls, HubError> {
    let tls = match trusted.as_os_str().is_empty() {
        true => ClientTls::platform(),
        false => ClientTls::from_pem([read(trusted)?]).map_err(|cause| HubError::Certificates {
            path: trusted.to_owned(),
            cause,
        })?,
    };
    Ok(match own {
        Some(own) => tls.with_certificate(own),
        None => tls,
    })
}

fn certificate(config: &Config) -> Result<Option<ClientCertificate>, HubError> {
    let path = &config.hub.certificate;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let (chain, key) = (read(path)?, read(&config.hub.key)?);
    match ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()) {
        Ok(own) => Ok(Some(own)),
        Err(cause) => Err(HubError::Certificate {
            path: path.clone(),
            cause,
        }),
    }
}

/// A small file, without the line feed that editors put at its end.
fn read(path: &Path) -> Result<String, HubError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(cause) => Err(HubError::File {
            path: path.to_owned(),
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "HostName=h.example;DeviceId=d;ModuleId=m;SharedAccessKey=AAECAw==;GatewayHostName=edge";

    fn edge(name: &str) -> Option<String> {
        let value = match name {
            "IOTEDGE_IOTHUBHOSTNAME" => "contoso.azure-devices.net",
            "IOTEDGE_GATEWAYHOSTNAME" => "edge",
            "IOTEDGE_DEVICEID" => "dev1",
            "IOTEDGE_MODULEID" => "lva=Edge",
            "IOTEDGE_MODULEGENERATIONID" => "1",
            "IOTEDGE_WORKLOADURI" => "unix:///var/run/iotedge/workload.sock",
            "IOTEDGE_APIVERSION" => "2022-08-03",
            CONNECTION_STRING => TEXT,
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn found(config: &Config, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
        let target = target(config, lookup).unwrap()?;
        Some(match target.identity {
            Some(identity) => identity.client_id(),
            None => format!("{:?}", target.options),
        })
    }

    #[test]
    fn the_environment_of_iot_edge_wins_then_the_file_then_the_variable_then_the_broker() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hub");
        std::fs::write(&file, format!("{}\n", TEXT.replace("DeviceId=d", "DeviceId=f"))).unwrap();
        let mut config = Config::default();
        let variable = |name: &str| edge(name).filter(|_| name == CONNECTION_STRING);
        assert_eq!(found(&config, |_| None), None);
        config.hub.broker = "mqtt://broker".into();
        assert!(found(&config, |_| None).unwrap().contains("lvaEdge"));
        assert_eq!(found(&config, variable).as_deref(), Some("d/m"));
        config.hub.broker.clear();
        config.hub.connection_string_file = file;
        assert_eq!(found(&config, variable).as_deref(), Some("f/m"));
        assert_eq!(found(&config, edge).as_deref(), Some("dev1/lva=Edge"));
    }

    #[test]
    fn a_hub_takes_a_key_or_a_certificate_and_not_both() {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["d".to_owned()]).unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let certified = file("certified", "HostName=h.example;DeviceId=d;ModuleId=m;x509=true");
        let keyed = file("keyed", TEXT);
        let mut config = Config::default();
        let mut result = |string: &Path, certificate: &Path, key: &Path| {
            config.hub.connection_string_file = string.to_owned();
            config.hub.certificate = certificate.to_owned();
            config.hub.key = key.to_owned();
            target(&config, |_| None)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let certificate = file("certificate.pem", &made.cert.pem());
        let key = file("key.pem", &made.signing_key.serialize_pem());
        let none = Path::new("");
        assert_eq!(result(&certified, &certificate, &key), Ok(()));
        assert_eq!(result(&keyed, none, none), Ok(()));
        let error = result(&certified, none, none).unwrap_err();
        assert!(
            error.contains("certified") && error.contains("hub.certificate"),
            "{error}"
        );
        let error = result(&keyed, &certificate, &key).unwrap_err();
        assert!(error.contains("SharedAccessKey"), "{error}");
        let error = result(&certified, &certificate, &certificate).unwrap_err();
        assert!(
            error.contains("certificate.pem") && error.contains("private key"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_without_its_secret() {
        let message = |config: &Config, lookup: &dyn Fn(&str) -> Option<String>| {
            target(config, lookup).map(drop).unwrap_err().to_string()
        };
        let mut config = Config::default();
        let incomplete = |name: &str| edge(name).filter(|_| name != "IOTEDGE_WORKLOADURI");
        assert!(message(&config, &incomplete).ends_with(": IOTEDGE_WORKLOADURI"));
        let service = |name: &str| {
            (name == CONNECTION_STRING)
                .then(|| "HostName=h;SharedAccessKeyName=o;SharedAccessKey=geheim".to_owned())
        };
        let text = message(&config, &service);
        assert!(
            text.starts_with("EdgeHubConnectionString: ") && !text.contains("geheim"),
            "{text}"
        );
        let certificates = |name: &str| match name {
            CONNECTION_STRING => Some(TEXT.to_owned()),
            CERTIFICATES => Some("/nowhere/ca.pem".to_owned()),
            _ => None,
        };
        assert!(message(&config, &certificates).contains("/nowhere/ca.pem"));
        config.hub.connection_string_file = "/nowhere/hub".into();
        assert!(message(&config, &|_| None).contains("/nowhere/hub"));
    }
}
