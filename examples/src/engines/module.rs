//! A module of a manifest as an engine starts it: Docker's create options, read.

use std::collections::BTreeMap;

use lva_graph_model::deployment::ManifestModule;
use serde_json::Value;

/// Parts of names whose values are secrets.
const SECRET_WORDS: [&str; 7] = [
    "password",
    "secret",
    "key",
    "token",
    "connectionstring",
    "connection_string",
    "credential",
];

/// What the options say that is read here or means nothing for the work of a module.
const READ: [&str; 17] = [
    "Binds",
    "Mounts",
    "PortBindings",
    "IpcMode",
    "ShmSize",
    "Devices",
    "DeviceRequests",
    "Runtime",
    "NetworkMode",
    "Privileged",
    "ExtraHosts",
    "Memory",
    "NanoCpus",
    "LogConfig",
    "CapAdd",
    "RestartPolicy",
    "GroupAdd",
];

/// What a module is, by its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `lva-edge module`.
    Module,
    /// `lva-edge spatial-analysis`.
    SpatialAnalysis,
    /// `lva-edge simulator`.
    Simulator,
    /// A program of somebody else.
    Foreign,
}

/// A directory or file of the machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The path on the machine.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whether it can only be read there.
    pub is_read_only: bool,
}

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The path in the container.
    pub target: String,
    /// Whether it can only be read there.
    pub is_read_only: bool,
}

/// A port that the machine passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The machine's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// Whether it is UDP; otherwise TCP.
    pub is_udp: bool,
}

/// When a module is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Whenever it ends.
    Always,
    /// When it fails.
    OnFailure,
    /// Never.
    Never,
}

/// A module.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Arguments in place of those of the image.
    pub arguments: Vec<String>,
    /// Its variables that everybody may see.
    pub environment: BTreeMap<String, String>,
    /// Its variables that are secret.
    pub secrets: BTreeMap<String, String>,
    /// Parts of the machine's file system.
    pub binds: Vec<Bind>,
    /// The engine's volumes.
    pub volumes: Vec<Volume>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Whether it shares memory with the machine, and so with other modules that do.
    pub shares_memory: bool,
    /// Bytes of shared memory.
    pub shared_memory: Option<u64>,
    /// Devices of the machine.
    pub devices: Vec<String>,
    /// GPUs that it needs.
    pub gpus: u32,
    /// Whether it is on the machine's network.
    pub is_on_host_network: bool,
    /// Whether it may do everything.
    pub is_privileged: bool,
    /// Most bytes of memory.
    pub memory: Option<u64>,
    /// When it is started again.
    pub restart: Restart,
    /// Whether it is not to run.
    pub is_stopped: bool,
    /// Lower ones start first.
    pub startup_order: u64,
    /// Its desired properties.
    pub desired: Option<Value>,
}

impl Module {
    /// Reads a module; returns what could not be taken over as well.
    pub fn read(written: &ManifestModule, manifest: &Value) -> (Self, Vec<String>) {
        let mut left = Vec::new();
        let parsed = match written.create_options.trim() {
            "" => Ok(Value::Null),
            text => serde_json::from_str(text),
        };
        let options = parsed.unwrap_or_else(|error| {
            left.push(format!(
                "its createOptions are no JSON ({error}), and nothing of them is used: mend them"
            ));
            Value::Null
        });
        let module = manifest.pointer(&written.pointer).unwrap_or(&Value::Null);
        let host = options.get("HostConfig").unwrap_or(&Value::Null);
        for name in host.as_object().into_iter().flat_map(|host| host.keys()) {
            if !READ.contains(&name.as_str()) {
                left.push(format!(
                    "the option HostConfig.{name} is not taken over: add it by hand if it matters"
                ));
            }
        }
        let desired = manifest
            .pointer(&format!(
                "/modulesContent/{}/properties.desired",
                written.name.replace('~', "~0").replace('/', "~1")
            ))
            .filter(|desired| desired.as_object().is_some_and(|members| !members.is_empty()));
        let (secrets, environment) = variables(module, &options)
            .into_iter()
            .partition(|(name, _)| is_secret(name));
        let text = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let own = Self {
            name: written.name.clone(),
            image: written.image.clone().unwrap_or_default(),
            arguments: strings(options.get("Cmd")),
            environment,
            secrets,
            binds: binds(host, &mut left),
            volumes: volumes(host),
            ports: ports(host, &mut left),
            shares_memory: text(host, "IpcMode") == "host",
            shared_memory: host.get("ShmSize").and_then(Value::as_u64),
            devices: objects(host.get("Devices"))
                .map(|device| text(device, "PathOnHost"))
                .filter(|path| !path.is_empty())
                .collect(),
            gpus: gpus(host),
            is_on_host_network: text(host, "NetworkMode") == "host",
            is_privileged: host.get("Privileged").and_then(Value::as_bool) == Some(true),
            memory: host
                .get("Memory")
                .and_then(Value::as_u64)
                .filter(|memory| *memory > 0),
            restart: match text(module, "restartPolicy").as_str() {
                "never" => Restart::Never,
                "on-failure" | "on-unhealthy" => Restart::OnFailure,
                _ => Restart::Always,
            },
            is_stopped: text(module, "status") == "stopped",
            startup_order: module
                .get("startupOrder")
                .and_then(Value::as_u64)
                .unwrap_or(u64::from(u32::MAX)),
            desired: desired.cloned(),
        };
        (own, left)
    }

