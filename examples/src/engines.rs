//! The modules of an IoT Edge manifest for other engines: Kubernetes, Compose, podman's quadlets, and systemd without containers.
//!
//! | file | what |
//! |---|---|
//! | `module` | a module as its create options describe it |
//! | `kubernetes`, `compose`, `quadlet`, `systemd` | the files of one engine |
//!
//! An edge device is one machine, so everything stays together: one pod, one network, one target. In edgeHub's place stands
//! mosquitto, and modules of this project find it by `LVA_BROKER`. Desired properties become a file that is mounted read-only,
//! secrets go where the engine keeps them, and what has no counterpart is told with what to do instead.

mod compose;
mod kubernetes;
mod module;
mod quadlet;
mod systemd;

use lva_graph_model::deployment::Manifest;

pub use module::{Bind, Module, Port, Restart, Role, Volume};

/// Where containers find their desired properties.
const TWIN: &str = "/etc/lva/twin.json";
/// The name of the broker for the containers.
const BROKER: &str = "edgehub";
const BROKER_IMAGE: &str = "docker.io/library/eclipse-mosquitto:2";
const BROKER_URL: &str = "mqtt://edgehub:1883";
/// A broker that is reached by the containers alone.
const BROKER_CONFIGURATION: &str = "listener 1883\nallow_anonymous true\n";

/// Where modules run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A pod of a Deployment, with ConfigMaps, Secrets and claims; `podman kube play` takes it too.
    Kubernetes,
    /// A file for docker compose and podman-compose.
    Compose,
    /// Containers of podman as systemd units (`/etc/containers/systemd`).
    Quadlet,
    /// `lva-edge` itself as systemd units, without containers.
    Systemd,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFile {
    /// Its path below the output directory.
    pub path: String,
    /// Its content.
    pub content: String,
    /// Whether only its owner may read it.
    pub is_secret: bool,
}

impl EngineFile {
    fn open(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            is_secret: false,
        }
    }

    fn secret(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            is_secret: true,
            ..Self::open(path, content)
        }
    }
}

/// What an engine gets.
#[derive(Debug, Default)]
pub struct EngineFiles {
    /// The files.
    pub files: Vec<EngineFile>,
    /// What has no counterpart, and what to do about it: the module, and a sentence.
    pub notes: Vec<(String, String)>,
}

impl EngineFiles {
    fn note(&mut self, module: &str, text: impl Into<String>) {
        self.notes.push((module.to_owned(), text.into()));
    }
}

/// The modules of a manifest for an engine. System modules are left out: the engine is the agent, a broker the hub.
pub fn convert(manifest: &Manifest, engine: Engine) -> EngineFiles {
    let mut out = EngineFiles::default();
    let mut modules = Vec::new();
    for written in manifest.modules().iter().filter(|module| !module.is_system) {
        let (module, left) = Module::read(written, manifest.to_value());
        for text in left {
            out.note(&written.name, text);
        }
        match module.is_stopped {
            true => out.note(
                &module.name,
                "its status is 'stopped', so it is left out: start it by hand",
            ),
            false => modules.push(module),
        }
    }
    modules.sort_by_key(|module| module.startup_order);
    for (name, route) in manifest.routes() {
        out.note(name, routed(route));
    }
    match engine {
        Engine::Kubernetes => kubernetes::write(&modules, &mut out),
        Engine::Compose => compose::write(&modules, &mut out),
        Engine::Quadlet => quadlet::write(&modules, &mut out),
        Engine::Systemd => systemd::write(&modules, &mut out),
    }
    out
}

/// What a route is on a plain broker.
fn routed(route: &str) -> String {
    let word = |after: &str| -> Option<&str> {
        let (_, rest) = route.split_once(after)?;
        rest.split(['/', ' ', '"']).find(|word| !word.is_empty())
    };
    let Some(from) = word("/messages/modules/") else {
        return "this route begins at no module: have its reader subscribe to the topics that it wants"
            .to_owned();
    };
    let output = match word("/outputs/") {
        None | Some("*") => "#",
        Some(output) => output,
    };
    let topic = format!("lva/{from}/outputs/{output}");
    match word("BrokeredEndpoint(") {
        Some(_) => format!("the broker routes nothing: have its reader subscribe to {topic}"),
        None => format!("what went upstream is on the broker's topic {topic}: bridge or subscribe to it"),
    }
}

/// A name as DNS has it: lower case letters, digits and hyphens, at most 63.
fn dns_name(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter.to_ascii_lowercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    });
    let name: String = letters
        .collect::<String>()
        .trim_matches('-')
        .chars()
        .take(63)
        .collect();
    match name.is_empty() {
        true => "module".to_owned(),
        false => name,
    }
}

/// Lines of NAME=VALUE.
fn environment_lines<'a>(variables: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    // A line break would begin another variable.
    let line = |(name, value): (&String, &String)| format!("{name}={}\n", value.replace(['\n', '\r'], " "));
    variables.into_iter().map(line).collect()
}
