//! Deployment manifests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lva_graph_model::deployment::{
    AppSettings, CREATE_OPTIONS_PART, DeploymentTemplate, EnvironmentFile, GeneratedManifest, Manifest,
    ManifestOptions, ModuleFile, ModuleSource, manifest_file_name,
};
use lva_graph_model::{DiagnosticCode, DocumentError, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::shared_data;

/// A template with everything that a template can have, and the manifest that it gives.
const TEMPLATE: &str = include_str!("deployment/deployment.street.template.json");
const EXPECTED: &str = include_str!("deployment/deployment.street.amd64.json");
const ENVIRONMENT: &str = include_str!("deployment/street.env");
const MODULE: &str = include_str!("deployment/modules/counter/module.json");

fn options(environment: &str) -> ManifestOptions {
    let environment = EnvironmentFile::from_slice(environment.as_bytes()).unwrap();
    let module = ModuleFile::from_slice(MODULE.as_bytes()).unwrap();
    ManifestOptions::new("amd64")
        .with_environment(environment)
        .with_module(ModuleSource::Name("counter".into()), module.clone())
        .with_module(ModuleSource::Directory("../other".into()), module)
}

fn generate(template: &Value, environment: &str) -> GeneratedManifest {
    let template = DeploymentTemplate::from_slice(template.to_string().as_bytes()).unwrap();
    template.generate(options(environment))
}

/// The smallest manifest, with these settings for a module and this route.
fn small(settings: Value, route: &str) -> Value {
    json!({
        "$schema-template": "2.0.0",
        "modulesContent": {
            "$edgeAgent": {"properties.desired": {"modules": {"a": {"settings": settings}}}},
            "$edgeHub": {"properties.desired": {"routes": {"r": route}}},
        },
    })
}

const SETTINGS: &str = "/modulesContent/$edgeAgent/properties.desired/modules/a/settings";

fn found(generated: &GeneratedManifest) -> Vec<(Severity, DiagnosticCode, &str)> {
    let findings = generated.findings.iter();
    findings
        .map(|f| (f.severity, f.code, f.pointer.as_str()))
        .collect()
}

#[test]
fn the_template_beside_this_file_gives_the_manifest_beside_it() {
    let template = DeploymentTemplate::from_slice(TEMPLATE.as_bytes()).unwrap();
    let wanted: Vec<String> = template.modules().iter().map(ModuleSource::path).collect();
    assert_eq!(wanted, ["modules/counter/module.json", "../other/module.json"]);
    let generated = template.generate(options(ENVIRONMENT));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deployment/deployment.street.amd64.json");
        std::fs::write(path, generated.manifest.to_json() + "\n").unwrap();
    }
    // As text: the members are in the template's order.
    assert_eq!(generated.manifest.to_json() + "\n", EXPECTED);
    assert_eq!(
        found(&generated),
        [(
            Severity::Hint,
            DiagnosticCode::VariableAlias,
            "/modulesContent/$edgeAgent/properties.desired/modules/camera/settings/createOptions"
        )]
    );
    assert!(!format!("{generated:?}").contains("not-a-secret"));
    assert_eq!(
        manifest_file_name("deployment.street.template.json", "amd64").as_deref(),
        Some("deployment.street.amd64.json")
    );
    assert_eq!(manifest_file_name("template.json", "amd64"), None);
}