    /// What it is.
    pub fn role(&self) -> Role {
        let image = self.image.to_ascii_lowercase();
        let has = |word: &str| image.contains(word);
        if has("rtspsim") {
            Role::Simulator
        } else if has("spatial-analysis") {
            Role::SpatialAnalysis
        } else if has("live-video-analytics") || has("video-analyzer") || has("lva-edge") {
            Role::Module
        } else {
            Role::Foreign
        }
    }

    /// Whether its desired properties hold secrets.
    pub fn has_secret_twin(&self) -> bool {
        self.desired
            .as_ref()
            .and_then(Value::as_object)
            .is_some_and(|members| members.keys().any(|name| is_secret(name)))
    }

    /// Its desired properties as a file.
    pub fn twin_text(&self) -> Option<String> {
        self.desired.as_ref().map(|desired| format!("{desired:#}\n"))
    }

    /// The variables by which programs of this project find the broker and their properties.
    pub fn own_variables(&self, broker: &str, twin: &str) -> Vec<(&'static str, String)> {
        let mut own = Vec::new();
        if matches!(self.role(), Role::Module | Role::SpatialAnalysis) {
            own.push(("LVA_BROKER", broker.to_owned()));
            own.push(("LVA_NAME", self.name.clone()));
        }
        if self.role() == Role::SpatialAnalysis && self.desired.is_some() {
            own.push(("LVA_OPERATIONS", twin.to_owned()));
        }
        own
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn objects(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| entry.is_object())
}

/// Of the manifest, and of the create options before them.
fn variables(module: &Value, options: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in strings(options.get("Env")) {
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        all.insert(name.to_owned(), value.to_owned());
    }
    for (name, entry) in module.get("env").and_then(Value::as_object).into_iter().flatten() {
        let value = entry.get("value").unwrap_or(entry);
        all.insert(
            name.clone(),
            value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        );
    }
    all
}

fn binds(host: &Value, left: &mut Vec<String>) -> Vec<Bind> {
    let mut binds = Vec::new();
    for bind in strings(host.get("Binds")) {
        let mut parts = bind.splitn(3, ':');
        match (parts.next(), parts.next()) {
            (Some(source), Some(target)) if source.starts_with('/') => binds.push(Bind {
                source: source.to_owned(),
                target: target.to_owned(),
                is_read_only: parts
                    .next()
                    .is_some_and(|mode| mode.split(',').any(|mode| mode == "ro")),
            }),
            (Some(_), Some(_)) if bind.contains('$') => left.push(format!(
                "the bind '{bind}' has a variable without a value: give --env"
            )),
            _ => left.push(format!(
                "the bind '{bind}' is not SOURCE:TARGET with a path of the machine: add it by hand"
            )),
        }
    }
    let mounts =
        objects(host.get("Mounts")).filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("bind"));
    binds.extend(mounts.filter_map(|mount| {
        Some(Bind {
            source: mount.get("Source")?.as_str()?.to_owned(),
            target: mount.get("Target")?.as_str()?.to_owned(),
            is_read_only: mount.get("ReadOnly").and_then(Value::as_bool) == Some(true),
        })
    }));
    binds
}

fn volumes(host: &Value) -> Vec<Volume> {
    let mounts = objects(host.get("Mounts"))
        .filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("volume"));
    let volume = |mount: &Value| {
        Some(Volume {
            name: mount.get("Source")?.as_str()?.to_owned(),
            target: mount.get("Target")?.as_str()?.to_owned(),
            is_read_only: mount.get("ReadOnly").and_then(Value::as_bool) == Some(true),
        })
    };
    mounts.filter_map(volume).collect()
}

fn ports(host: &Value, left: &mut Vec<String>) -> Vec<Port> {
    let mut ports = Vec::new();
    for (name, bindings) in host
        .get("PortBindings")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let (container, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
        let Ok(container) = container.parse() else {
            left.push(format!("the port '{name}' is not a number: add it by hand"));
            continue;
        };
        for binding in objects(Some(bindings)) {
            let host = binding
                .get("HostPort")
                .and_then(Value::as_str)
                .unwrap_or_default();
            ports.push(Port {
                host: host.parse().unwrap_or(container),
                container,
                is_udp: protocol == "udp",
            });
        }
    }
    ports
}

/// Of the device requests, or one for the runtime.
fn gpus(host: &Value) -> u32 {
    let count = |request: &Value| {
        let count = request.get("Count").and_then(Value::as_i64).unwrap_or(1);
        u32::try_from(count).unwrap_or(1) // -1: all of them
    };
    let asked: u32 = objects(host.get("DeviceRequests")).map(count).sum();
    let runtime = host.get("Runtime").and_then(Value::as_str) == Some("nvidia");
    asked.max(u32::from(runtime))
}
