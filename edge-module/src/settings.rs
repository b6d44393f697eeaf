//! The module's settings in its twin: the desired properties of both retired products.

use std::sync::Arc;

use lva_inference_schema::EventClass;
use parking_lot::RwLock;
use serde_json::{Map, Value};

use crate::config::EventsConfig;

/// What the desired properties ask for. Names are compared without case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// `azureMediaServicesArmId`.
    pub(crate) topic: Option<String>,
    /// `diagnosticsEventsOutputName`; empty for none, whatever is configured.
    pub(crate) diagnostics_output: Option<String>,
    /// `operationalEventsOutputName`, likewise.
    pub(crate) operational_output: Option<String>,
    /// `logLevel`.
    pub(crate) log_level: Option<LogLevel>,
    /// `logCategories`.
    pub(crate) log_categories: Option<LogCategories>,
    /// `allowUnsecuredEndpoints`.
    pub(crate) forbids_unsecured_endpoints: bool,
    /// `debugLogsDirectory`.
    pub(crate) debug_logs: Option<String>,
}

/// The contract's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    None,
    Error,
    Warning,
    Information,
    Verbose,
}

/// Which of the contract's categories are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogCategories {
    pub(crate) application: bool,
    pub(crate) media_pipeline: bool,
    pub(crate) events: bool,
}

/// A desired property that is missing or invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its name as the contract writes it.
    pub(crate) property: &'static str,
    pub(crate) message: String,
}

pub(crate) const DEBUG_LOGS: &str = "debugLogsDirectory";
const DATA_DIRECTORY: &str = "applicationDataDirectory";
const ACCOUNT: &str = "azureMediaServicesArmId";
const TOKEN: &str = "ProvisioningToken";
const SECRET: &str = "aadServicePrincipalSecret";
const APPLICATION: &str = "aadServicePrincipalAppId";
/// Beginning of the names of the secret and of a certificate with its password, which stand for it.
const PRINCIPAL: &str = "aadServicePrincipal";
const LVA_REQUIRED: [&str; 4] = [DATA_DIRECTORY, ACCOUNT, "aadTenantId", APPLICATION];

/// Whether a desired property holds what its reader must not see. No answer of the module has it.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_credential =
        name.starts_with(&PRINCIPAL.to_ascii_lowercase()) && !name.eq_ignore_ascii_case(APPLICATION);
    is_credential
        || ["secret", "password", "token"]
            .iter()
            .any(|word| name.contains(word))
}

impl Settings {
    /// Reads desired properties. What is valid is taken; what is not, is listed. With `is_required`, what a hub's
    /// module cannot do without is listed too: the properties of Video Analyzer where there is a provisioning token, else
    /// those of Live Video Analytics.
    pub(crate) fn read(desired: &Map<String, Value>, is_required: bool) -> (Self, Vec<Problem>) {
        let mut reader = Reader {
            desired,
            problems: Vec::new(),
        };
        if is_required {
            reader.check_required();
        }
        let settings = Self {
            topic: reader.string(ACCOUNT),
            diagnostics_output: reader.text("diagnosticsEventsOutputName"),
            operational_output: reader.text("operationalEventsOutputName"),
            log_level: reader.log_level(),
            log_categories: reader.log_categories(),
            forbids_unsecured_endpoints: reader.flag("allowUnsecuredEndpoints") == Some(false),
            debug_logs: reader.string(DEBUG_LOGS),
        };
        (settings, reader.problems)
    }
}

