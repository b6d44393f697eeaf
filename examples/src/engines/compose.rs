//! A file for docker compose and podman-compose.

use serde_json::{Map, Value, json};

use super::module::{Module, Restart};
use super::{
    BROKER, BROKER_CONFIGURATION, BROKER_IMAGE, BROKER_URL, EngineFile, EngineFiles, TWIN, dns_name,
    environment_lines,
};

pub(super) fn write(modules: &[Module], out: &mut EngineFiles) {
    let mut services = Map::new();
    services.insert(
        BROKER.to_owned(),
        json!({"image": BROKER_IMAGE, "restart": "always", "volumes": ["./mosquitto.conf:/mosquitto/config/mosquitto.conf:ro"]}),
    );
    out.files
        .push(EngineFile::open("mosquitto.conf", BROKER_CONFIGURATION));
    let mut volumes = Map::new();
    let mut earlier = vec![BROKER.to_owned()];
    for module in modules {
        let service = service(module, &earlier, out);
        services.insert(module.name.clone(), service);
        for volume in &module.volumes {
            volumes.insert(volume.name.clone(), json!({}));
        }
        if module.startup_order < u64::from(u32::MAX) {
            earlier.push(module.name.clone());
        }
    }
    let mut file = json!({"services": services});
    if !volumes.is_empty() {
        file["volumes"] = volumes.into();
    }
    let text = serde_saphyr::to_string(&file).unwrap_or_else(|_| format!("{file:#}\n"));
    out.files.push(EngineFile::open("compose.yaml", text));
}

fn service(module: &Module, earlier: &[String], out: &mut EngineFiles) -> Value {
    let name = dns_name(&module.name);
    let mut service = json!({
        "image": module.image,
        "hostname": module.name,
        "restart": match module.restart {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "no",
        },
        "stop_grace_period": "30s",
        "depends_on": earlier,
    });
    let mut set = |name: &str, value: Value| {
        let is_empty = match &value {
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
            other => other.is_null(),
        };
        if !is_empty {
            service[name] = value;
        }
    };
    // A dollar sign begins a variable of Compose's own.
    let literal = |text: &str| text.replace('$', "$$");
    let own = module.own_variables(BROKER_URL, TWIN);
    let own = own
        .iter()
        .map(|(name, value)| ((*name).to_owned(), literal(value)));
    let variables = module
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), literal(value)));
    set(
        "environment",
        variables
            .chain(own)
            .map(|(name, value)| (name, Value::from(value)))
            .collect::<Map<_, _>>()
            .into(),
    );
    set(
        "command",
        module.arguments.iter().map(|word| literal(word)).collect(),
    );
    let mode = |is_read_only: bool| if is_read_only { ":ro" } else { "" };
    let binds = module
        .binds
        .iter()
        .map(|bind| format!("{}:{}{}", bind.source, bind.target, mode(bind.is_read_only)));
    let volumes = module
        .volumes
        .iter()
        .map(|volume| format!("{}:{}{}", volume.name, volume.target, mode(volume.is_read_only)));
    let mut all: Vec<String> = binds.chain(volumes).collect();
    if let Some(text) = module.twin_text() {
        let path = format!("{name}-twin.json");
        all.push(format!("./{path}:{TWIN}:ro"));
        out.files.push(EngineFile {
            is_secret: module.has_secret_twin(),
            ..EngineFile::open(path, text)
        });
    }
    set("volumes", all.into());
    let ports = module.ports.iter().map(|port| {
        format!(
            "{}:{}{}",
            port.host,
            port.container,
            if port.is_udp { "/udp" } else { "" }
        )
    });
    set("ports", ports.collect());
    set("devices", module.devices.clone().into());
    if module.shares_memory {
        set("ipc", json!("host"));
    } else {
        set("shm_size", json!(module.shared_memory));
    }
    set("mem_limit", json!(module.memory));
    if module.is_on_host_network {
        set("network_mode", json!("host"));
    }
    if module.is_privileged {
        set("privileged", json!(true));
    }
    if module.gpus > 0 {
        let device = json!({"driver": "nvidia", "count": module.gpus, "capabilities": ["gpu"]});
        set(
            "deploy",
            json!({"resources": {"reservations": {"devices": [device]}}}),
        );
    }
    if !module.secrets.is_empty() {
        let path = format!("{name}.secrets.env");
        set("env_file", json!([format!("./{path}")]));
        out.files
            .push(EngineFile::secret(path, environment_lines(&module.secrets)));
    }
    service
}
