//! Manifests for other engines.

use std::path::PathBuf;

use lva_examples::engines::{Engine, EngineFiles, convert};
use lva_graph_model::deployment::{DeploymentTemplate, EnvironmentFile, Manifest, ManifestOptions};
use serde_json::{Value, json};

fn manifest() -> Manifest {
    let options = json!({
        "Cmd": ["serve", "--label", "50 %"],
        "HostConfig": {
            "Binds": ["/data/in:/in:ro"], "Mounts": [{"Type": "volume", "Source": "Clips_1", "Target": "/clips"}],
            "PortBindings": {"554/tcp": [{"HostPort": "8554"}]}, "IpcMode": "host", "ShmSize": 536_870_912,
            "Runtime": "nvidia", "Sysctls": {"a": "b"},
        },
    });
    let value = json!({"modulesContent": {
        "$edgeAgent": {"properties.desired": {
            "systemModules": {"edgeHub": {"settings": {"image": "hub"}}},
            "modules": {
                "lvaEdge": {
                    "status": "running", "restartPolicy": "always", "startupOrder": 1,
                    "settings": {"image": "site/lva-edge:1-lva", "createOptions": "{\"HostConfig\":{\"IpcMode\":\"host\"}}"},
                    "env": {"MODE": {"value": "a $b"}, "API_KEY": {"value": "hidden"}},
                },
                "people": {"status": "running", "restartPolicy": "never", "settings": {"image": "other/people:1", "createOptions": options.to_string()}},
                "late": {"status": "stopped", "settings": {"image": "x"}},
            },
        }},
        "$edgeHub": {"properties.desired": {"routes": {
            "up": "FROM /messages/modules/lvaEdge/outputs/* INTO $upstream",
            "across": "FROM /messages/modules/lvaEdge/outputs/people INTO BrokeredEndpoint(\"/modules/people/inputs/in\")",
        }}},
        "lvaEdge": {"properties.desired": {"logLevel": "Information", "aadServicePrincipalSecret": "hidden too"}},
    }});
    Manifest::from_slice(value.to_string().as_bytes()).unwrap()
}

fn content<'a>(files: &'a EngineFiles, path: &str) -> &'a str {
    let file = files.files.iter().find(|file| file.path == path);
    let paths: Vec<_> = files.files.iter().map(|file| &file.path).collect();
    &file
        .unwrap_or_else(|| panic!("no {path} among {paths:?}"))
        .content
}

fn yaml(files: &EngineFiles, path: &str) -> Value {
    serde_saphyr::from_str(content(files, path)).unwrap()
}

#[test]
fn secrets_are_in_files_of_their_owner_alone_and_what_has_no_counterpart_is_told() {
    for engine in [
        Engine::Kubernetes,
        Engine::Compose,
        Engine::Quadlet,
        Engine::Systemd,
    ] {
        let files = convert(&manifest(), engine);
        let hidden = ["hidden", "aGlkZGVu"]; // and as base64
        for file in &files.files {
            let has_secret = hidden.iter().any(|secret| file.content.contains(secret));
            assert!(!has_secret || file.is_secret, "{engine:?}: {}", file.path);
        }
        assert!(files.files.iter().any(|file| file.is_secret), "{engine:?}");
        let note = |words: &str| files.notes.iter().any(|(_, text)| text.contains(words));
        for words in [
            "HostConfig.Sysctls",
            "'stopped'",
            "lva/lvaEdge/outputs/#",
            "subscribe to lva/lvaEdge/outputs/people",
        ] {
            assert!(note(words), "{engine:?}: {words} in {:?}", files.notes);
        }
        assert!(
            !files.files.iter().any(|file| file.content.contains("image: hub")),
            "{engine:?}"
        );
    }
}