struct Reader<'a> {
    desired: &'a Map<String, Value>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        let mut same = self
            .desired
            .iter()
            .filter(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_null());
        same.next().map(|(_, value)| value)
    }

    fn problem(&mut self, property: &'static str, message: String) {
        // A property that is required and has a wrong type is reported once.
        if self.problems.iter().all(|problem| problem.property != property) {
            self.problems.push(Problem { property, message });
        }
    }

    fn check_required(&mut self) {
        if self.value(TOKEN).is_some() {
            self.require("ApplicationDataDirectory");
            self.require(TOKEN);
            return;
        }
        let has_secret = self.has_secret();
        if !has_secret && LVA_REQUIRED[1..].iter().all(|name| self.value(name).is_none()) {
            let message = format!(
                "'{TOKEN}' is missing: set the properties of Video Analyzer ('ApplicationDataDirectory', '{TOKEN}'), or those of Live Video Analytics ('{DATA_DIRECTORY}', '{ACCOUNT}', 'aadTenantId', 'aadServicePrincipalAppId', '{SECRET}'); no cloud service reads them, so any text will do"
            );
            self.require(DATA_DIRECTORY);
            self.problem(TOKEN, message);
            return;
        }
        for name in LVA_REQUIRED {
            self.require(name);
        }
        if !has_secret {
            self.require(SECRET);
        }
    }

    fn has_secret(&self) -> bool {
        self.desired.iter().any(|(name, value)| {
            let is_secret = name
                .get(..PRINCIPAL.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(PRINCIPAL));
            let is_set = value.as_str().is_some_and(|text| !text.trim().is_empty());
            is_secret && is_set && !name.eq_ignore_ascii_case(APPLICATION)
        })
    }

    fn require(&mut self, name: &'static str) {
        let message = match self.value(name) {
            None => format!("'{name}' is missing: set it in the desired properties of the module's twin"),
            Some(Value::String(text)) if text.trim().is_empty() => format!("'{name}' is empty: set a value"),
            Some(Value::String(_)) => return,
            Some(_) => format!("'{name}' must be a string"),
        };
        self.problem(name, message);
    }

    /// `None` for one that is empty as well.
    fn string(&mut self, name: &'static str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.trim().to_owned()),
            _ => {
                self.problem(name, format!("'{name}' must be a string"));
                None
            }
        }
    }

    fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.problem(name, format!("'{name}' must be true or false"));
                None
            }
        }
    }

    fn log_level(&mut self) -> Option<LogLevel> {
        let name = "logLevel";
        let text = self.string(name)?;
        let level = match text.to_ascii_lowercase().as_str() {
            "none" => LogLevel::None,
            "error" => LogLevel::Error,
            "warning" | "warn" => LogLevel::Warning,
            "information" | "info" => LogLevel::Information,
            "verbose" => LogLevel::Verbose,
            _ => {
                let words = "Verbose, Information, Warning, Error or None";
                self.problem(name, format!("'{name}' must be {words}"));
                return None;
            }
        };
        Some(level)
    }

    fn log_categories(&mut self) -> Option<LogCategories> {
        let name = "logCategories";
        let text = self.string(name)?;
        let mut categories = LogCategories::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "application" => categories.application = true,
                "mediapipeline" => categories.media_pipeline = true,
                "events" => categories.events = true,
                _ => {
                    let words = "of Application, MediaPipeline and Events, with commas between";
                    self.problem(name, format!("'{name}' must be made {words}"));
                    return None;
                }
            }
        }
        Some(categories)
    }
}

/// The settings in force, shared by what they govern. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveSettings(Arc<RwLock<InForce>>);

#[derive(Debug, Default)]
struct InForce {
    configured: EventsConfig,
    twin: Settings,
    problems: Vec<Problem>,
}

impl LiveSettings {
    /// What the configuration has, until there is a twin.
    pub(crate) fn new(configured: &EventsConfig) -> Self {
        Self(Arc::new(RwLock::new(InForce {
            configured: configured.clone(),
            ..InForce::default()
        })))
    }

    /// Puts the settings of a twin into force. While there are problems, methods are refused.
    pub(crate) fn apply(&self, twin: Settings, problems: Vec<Problem>) {
        let mut in_force = self.0.write();
        in_force.twin = twin;
        in_force.problems = problems;
    }

    /// The topic of events; `None` for the default of their product.
    pub(crate) fn topic(&self) -> Option<String> {
        let in_force = self.0.read();
        either(&in_force.twin.topic, &in_force.configured.topic)
    }

    /// The output of events that no node sends.
    pub(crate) fn output(&self, class: EventClass) -> Option<String> {
        let in_force = self.0.read();
        let (twin, configured) = (&in_force.twin, &in_force.configured);
        match class {
            EventClass::Analytics => None,
            EventClass::Diagnostics => either(&twin.diagnostics_output, &configured.diagnostics_output),
            EventClass::Operational => either(&twin.operational_output, &configured.operational_output),
        }
    }

    /// Whether instances may connect to endpoints without TLS.
    pub(crate) fn allows_unsecured_endpoints(&self) -> bool {
        !self.0.read().twin.forbids_unsecured_endpoints
    }

    /// Whether each event is logged.
    pub(crate) fn logs_events(&self) -> bool {
        let in_force = self.0.read();
        in_force.configured.log
            || in_force
                .twin
                .log_categories
                .is_some_and(|categories| categories.events)
    }

    /// What keeps methods from being served.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.0.read().problems.clone()
    }
}

