//! One Deployment with one pod: the device. Modules are its containers, which find each other by their names on loopback and share
//! memory, as on the device.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar,
    ExecAction, HostAlias, HostPathVolumeSource, KeyToPath, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, Secret,
    SecretEnvSource, SecretVolumeSource, SecurityContext, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;

use super::module::{Module, Role};
use super::{BROKER, BROKER_CONFIGURATION, BROKER_IMAGE, EngineFile, EngineFiles, TWIN, dns_name};

const APP: &str = "lva";
const SHARED_MEMORY: &str = "shared-memory";
/// What a claim asks for; its module says nothing of it.
const CLAIM: &str = "20Gi";

pub(super) fn write(modules: &[Module], out: &mut EngineFiles) {
    let mut pod = PodSpec {
        host_aliases: Some(vec![HostAlias {
            ip: "127.0.0.1".to_owned(),
            hostnames: Some(
                modules
                    .iter()
                    .map(|module| module.name.clone())
                    .chain([BROKER.to_owned()])
                    .collect(),
            ),
        }]),
        termination_grace_period_seconds: Some(30),
        ..PodSpec::default()
    };
    let mut volumes = BTreeMap::new();
    let broker = broker(&mut volumes, out);
    pod.containers.push(broker);
    for module in modules {
        let container = container(module, &mut volumes, out);
        pod.containers.push(container);
        remarks(module, out);
    }
    pod.host_network = modules
        .iter()
        .any(|module| module.is_on_host_network)
        .then_some(true);
    shared_memory(modules, &mut pod, &mut volumes);
    pod.volumes = Some(volumes.into_values().collect());
    let labels = BTreeMap::from([("app".to_owned(), APP.to_owned())]);
    let deployment = Deployment {
        metadata: named(APP),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                ..LabelSelector::default()
            },
            // Two of them would take the same cameras and files.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                ..DeploymentStrategy::default()
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    out.files
        .push(EngineFile::open("deployment.yaml", yaml(&deployment)));
    let mut resources: Vec<&str> = out.files.iter().map(|file| file.path.as_str()).collect();
    resources.sort_unstable();
    let lines: String = resources.iter().map(|path| format!("  - {path}\n")).collect();
    let kustomization =
        format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{lines}");
    out.files
        .push(EngineFile::open("kustomization.yaml", kustomization));
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([("app".to_owned(), APP.to_owned())])),
        ..ObjectMeta::default()
    }
}

/// A document of YAML. JSON, where it cannot be written so, is YAML as well.
fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object)
        .or_else(|_| serde_json::to_string_pretty(object))
        .unwrap_or_default()
}

/// Lists without anything are left out.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn quantity(bytes: u64) -> Quantity {
    Quantity(bytes.to_string())
}