#[test]
fn no_value_can_break_the_json_around_it() {
    let evil = r#"a"b\c$OTHER_ONE"#;
    let environment = EnvironmentFile::new([("EVIL", evil), ("OTHER_ONE", "never")]);
    let template = json!({"modulesContent": {
        "$edgeAgent": {"properties.desired": {"modules": {"a": {
            "settings": {
                "image": "i",
                "createOptions": "{\"HostConfig\": {\"Binds\": [\"$EVIL:/x\"]}}",
            },
            "env": {"CONFIG": {"value": "{ \"path\": \"${EVIL}\", \"n\": 1.50 }"}, "PLAIN": {"value": "<$EVIL>"}},
        }}}},
        "$edgeHub": {"properties.desired": {"$EVIL": 1}},
    }});
    let template = DeploymentTemplate::from_slice(template.to_string().as_bytes()).unwrap();
    let generated = template.generate(ManifestOptions::new("amd64").with_environment(environment));
    let value = generated.manifest.to_value();
    let module = &value["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["a"];
    let inner = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    assert_eq!(
        inner(&module["settings"]["createOptions"])["HostConfig"]["Binds"][0],
        format!("{evil}:/x")
    );
    assert_eq!(inner(&module["env"]["CONFIG"]["value"])["path"], evil);
    assert_eq!(module["env"]["PLAIN"]["value"], format!("<{evil}>"));
    assert_eq!(value["modulesContent"]["$edgeHub"]["properties.desired"][evil], 1);
}

#[test]
fn what_is_missing_stays_as_written_and_is_said() {
    let settings = json!({"image": "${MODULES.absent}", "createOptions": {"Binds": ["$NOT_SET:/a", "${EMPTY_ONE}:/b", "$NOT_SET"]}});
    let generated = generate(
        &small(settings, "FROM /messages/* INTO $upstream"),
        "EMPTY_ONE=\"\"\n",
    );
    let value = generated.manifest.to_value();
    assert_eq!(
        value.pointer(&format!("{SETTINGS}/image")).unwrap(),
        "${MODULES.absent}"
    );
    let options = value.pointer(&format!("{SETTINGS}/createOptions")).unwrap();
    assert_eq!(
        options,
        r#"{"Binds":["$NOT_SET:/a","${EMPTY_ONE}:/b","$NOT_SET"]}"#
    );
    let at = format!("{SETTINGS}/createOptions");
    let image = format!("{SETTINGS}/image");
    assert_eq!(
        found(&generated),
        [
            (Severity::Warning, DiagnosticCode::VariableUnset, at.as_str()),
            (Severity::Warning, DiagnosticCode::VariableUnset, at.as_str()),
            (Severity::Warning, DiagnosticCode::ModuleUnknown, image.as_str()),
        ]
    );
    assert!(generated.findings[0].message.contains("'$EMPTY_ONE' is empty"));
    assert!(generated.findings[1].message.contains("(2 places)"));
}

#[test]
fn images_are_found_for_each_platform() {
    let image = |written: &str| {
        let generated = generate(&small(json!({"image": written}), ""), "REGISTRY_NAME=reg\n");
        let value = generated.manifest.to_value();
        value
            .pointer(&format!("{SETTINGS}/image"))
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    for (written, name) in [
        ("${MODULES.counter}", "reg.example.org/counter:0.0.1-amd64"),
        ("${MODULES.counter.amd64}", "reg.example.org/counter:0.0.1-amd64"),
        (
            "${MODULES.counter.debug}",
            "reg.example.org/counter:0.0.1-amd64.debug",
        ),
        (
            "${MODULES.counter.amd64.debug}",
            "reg.example.org/counter:0.0.1-amd64.debug",
        ),
        ("${MODULES.counter.arm32v7}", "${MODULES.counter.arm32v7}"),
        ("${MODULEDIR<../other>}", "reg.example.org/counter:0.0.1-amd64"),
        (
            "${MODULEDIR<../other>.debug}",
            "reg.example.org/counter:0.0.1-amd64.debug",
        ),
        ("$edgeAgent $upstream", "$edgeAgent $upstream"),
    ] {
        assert_eq!(image(written), name, "{written}");
    }
}

#[test]
fn long_options_are_cut_and_put_together_again() {
    let long = "ä".repeat(1_200);
    let generated = generate(
        &small(json!({"image": "i", "createOptions": {"Cmd": [long]}}), ""),
        "",
    );
    let settings = generated
        .manifest
        .to_value()
        .pointer(SETTINGS)
        .unwrap()
        .as_object()
        .unwrap();
    let names: Vec<&String> = settings.keys().collect();
    assert_eq!(
        names,
        ["image", "createOptions", "createOptions01", "createOptions02"]
    );
    let parts = settings
        .values()
        .skip(1)
        .map(|part| part.as_str().unwrap().chars().count());
    assert!(parts.clone().all(|length| length <= CREATE_OPTIONS_PART));
    assert_eq!(parts.sum::<usize>(), 1_200 + r#"{"Cmd":[""]}"#.len());
    let modules = generated.manifest.modules();
    let options: Value = serde_json::from_str(&modules[0].create_options).unwrap();
    assert_eq!(options, json!({"Cmd": [long]}));
    assert_eq!(found(&generated), []);
}

/// Every code that documents about deployments can give, where its mistake is.
#[test]
fn every_mistake_is_found_where_it_is() {
    let mut seen = BTreeSet::new();
    let fine = json!({"image": "i", "createOptions": ""});
    let options = format!("{SETTINGS}/createOptions");
    for (settings, route, environment, code, at) in [
        (
            json!({"image": "$NOT_SET"}),
            "",
            "",
            DiagnosticCode::VariableUnset,
            format!("{SETTINGS}/image"),
        ),
        (
            json!({"image": "$VIDEO_INPUT_FOLDER_ON_DEVICE"}),
            "",
            "INPUT_VIDEO_FOLDER_ON_DEVICE=/in",
            DiagnosticCode::VariableAlias,
            format!("{SETTINGS}/image"),
        ),
        (
            fine.clone(),
            "FROM /messages/modules/b/outputs/* INTO $upstream",
            "",
            DiagnosticCode::ModuleUnknown,
            "/modulesContent/$edgeHub/properties.desired/routes/r".to_owned(),
        ),
        (
            json!({"image": "i", "createOptions": "{"}),
            "",
            "",
            DiagnosticCode::CreateOptionsInvalid,
            options.clone(),
        ),
        (
            json!({"image": "i", "createOptions": 7}),
            "",
            "",
            DiagnosticCode::WrongType,
            options,
        ),
        (
            json!({"createOptions": ""}),
            "",
            "",
            DiagnosticCode::MemberMissing,
            SETTINGS.to_owned(),
        ),
    ] {
        let generated = generate(&small(settings, route), environment);
        let hit = generated
            .findings
            .iter()
            .find(|f| f.code == code && f.pointer == at);
        assert!(hit.is_some(), "no {code} at {at} among {:#?}", generated.findings);
        seen.insert(code);
    }
    for (environment, code, at) in [
        ("A=”x”", DiagnosticCode::TypographicQuote, "/A"),
        ("A=1\n#\nA=2", DiagnosticCode::VariableDuplicate, "/A"),
        (
            "VIDEO_INPUT_FOLDER_ON_DEVICE=/a\nINPUT_VIDEO_FOLDER_ON_DEVICE=/b",
            DiagnosticCode::VariableAlias,
            "/INPUT_VIDEO_FOLDER_ON_DEVICE",
        ),
        ("\n\nnonsense", DiagnosticCode::InvalidValue, "/3"),
        ("A B=1", DiagnosticCode::InvalidName, "/1"),
        ("A=\"open", DiagnosticCode::InvalidValue, "/A"),
    ] {
        let read = EnvironmentFile::from_slice(environment.as_bytes()).unwrap();
        let hit = read.findings().iter().find(|f| f.code == code && f.pointer == at);
        assert!(hit.is_some(), "no {code} at {at} among {:#?}", read.findings());
        seen.insert(code);
    }
    for code in crate::diagnostics::OF_DEPLOYMENTS {
        assert!(seen.contains(&code), "no case for {code}");
    }
}

#[test]
fn values_are_read_as_the_documents_write_them() {
    let text = "\u{feff}# comment\r\nA=\"one\"  \r\nexport B = 'two # three' # four\r\nC=plain\r\nD=\"x\\ny\"\r\nE=\r\n\
                F=a=b;c=d\r\nG=\"{\"k\": 1}\"";
    let read = EnvironmentFile::from_slice(text.as_bytes()).unwrap();
    let value = |name| read.value(name).map(|value| value.expose().to_owned());
    for (name, expected) in [
        ("A", "one"),
        ("B", "two # three"),
        ("C", "plain"),
        ("D", "x\ny"),
        ("E", ""),
        ("F", "a=b;c=d"),
        ("G", "{\"k\": 1}"),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(read.findings(), []);
    assert!(!format!("{read:?}").contains("two"));
    assert!(matches!(
        EnvironmentFile::from_slice(b"A=\xff"),
        Err(DocumentError::NotUtf8 { .. })
    ));
}

#[test]
fn files_that_are_none_say_what_they_lack() {
    let module = |text: &str| ModuleFile::from_slice(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(module("{}"), "a module file has no 'image': add it");
    assert_eq!(
        module(r#"{"image": {"repository": "r", "tag": {"version": [], "platforms": {}}}}"#),
        "'version' of a module file is an array, but must be a string"
    );
    let settings = |text: &str| AppSettings::from_slice(text.as_bytes());
    assert_eq!(
        settings("{}").unwrap_err().to_string(),
        "a settings file has no 'IoThubConnectionString': add it"
    );
    let text = r#"{"iothubconnectionstring": "HostName=h.example.org;SharedAccessKey=a=b", "deviceId": "d", "moduleId": "m"}"#;
    let read = settings(text).unwrap();
    assert_eq!(
        (
            read.connection_part("hostname"),
            read.connection_part("SharedAccessKey")
        ),
        (Some("h.example.org"), Some("a=b"))
    );
    assert!(!format!("{read:?}").contains("a=b"));
    assert!(DeploymentTemplate::from_slice(b"[]").is_err() && Manifest::from_slice(b"7").is_err());
}

/// The published templates with the composed variables.
#[test]
fn every_published_template_generates_or_skips() {
    let Some(samples) = shared_data("samples") else {
        return;
    };
    let mut templates: Vec<PathBuf> = ["lva-csharp/edge", "ava-csharp/edge"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(samples.join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".template.json"))
        .collect();
    templates.extend(
        [
            "lva/edge/setup/deployment.template.json",
            "lva/notebooks/common/deployment.common.template.json",
            "lva/rocket/notebooks/deployment.lvaedge_rocketserver_rtspsim.template.json",
            "ava/deployment.deepstream.template.json",
            "ava/general-sample-setup.modules.json",
        ]
        .map(|file| samples.join(file)),
    );
    assert_eq!(templates.len(), 23);
    for path in templates {
        let file = path
            .strip_prefix(&samples)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let environment = if file.starts_with("ava") {
            "composed/ava.env"
        } else {
            "composed/lva.env"
        };
        let environment =
            EnvironmentFile::from_slice(&std::fs::read(samples.join(environment)).unwrap()).unwrap();
        assert_eq!(environment.findings(), []);
        let template = DeploymentTemplate::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut options = ManifestOptions::new("amd64").with_environment(environment);
        for source in template.modules() {
            let module = std::fs::read(path.parent().unwrap().join(source.path())).unwrap();
            options = options.with_module(source, ModuleFile::from_slice(&module).unwrap());
        }
        let GeneratedManifest { manifest, findings } = template.generate(options);
        let unexpected: Vec<String> = findings
            .iter()
            // Two of the samples have variables of their own.
            .filter(|f| {
                !(f.code == DiagnosticCode::VariableUnset
                    && (f.message.contains("$ROCKET_") || f.message.contains("$CONTAINER_IMAGE_NAME")))
            })
            .map(ToString::to_string)
            .collect();
        assert!(unexpected.is_empty(), "{file}: {unexpected:#?}");
        assert!(manifest.to_value().get("$schema-template").is_none(), "{file}");
        let modules = manifest.modules();
        assert!(modules.len() >= 4, "{file}: {modules:?}");
        for module in &modules {
            let options = &module.create_options;
            assert!(
                options.is_empty() || serde_json::from_str::<Value>(options).is_ok(),
                "{file}: {options}"
            );
            let image = module
                .image
                .as_deref()
                .unwrap_or("$")
                .replace("$CONTAINER_IMAGE_NAME", "");
            assert!(!image.contains('$'), "{file}: {module:?}");
        }
        // A manifest is a template without variables: nothing happens to it any more.
        let again = DeploymentTemplate::from_slice(manifest.to_json().as_bytes()).unwrap();
        assert_eq!(
            again.generate(ManifestOptions::new("amd64")).manifest,
            manifest,
            "{file}"
        );
    }
}

#[test]
fn the_published_manifest_reads_and_its_options_survive_or_skips() {
    let path = "samples/lva/lva-edge-iot-central-gateway/setup/deployment.amd64.json";
    let Some(path) = shared_data(path) else { return };
    let bytes = std::fs::read(path).unwrap();
    let manifest = Manifest::from_slice(&bytes).unwrap();
    assert_eq!(manifest.validate(), []);
    let names: Vec<String> = manifest.modules().into_iter().map(|module| module.name).collect();
    assert_eq!(
        names,
        [
            "edgeAgent",
            "edgeHub",
            "LvaEdgeGatewayModule",
            "lvaYolov3",
            "lvaEdge"
        ]
    );
    assert_eq!(manifest.routes().len(), 5);
    let again = Manifest::from_slice(manifest.to_json().as_bytes()).unwrap();
    assert_eq!(again, manifest);
    let texts = |manifest: &Manifest| -> Vec<String> {
        let modules = manifest.modules().into_iter();
        modules.map(|module| module.create_options).collect()
    };
    assert_eq!(texts(&again), texts(&manifest));
    // Read as JSON, written compact, they are the same texts: this is the form that they have.
    for text in texts(&manifest).into_iter().filter(|text| !text.is_empty()) {
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap().to_string(), text);
    }
}

#[test]
fn the_composed_settings_read_or_skips() {
    for (file, module) in [("lva", "lvaEdge"), ("ava", "avaedge")] {
        let path = format!("samples/composed/appsettings.{file}.json");
        let Some(path) = shared_data(&path) else { return };
        let settings = AppSettings::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(settings.module_id, module);
        assert_eq!(
            settings.connection_part("HostName"),
            Some("sample.azure-devices.net")
        );
    }
}

proptest! {
    #[test]
    fn any_value_stays_one_text(value in "\\PC{1,40}", before in "[a-z\"\\\\ ]{0,5}") {
        let environment = EnvironmentFile::new([("ANY_VALUE", value.as_str())]);
        let template = small(json!({"image": format!("{before}$ANY_VALUE"), "createOptions": {"a": "${ANY_VALUE}"}}), "");
        let template = DeploymentTemplate::from_slice(template.to_string().as_bytes()).unwrap();
        let generated = template.generate(ManifestOptions::new("amd64").with_environment(environment));
        let module = &generated.manifest.modules()[0];
        prop_assert_eq!(module.image.clone().unwrap(), format!("{before}{value}"));
        let options: Value = serde_json::from_str(&module.create_options).unwrap();
        prop_assert_eq!(options, json!({"a": value}));
    }

    #[test]
    fn any_lines_are_read_or_reported(text in "([A-Z =\"'#\u{201d}\\\\]{0,12}\n){0,6}") {
        let read = EnvironmentFile::from_slice(text.as_bytes()).unwrap();
        prop_assert!(read.names().all(|name| !name.is_empty()));
    }
}

#[test]
fn deployments_as_tools_return_them_are_manifests() {
    let modules = json!({
        "$edgeAgent": {"properties.desired": {"modules": {"a": {"settings": {"image": "i", "createOptions": "{}"}}}}},
        "$edgeHub": {"properties.desired": {"routes": {}}},
    });
    let nested = json!({
        "$edgeAgent": {"properties": {"desired": modules["$edgeAgent"]["properties.desired"]}},
        "$edgeHub": {"properties": {"desired": modules["$edgeHub"]["properties.desired"]}},
    });
    let plain = json!({"modulesContent": modules});
    for document in [
        json!({"id": "x", "content": plain, "targetCondition": ""}),
        modules.clone(),
        json!({"modulesContent": nested}),
        json!({"status": 200, "payload": plain}),
        json!([{"deployment": plain}]),
        json!({"modulesContent": modules.to_string()}),
    ] {
        let template = DeploymentTemplate::from_slice(document.to_string().as_bytes()).unwrap();
        let made = template.generate(ManifestOptions::new("amd64"));
        assert_eq!(made.manifest.to_value(), &plain, "{document}");
        let worst = made.findings.iter().map(|found| found.severity).max();
        assert_eq!(worst, Some(Severity::Info), "{:?}", made.findings);
    }
    for (document, found) in [
        (
            crate::support::plaza(),
            "this is a topology, not a deployment template",
        ),
        (json!({"properties": {"desired": {}}}), "this is a module twin"),
        (json!({"operations": []}), "this is an operations file"),
    ] {
        let error = DeploymentTemplate::from_slice(document.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(found), "{error}");
    }
}
