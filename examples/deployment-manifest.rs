//! Generates a deployment manifest from a template, its variables and its modules.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;
use lva_examples::engines::{Engine, convert};
use lva_graph_model::deployment::{
    DeploymentTemplate, EnvironmentFile, ManifestOptions, ModuleFile, manifest_file_name,
};
use lva_graph_model::{Diagnostic, Severity};
use lva_media_types::clean_text;

/// Generate an IoT Edge deployment manifest from a deployment.template.json, without an editor or a network.
///
/// $NAME and ${NAME} are replaced by values of the --env file, only inside strings, so that no value can break the JSON;
/// ${MODULES.name} and ${MODULEDIR<path>} by the image that modules/name/module.json or path/module.json next to the
/// template describes; createOptions become strings, split every 512 characters. The environment of the process is not
/// used.
///
/// Warnings go to standard error: a variable without a value (it is left unchanged), a module without a file, a route to a
/// missing module. With errors, nothing is written and the exit status is 1.
///
/// The manifest contains the keys and passwords of the --env file: only its owner can read OUT.
///
/// With --to, the modules of the manifest become files of another engine, in the directory OUT. In edgeHub's place stands mosquitto;
/// what has no counterpart is told on standard error, with what to do about it:
///
///   kubernetes   one Deployment with a pod of all modules; kubectl apply -k DIR
///   compose      docker compose -f DIR/compose.yaml up
///   quadlet      units of podman, for /etc/containers/systemd
///   systemd      units that run lva-edge itself, without containers
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  deployment-manifest --env .env --platform amd64 deployment.template.json -o config/
  deployment-manifest --env street.env deployment.street.template.json > deployment.street.amd64.json
  deployment-manifest --env .env deployment.template.json --to kubernetes -o cluster/")]
struct Args {
    /// Values of variables: lines of NAME="value". Default: `.env` next to the template, if it exists.
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// Platform of the images, as module files name it: amd64, arm64v8, arm32v7.
    #[arg(long, default_value = "amd64")]
    platform: String,

    /// Write files of another engine instead of the manifest, into the directory OUT.
    #[arg(long, value_enum, value_name = "ENGINE", requires = "output")]
    to: Option<Engine>,

    /// Output: a file, or a directory, where the file is named after the template. Default: standard output.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// The template.
    template: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let directory = args.template.parent().unwrap_or(Path::new(""));
    let template = DeploymentTemplate::from_slice(&read(&args.template)?)
        .with_context(|| args.template.display().to_string())?;

    let adjacent = directory.join(".env");
    let env = args.env.clone().or_else(|| adjacent.exists().then_some(adjacent));
    let mut options = ManifestOptions::new(&args.platform);
    let mut errors = false;
    if let Some(path) = &env {
        let environment =
            EnvironmentFile::from_slice(&read(path)?).with_context(|| path.display().to_string())?;
        errors |= report(path, environment.findings());
        options = options.with_environment(environment);
    }
    for source in template.modules() {
        let path = directory.join(source.path());
        if path.exists() {
            let module = ModuleFile::from_slice(&read(&path)?).with_context(|| path.display().to_string())?;
            options = options.with_module(source, module);
        }
    }

    let generated = template.generate(options);
    errors |= report(&args.template, &generated.findings);
    if errors {
        return Ok(ExitCode::FAILURE);
    }
    if let (Some(engine), Some(directory)) = (args.to, &args.output) {
        let converted = convert(&generated.manifest, engine);
        for (module, note) in &converted.notes {
            eprintln!("{}: {}", clean_text(module, 100), clean_text(note, 1000));
        }
        for file in &converted.files {
            write(&directory.join(&file.path), &file.content, file.is_secret)?;
        }
        eprintln!("{} files in {}", converted.files.len(), directory.display());
        return Ok(ExitCode::SUCCESS);
    }
    let text = generated.manifest.to_json() + "\n";
    match &args.output {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(out) => write(&output_path(out, &args)?, &text, true)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Prints the findings, and returns whether one is an error.
fn report(path: &Path, findings: &[Diagnostic]) -> bool {
    for finding in findings {
        let Diagnostic {
            severity,
            code,
            pointer,
            message,
            ..
        } = finding;
        let pointer = clean_text(pointer, 500);
        eprintln!("{}: {severity} {code} at {pointer}: {message}", path.display());
    }
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The output file, named after the template in a directory.
fn output_path(out: &Path, args: &Args) -> anyhow::Result<PathBuf> {
    let is_directory = out.is_dir() || out.as_os_str().to_string_lossy().ends_with('/');
    if !is_directory {
        return Ok(out.to_owned());
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let name = args.template.file_name().unwrap_or_default().to_string_lossy();
    match manifest_file_name(&name, &args.platform) {
        Some(name) => Ok(out.join(name)),
        None => bail!(
            "'{name}' does not contain 'deployment', so the manifest cannot be named after it: give a file with -o"
        ),
    }
}

fn write(path: &Path, text: &str, is_secret: bool) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_secret { 0o600 } else { 0o644 });
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}
