//! Containers of podman as units of systemd: copy the files to /etc/containers/systemd, and run `systemctl daemon-reload`.

use std::fmt::Write as _;

use super::module::{Module, Restart};
use super::{
    BROKER, BROKER_CONFIGURATION, BROKER_IMAGE, BROKER_URL, EngineFile, EngineFiles, TWIN, dns_name,
    environment_lines,
};

const DIRECTORY: &str = "/etc/containers/systemd";

pub(super) fn write(modules: &[Module], out: &mut EngineFiles) {
    out.files.push(EngineFile::open("lva.network", "[Network]\n"));
    out.files
        .push(EngineFile::open("mosquitto.conf", BROKER_CONFIGURATION));
    let broker = format!(
        "[Unit]\nDescription=Broker of the modules\n\n[Container]\nImage={BROKER_IMAGE}\nContainerName={BROKER}\nNetwork=lva.network\n\
         Volume={DIRECTORY}/mosquitto.conf:/mosquitto/config/mosquitto.conf:ro\n\n[Service]\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    out.files
        .push(EngineFile::open(format!("{BROKER}.container"), broker));
    let mut earlier = vec![format!("{BROKER}.service")];
    for module in modules {
        let name = dns_name(&module.name);
        let text = unit(module, &name, &earlier, out);
        out.files
            .push(EngineFile::open(format!("{name}.container"), text));
        for volume in &module.volumes {
            let path = format!("{}.volume", dns_name(&volume.name));
            if !out.files.iter().any(|file| file.path == path) {
                out.files.push(EngineFile::open(
                    path,
                    format!("[Volume]\nVolumeName={}\n", dns_name(&volume.name)),
                ));
            }
        }
        if module.startup_order < u64::from(u32::MAX) {
            earlier.push(format!("{name}.service"));
        }
    }
}

/// A value in one line of a unit: `%` begins a specifier.
pub(super) fn value(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ")
}

/// A word in quotation marks, as `Environment=` and commands take it.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", value(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn unit(module: &Module, name: &str, earlier: &[String], out: &mut EngineFiles) -> String {
    let mut text = format!(
        "[Unit]\nDescription={}\nAfter={}\n\n[Container]\n",
        value(&module.name),
        earlier.join(" ")
    );
    let mut line = |key: &str, of: &str| {
        // Writing to a text never fails.
        let _ = writeln!(text, "{key}={of}");
    };
    line("Image", &value(&module.image));
    line("ContainerName", name);
    line("HostName", &value(&module.name));
    let network = if module.is_on_host_network {
        "host"
    } else {
        "lva.network"
    };
    line("Network", network);
    if network != "host" && name != module.name {
        // Others know it by its name of old.
        line("PodmanArgs", &format!("--network-alias={}", value(&module.name)));
    }
    let own = module.own_variables(BROKER_URL, TWIN);
    for (name, of) in module
        .environment
        .iter()
        .map(|(name, of)| (name.as_str(), of))
        .chain(own.iter().map(|(name, of)| (*name, of)))
    {
        line("Environment", &quoted(&format!("{name}={of}")));
    }
    let mode = |is_read_only: bool| if is_read_only { ":ro" } else { "" };
    for bind in &module.binds {
        line(
            "Volume",
            &value(&format!(
                "{}:{}{}",
                bind.source,
                bind.target,
                mode(bind.is_read_only)
            )),
        );
    }
    for volume in &module.volumes {
        line(
            "Volume",
            &value(&format!(
                "{}.volume:{}{}",
                dns_name(&volume.name),
                volume.target,
                mode(volume.is_read_only)
            )),
        );
    }
    for port in &module.ports {
        line(
            "PublishPort",
            &format!(
                "{}:{}{}",
                port.host,
                port.container,
                if port.is_udp { "/udp" } else { "" }
            ),
        );
    }
    for device in &module.devices {
        line("AddDevice", &value(device));
    }
    if module.gpus > 0 {
        line("AddDevice", "nvidia.com/gpu=all");
    }
    let mut podman = Vec::new();
    if module.shares_memory {
        podman.push("--ipc=host".to_owned());
    } else if let Some(bytes) = module.shared_memory {
        podman.push(format!("--shm-size={bytes}"));
    }
    podman.extend(module.memory.map(|bytes| format!("--memory={bytes}")));
    if module.is_privileged {
        podman.push("--privileged".to_owned());
    }
    if !podman.is_empty() {
        line("PodmanArgs", &podman.join(" "));
    }
    if let Some(twin) = module.twin_text() {
        let path = format!("{name}-twin.json");
        line("Volume", &format!("{DIRECTORY}/{path}:{TWIN}:ro"));
        out.files.push(EngineFile {
            is_secret: module.has_secret_twin(),
            ..EngineFile::open(path, twin)
        });
    }
    if !module.secrets.is_empty() {
        let path = format!("{name}.secrets.env");
        line("EnvironmentFile", &format!("{DIRECTORY}/{path}"));
        out.files
            .push(EngineFile::secret(path, environment_lines(&module.secrets)));
    }
    if !module.arguments.is_empty() {
        let words: Vec<String> = module.arguments.iter().map(|word| quoted(word)).collect();
        line("Exec", &words.join(" "));
    }
    let restart = restart(module.restart);
    let _ = write!(
        text,
        "\n[Service]\nRestart={restart}\nTimeoutStopSec=60\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    text
}

pub(super) fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "no",
    }
}