fn broker(volumes: &mut BTreeMap<String, Volume>, out: &mut EngineFiles) -> Container {
    let name = format!("{APP}-{BROKER}");
    let map = ConfigMap {
        metadata: named(&name),
        data: Some(BTreeMap::from([(
            "mosquitto.conf".to_owned(),
            BROKER_CONFIGURATION.replace("listener 1883", "listener 1883 127.0.0.1"),
        )])),
        ..ConfigMap::default()
    };
    out.files
        .push(EngineFile::open(format!("{name}.yaml"), yaml(&map)));
    volumes.insert(
        BROKER.to_owned(),
        Volume {
            name: BROKER.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name,
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
    );
    Container {
        name: BROKER.to_owned(),
        image: Some(BROKER_IMAGE.to_owned()),
        volume_mounts: Some(vec![mount(BROKER, "/mosquitto/config", true)]),
        ..Container::default()
    }
}

fn mount(name: &str, path: &str, is_read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: is_read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn container(module: &Module, volumes: &mut BTreeMap<String, Volume>, out: &mut EngineFiles) -> Container {
    let name = dns_name(&module.name);
    let mut mounts = Vec::new();
    let mut add = |key: String, path: &str, is_read_only, volume: Volume| {
        mounts.push(mount(&key, path, is_read_only));
        volumes
            .entry(key.clone())
            .or_insert(Volume { name: key, ..volume });
    };
    for (number, bind) in module.binds.iter().enumerate() {
        let host = HostPathVolumeSource {
            path: bind.source.clone(),
            ..HostPathVolumeSource::default()
        };
        add(
            format!("{name}-bind-{number}"),
            &bind.target,
            bind.is_read_only,
            Volume {
                host_path: Some(host),
                ..Volume::default()
            },
        );
    }
    for volume in &module.volumes {
        let key = dns_name(&volume.name);
        let claim = PersistentVolumeClaimVolumeSource {
            claim_name: key.clone(),
            read_only: volume.is_read_only.then_some(true),
        };
        out.files.retain(|file| file.path != format!("{key}-claim.yaml"));
        out.files.push(EngineFile::open(
            format!("{key}-claim.yaml"),
            yaml(&persistent(&key)),
        ));
        add(
            key,
            &volume.target,
            volume.is_read_only,
            Volume {
                persistent_volume_claim: Some(claim),
                ..Volume::default()
            },
        );
    }
    if let Some(text) = module.twin_text() {
        let key = format!("{name}-twin");
        add(key.clone(), "/etc/lva", true, twin(module, &key, text, out));
    }
    let mut container = Container {
        image: Some(module.image.clone()),
        args: (!module.arguments.is_empty()).then(|| module.arguments.clone()),
        env: some(environment(module)),
        env_from: secrets(module, &name, out),
        ports: some(ports(module)),
        resources: resources(module),
        security_context: module.is_privileged.then(|| SecurityContext {
            privileged: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: some(mounts),
        name,
        ..Container::default()
    };
    if module.role() == Role::Module {
        container.startup_probe = Some(Probe {
            failure_threshold: Some(60),
            ..probe(&["health"])
        });
        container.readiness_probe = Some(probe(&["health", "--ready"]));
        container.liveness_probe = Some(probe(&["health"]));
    }
    container
}

/// Asks the program in the container, since it listens on loopback.
fn probe(arguments: &[&str]) -> Probe {
    let command = ["/usr/bin/lva-edge"]
        .iter()
        .chain(arguments)
        .map(|&word| word.to_owned());
    Probe {
        exec: Some(ExecAction {
            command: Some(command.collect()),
        }),
        timeout_seconds: Some(6),
        period_seconds: Some(15),
        ..Probe::default()
    }
}

fn environment(module: &Module) -> Vec<EnvVar> {
    let own = module.own_variables("mqtt://127.0.0.1:1883", TWIN);
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let all = module.environment.clone().into_iter().chain(own);
    let variable = |(name, value)| EnvVar {
        name,
        value: Some(value),
        ..EnvVar::default()
    };
    all.map(variable).collect()
}

fn secrets(module: &Module, name: &str, out: &mut EngineFiles) -> Option<Vec<EnvFromSource>> {
    if module.secrets.is_empty() {
        return None;
    }
    let name = format!("{name}-secrets");
    let data = module
        .secrets
        .iter()
        .map(|(name, value)| (name.clone(), ByteString(value.clone().into_bytes())));
    let secret = Secret {
        metadata: named(&name),
        data: Some(data.collect()),
        ..Secret::default()
    };
    out.files
        .push(EngineFile::secret(format!("{name}.yaml"), yaml(&secret)));
    Some(vec![EnvFromSource {
        secret_ref: Some(SecretEnvSource { name, optional: None }),
        ..EnvFromSource::default()
    }])
}

/// Desired properties as a file: in a Secret where they hold secrets.
fn twin(module: &Module, key: &str, text: String, out: &mut EngineFiles) -> Volume {
    let items = Some(vec![KeyToPath {
        key: "twin.json".to_owned(),
        path: "twin.json".to_owned(),
        mode: None,
    }]);
    let path = format!("{key}.yaml");
    if module.has_secret_twin() {
        let secret = Secret {
            metadata: named(key),
            data: Some(BTreeMap::from([(
                "twin.json".to_owned(),
                ByteString(text.into_bytes()),
            )])),
            ..Secret::default()
        };
        out.files.push(EngineFile::secret(path, yaml(&secret)));
        let source = SecretVolumeSource {
            secret_name: Some(key.to_owned()),
            // podman 4.3 expects it to be written.
            optional: Some(false),
            items,
            ..SecretVolumeSource::default()
        };
        return Volume {
            secret: Some(source),
            ..Volume::default()
        };
    }
    let map = ConfigMap {
        metadata: named(key),
        data: Some(BTreeMap::from([("twin.json".to_owned(), text)])),
        ..ConfigMap::default()
    };
    out.files.push(EngineFile::open(path, yaml(&map)));
    let source = ConfigMapVolumeSource {
        name: key.to_owned(),
        items,
        ..ConfigMapVolumeSource::default()
    };
    Volume {
        config_map: Some(source),
        ..Volume::default()
    }
}

fn persistent(name: &str) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: named(name),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(CLAIM.to_owned()),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn ports(module: &Module) -> Vec<ContainerPort> {
    let port = |port: &super::Port| ContainerPort {
        container_port: i32::from(port.container),
        host_port: Some(i32::from(port.host)),
        protocol: Some(if port.is_udp { "UDP" } else { "TCP" }.to_owned()),
        ..ContainerPort::default()
    };
    module.ports.iter().map(port).collect()
}

fn resources(module: &Module) -> Option<ResourceRequirements> {
    let mut limits = BTreeMap::new();
    if module.gpus > 0 {
        limits.insert("nvidia.com/gpu".to_owned(), Quantity(module.gpus.to_string()));
    }
    if let Some(memory) = module.memory {
        limits.insert("memory".to_owned(), quantity(memory));
    }
    (!limits.is_empty()).then(|| ResourceRequirements {
        limits: Some(limits),
        ..ResourceRequirements::default()
    })
}

/// One piece of memory for all who share the machine's on a device, of the largest size that is asked for.
fn shared_memory(modules: &[Module], pod: &mut PodSpec, volumes: &mut BTreeMap<String, Volume>) {
    let size = modules.iter().filter_map(|module| module.shared_memory).max();
    if size.is_none() && !modules.iter().any(|module| module.shares_memory) {
        return;
    }
    volumes.insert(
        SHARED_MEMORY.to_owned(),
        Volume {
            name: SHARED_MEMORY.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: size.map(quantity),
            }),
            ..Volume::default()
        },
    );
    for (container, module) in pod.containers.iter_mut().skip(1).zip(modules) {
        if module.shares_memory || module.shared_memory.is_some() {
            let mounts = container.volume_mounts.get_or_insert_default();
            mounts.push(mount(SHARED_MEMORY, "/dev/shm", false));
        }
    }
}

fn remarks(module: &Module, out: &mut EngineFiles) {
    for bind in &module.binds {
        out.note(
            &module.name,
            format!("{} is a directory of one node: pin the pod to it (nodeSelector), or replace hostPath by a claim", bind.source),
        );
    }
    for device in &module.devices {
        out.note(
            &module.name,
            format!("the device {device} needs a device plugin of the cluster: request what that offers"),
        );
    }
    if module.restart != super::Restart::Always {
        out.note(
            &module.name,
            "a pod of a Deployment is always started again: for a task that ends, use a Job",
        );
    }
    if module.startup_order < u64::from(u32::MAX) {
        out.note(&module.name, "containers of a pod start together: a module that needs another has to try again, as lva-edge does");
    }
    if module.desired.is_some() && module.role() == Role::Module {
        out.note(&module.name, format!("its desired properties lie at {TWIN} and are not read from there: PUT them to the module's /api/v1 twin, or publish them at lva/{}/twin/desired", module.name));
    }
}