#[test]
fn a_pod_has_all_modules_of_the_device_with_their_memory_names_and_files() {
    let files = convert(&manifest(), Engine::Kubernetes);
    let deployment = yaml(&files, "deployment.yaml");
    assert_eq!(
        (
            &deployment["kind"],
            &deployment["spec"]["replicas"],
            &deployment["spec"]["strategy"]["type"]
        ),
        (&json!("Deployment"), &json!(1), &json!("Recreate"))
    );
    let pod = &deployment["spec"]["template"]["spec"];
    let names: Vec<_> = pod["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| &container["name"])
        .collect();
    assert_eq!(names, [&json!("edgehub"), &json!("lvaedge"), &json!("people")]);
    assert_eq!(
        pod["hostAliases"][0]["hostnames"],
        json!(["lvaEdge", "people", "edgehub"])
    );
    let module = &pod["containers"][1];
    assert_eq!(
        module["livenessProbe"]["exec"]["command"],
        json!(["/usr/bin/lva-edge", "health"])
    );
    assert_eq!(module["envFrom"][0]["secretRef"]["name"], "lvaedge-secrets");
    assert_eq!(yaml(&files, "lvaedge-twin.yaml")["kind"], "Secret");
    let people = &pod["containers"][2];
    assert_eq!(
        (&people["args"], &people["resources"]["limits"]["nvidia.com/gpu"]),
        (&json!(["serve", "--label", "50 %"]), &json!("1"))
    );
    assert_eq!(
        (
            &people["ports"][0]["containerPort"],
            &people["ports"][0]["hostPort"]
        ),
        (&json!(554), &json!(8554))
    );
    let mounted = |container: &Value, path: &str| {
        container["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|mount| mount["mountPath"] == path)
    };
    assert!(
        mounted(module, "/dev/shm")
            && mounted(people, "/dev/shm")
            && mounted(people, "/in")
            && mounted(people, "/clips")
    );
    let volumes = pod["volumes"].as_array().unwrap();
    let memory = volumes
        .iter()
        .find(|volume| volume["name"] == "shared-memory")
        .unwrap();
    assert_eq!(
        memory["emptyDir"],
        json!({"medium": "Memory", "sizeLimit": "536870912"})
    );
    assert_eq!(
        yaml(&files, "clips-1-claim.yaml")["spec"]["accessModes"],
        json!(["ReadWriteOnce"])
    );
    let listed = yaml(&files, "kustomization.yaml")["resources"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(listed, files.files.len() - 1);
}

#[test]
fn compose_has_services_volumes_and_secrets_apart() {
    let files = convert(&manifest(), Engine::Compose);
    let file = yaml(&files, "compose.yaml");
    let (module, people) = (&file["services"]["lvaEdge"], &file["services"]["people"]);
    assert_eq!(
        (
            &module["ipc"],
            &module["environment"]["MODE"],
            &module["environment"]["LVA_BROKER"]
        ),
        (&json!("host"), &json!("a $$b"), &json!("mqtt://edgehub:1883"))
    );
    assert_eq!(module["env_file"], json!(["./lvaedge.secrets.env"]));
    assert_eq!(content(&files, "lvaedge.secrets.env"), "API_KEY=hidden\n");
    assert_eq!(
        (&people["restart"], &people["ports"], &people["depends_on"]),
        (&json!("no"), &json!(["8554:554"]), &json!(["edgehub", "lvaEdge"]))
    );
    assert_eq!(people["volumes"], json!(["/data/in:/in:ro", "Clips_1:/clips"]));
    assert_eq!(file["volumes"], json!({"Clips_1": {}}));
}

#[test]
fn quadlets_and_units_are_lines_of_sections() {
    for (engine, path, lines) in [
        (
            Engine::Quadlet,
            "people.container",
            &[
                "Image=other/people:1",
                "Volume=/data/in:/in:ro",
                "Volume=clips-1.volume:/clips",
                "PublishPort=8554:554",
                "Exec=\"serve\" \"--label\" \"50 %%\"",
                "PodmanArgs=--ipc=host",
                "Restart=no",
                "After=edgehub.service lvaedge.service",
            ][..],
        ),
        (
            Engine::Quadlet,
            "lvaedge.container",
            &[
                "PodmanArgs=--network-alias=lvaEdge",
                "Environment=\"MODE=a $b\"",
                "EnvironmentFile=/etc/containers/systemd/lvaedge.secrets.env",
            ][..],
        ),
        (
            Engine::Systemd,
            "lva-lvaedge.service",
            &[
                "ExecStart=/usr/bin/lva-edge module",
                "Restart=always",
                "User=lva",
                "Environment=\"LVA_BROKER=mqtt://127.0.0.1:1883\"",
                "NoNewPrivileges=yes",
            ][..],
        ),
    ] {
        let files = convert(&manifest(), engine);
        let text = content(&files, path);
        for line in lines {
            assert!(text.lines().any(|own| own == *line), "{path}: {line}\n{text}");
        }
        assert!(
            text.lines()
                .all(|line| line.is_empty() || line.starts_with('[') || line.contains('=')),
            "{text}"
        );
    }
    let files = convert(&manifest(), Engine::Systemd);
    assert!(
        files
            .notes
            .iter()
            .any(|(module, text)| module == "people" && text.contains("--to quadlet"))
    );
}

/// Published templates of both products.
fn templates() -> Vec<PathBuf> {
    let Some(data) = std::env::var_os("LVA_SHARED_DATA") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(data).join("samples")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.starts_with("deployment.") && name.ends_with(".json") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn published_templates_become_files_of_every_engine() {
    let templates = templates();
    if templates.is_empty() {
        eprintln!("SKIPPED: published deployment templates: set LVA_SHARED_DATA");
        return;
    }
    let variables = EnvironmentFile::new([
        ("VIDEO_OUTPUT_FOLDER_ON_DEVICE", "/var/media"),
        ("APPDATA_FOLDER_ON_DEVICE", "/var/lib/data"),
        ("VIDEO_INPUT_FOLDER_ON_DEVICE", "/in"),
        ("INPUT_VIDEO_FOLDER_ON_DEVICE", "/in"),
        ("OUTPUT_VIDEO_FOLDER_ON_DEVICE", "/out"),
    ]);
    eprintln!("template: files and notes for kubernetes, compose, quadlet, systemd");
    for path in templates {
        let template = DeploymentTemplate::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let options = ManifestOptions::new("amd64").with_environment(variables.clone());
        let manifest = template.generate(options).manifest;
        let mut row = Vec::new();
        for engine in [
            Engine::Kubernetes,
            Engine::Compose,
            Engine::Quadlet,
            Engine::Systemd,
        ] {
            let files = convert(&manifest, engine);
            let modules = manifest
                .modules()
                .iter()
                .filter(|module| !module.is_system)
                .count();
            for file in files.files.iter().filter(|file| file.path.ends_with(".yaml")) {
                let parsed: Result<Value, _> = serde_saphyr::from_str(&file.content);
                assert!(parsed.is_ok(), "{}: {}: {parsed:?}", path.display(), file.path);
            }
            if engine == Engine::Kubernetes {
                let containers = yaml(&files, "deployment.yaml")["spec"]["template"]["spec"]["containers"]
                    .as_array()
                    .unwrap()
                    .len();
                assert_eq!(containers, modules + 1, "{}", path.display());
            }
            row.push(format!("{}/{}", files.files.len(), files.notes.len()));
        }
        eprintln!(
            "{}: {}",
            path.file_name().unwrap().to_string_lossy(),
            row.join(" ")
        );
    }
}