/// The twin's value, even an empty one; else the configured one.
fn either(twin: &Option<String>, configured: &str) -> Option<String> {
    let text = twin.as_deref().unwrap_or(configured);
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lva() -> Value {
        json!({
            "applicationDataDirectory": "/var/lib/azuremediaservices",
            "azureMediaServicesArmId": "/subscriptions/s/resourceGroups/r/providers/microsoft.media/mediaservices/a",
            "aadTenantId": "t",
            "aadServicePrincipalAppId": "i",
            "aadServicePrincipalSecret": "geheim-18",
            "diagnosticsEventsOutputName": "AmsDiagnostics",
            "operationalEventsOutputName": "AmsOperational",
            "logLevel": "Information",
            "logCategories": "Application, Events",
            "allowUnsecuredEndpoints": true,
            "telemetryOptOut": false
        })
    }

    fn read(desired: &Value) -> (Settings, Vec<&'static str>) {
        let (settings, problems) = Settings::read(desired.as_object().unwrap(), true);
        for problem in &problems {
            assert!(problem.message.contains(problem.property), "{problem:?}");
            assert!(!problem.message.contains("geheim"), "{problem:?}");
        }
        (
            settings,
            problems.into_iter().map(|problem| problem.property).collect(),
        )
    }

    #[test]
    fn the_published_templates_are_valid_in_any_case_of_their_names() {
        let (settings, problems) = read(&lva());
        assert!(problems.is_empty(), "{problems:?}");
        assert!(settings.topic.unwrap().ends_with("mediaservices/a"));
        assert_eq!(settings.diagnostics_output.as_deref(), Some("AmsDiagnostics"));
        assert_eq!(settings.log_level, Some(LogLevel::Information));
        let categories = settings.log_categories.unwrap();
        assert!(categories.application && categories.events && !categories.media_pipeline);
        let video_analyzer = json!({
            "applicationDataDirectory": "/var/lib/videoanalyzer",
            "ProvisioningToken": "t",
            "DiagnosticsEventsOutputName": "diagnostics",
            "logLevel": "info",
            "LogCategories": "application, events",
            "allowUnsecuredEndpoints": "false"
        });
        let (settings, problems) = read(&video_analyzer);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(settings.diagnostics_output.as_deref(), Some("diagnostics"));
        assert!(settings.forbids_unsecured_endpoints);
    }

    #[test]
    fn each_required_property_is_named_when_it_is_missing_empty_or_of_another_type() {
        for name in [
            "applicationDataDirectory",
            "azureMediaServicesArmId",
            "aadTenantId",
            "aadServicePrincipalAppId",
            "aadServicePrincipalSecret",
        ] {
            for value in [None, Some(json!(null)), Some(json!(" ")), Some(json!(7))] {
                let mut desired = lva();
                match value {
                    None => drop(desired.as_object_mut().unwrap().remove(name)),
                    Some(value) => desired[name] = value,
                }
                assert_eq!(read(&desired).1, [name], "{desired}");
            }
        }
        let (_, problems) = read(&json!({"provisioningToken": "t"}));
        assert_eq!(problems, ["ApplicationDataDirectory"]);
        let (_, problems) = read(&json!({"ApplicationDataDirectory": "/d", "logLevel": "Verbose"}));
        assert_eq!(problems, ["ProvisioningToken"]);
        let (_, problems) = read(&json!({}));
        assert_eq!(problems, ["applicationDataDirectory", "ProvisioningToken"]);
    }

    #[test]
    fn an_invalid_optional_property_is_named_and_the_others_hold() {
        let mut desired = lva();
        desired["logLevel"] = json!("Loud");
        desired["logCategories"] = json!("Application,Gossip");
        desired["allowUnsecuredEndpoints"] = json!(1);
        let (settings, problems) = read(&desired);
        assert_eq!(problems, ["logLevel", "logCategories", "allowUnsecuredEndpoints"]);
        assert_eq!(settings.operational_output.as_deref(), Some("AmsOperational"));
    }

    #[test]
    fn credentials_are_secret_and_names_are_not() {
        for name in [
            "aadServicePrincipalSecret",
            "AadServicePrincipalCertificate",
            "aadServicePrincipalPassword",
            "ProvisioningToken",
            "provisioningtoken",
            "cameraPassword",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for (name, _) in lva().as_object().unwrap() {
            assert_eq!(is_secret(name), name == SECRET, "{name}");
        }
    }

    #[test]
    fn without_a_hub_nothing_is_required_and_the_configuration_stands_in() {
        let empty = Map::new();
        assert_eq!(Settings::read(&empty, false), (Settings::default(), Vec::new()));
        let configured = EventsConfig {
            topic: "/own".into(),
            diagnostics_output: "d".into(),
            ..EventsConfig::default()
        };
        let live = LiveSettings::new(&configured);
        assert_eq!(live.topic().as_deref(), Some("/own"));
        assert_eq!(live.output(EventClass::Diagnostics).as_deref(), Some("d"));
        assert_eq!(live.output(EventClass::Operational), None);
        let (settings, problems) = Settings::read(lva().as_object().unwrap(), true);
        live.apply(settings, problems);
        assert_eq!(
            live.output(EventClass::Diagnostics).as_deref(),
            Some("AmsDiagnostics")
        );
        assert!(live.topic().unwrap().starts_with("/subscriptions/s/") && live.logs_events());
        let off = json!({"diagnosticsEventsOutputName": " ", "azureMediaServicesArmId": ""});
        live.apply(Settings::read(off.as_object().unwrap(), false).0, Vec::new());
        assert_eq!(live.output(EventClass::Diagnostics), None);
        assert_eq!(live.topic().as_deref(), Some("/own"));
    }
}
