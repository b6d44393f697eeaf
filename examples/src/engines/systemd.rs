//! `lva-edge` itself as units of systemd, without containers: copy the units to /etc/systemd/system and the other files to /etc/lva.

use std::fmt::Write as _;

use super::module::{Module, Role};
use super::quadlet::{quoted, restart, value};
use super::{EngineFile, EngineFiles, dns_name, environment_lines};

const DIRECTORY: &str = "/etc/lva";
/// Modules of one machine share memory only where they have the same user.
const USER: &str = "lva";

pub(super) fn write(modules: &[Module], out: &mut EngineFiles) {
    let names: Vec<String> = modules.iter().map(|module| module.name.clone()).collect();
    out.note(
        "all",
        format!(
            "create the user once: useradd --system --no-create-home {USER}; install lva-edge and mosquitto"
        ),
    );
    if names.len() > 1 {
        out.note(
            "all",
            format!(
                "modules find each other by name: add to /etc/hosts the line: 127.0.0.1 {}",
                names.join(" ")
            ),
        );
    }
    for module in modules {
        let Some(command) = command(module) else {
            out.note(&module.name, format!("'{}' is not a program of this project, and there is no container: use --to quadlet for it", module.image));
            continue;
        };
        let name = format!("lva-{}", dns_name(&module.name));
        let text = unit(module, &name, &command, out);
        out.files.push(EngineFile::open(format!("{name}.service"), text));
    }
}

fn command(module: &Module) -> Option<String> {
    let rest: Vec<String> = module
        .arguments
        .iter()
        .map(|word| format!(" {}", quoted(word)))
        .collect();
    let default = match module.role() {
        Role::Module => "module",
        Role::SpatialAnalysis => "spatial-analysis",
        Role::Simulator => "simulator --port 554 --bind 0.0.0.0 /live/mediaServer/media",
        Role::Foreign => return None,
    };
    Some(match rest.is_empty() {
        true => format!("/usr/bin/lva-edge {default}"),
        false => format!("/usr/bin/lva-edge{}", rest.concat()),
    })
}

fn unit(module: &Module, name: &str, command: &str, out: &mut EngineFiles) -> String {
    let mut text = format!(
        "[Unit]\nDescription={}\nAfter=network-online.target mosquitto.service\nWants=network-online.target\n\n[Service]\nType=notify\nExecStart={command}\n\
         Restart={}\nTimeoutStopSec=60\nWatchdogSec=30\nUser={USER}\nStateDirectory={name}\nWorkingDirectory=/var/lib/{name}\nUMask=0027\nLimitNOFILE=65536\n\
         NoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\nRestrictSUIDSGID=yes\n",
        value(&module.name),
        restart(module.restart),
    );
    let mut line = |key: &str, of: &str| {
        // Writing to a text never fails.
        let _ = writeln!(text, "{key}={of}");
    };
    if module.role() == Role::Simulator {
        line("AmbientCapabilities", "CAP_NET_BIND_SERVICE");
    }
    let twin = format!("{DIRECTORY}/{name}-twin.json");
    for (name, of) in module.own_variables("mqtt://127.0.0.1:1883", &twin) {
        line("Environment", &quoted(&format!("{name}={of}")));
    }
    for (name, of) in &module.environment {
        line("Environment", &quoted(&format!("{name}={of}")));
    }
    if !module.secrets.is_empty() {
        let path = format!("{name}.secrets.env");
        line("EnvironmentFile", &format!("{DIRECTORY}/{path}"));
        out.files
            .push(EngineFile::secret(path, environment_lines(&module.secrets)));
    }
    for bind in &module.binds {
        let key = if bind.is_read_only {
            "BindReadOnlyPaths"
        } else {
            "BindPaths"
        };
        line(key, &value(&format!("{}:{}", bind.source, bind.target)));
    }
    for volume in &module.volumes {
        let place = format!("/var/lib/lva-volumes/{}", dns_name(&volume.name));
        line("BindPaths", &value(&format!("{place}:{}", volume.target)));
        out.note(
            &module.name,
            format!(
                "the volume '{}' is the directory {place}: make it, owned by {USER}",
                volume.name
            ),
        );
    }
    if let Some(bytes) = module.memory {
        line("MemoryMax", &bytes.to_string());
    }
    for device in &module.devices {
        line("DeviceAllow", &value(&format!("{device} rw")));
    }
    if let Some(text) = module.twin_text() {
        out.files.push(EngineFile {
            is_secret: module.has_secret_twin(),
            ..EngineFile::open(format!("{name}-twin.json"), text)
        });
    }
    for port in module.ports.iter().filter(|port| port.host != port.container) {
        out.note(
            &module.name,
            format!(
                "port {} was {} outside of its container: configure the port that callers use",
                port.container, port.host
            ),
        );
    }
    text + "\n[Install]\nWantedBy=multi-user.target\n"
}
