//! Makes a deployment manifest of a template, its variables and its modules.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;
use lva_graph_model::deployment::{
    DeploymentTemplate, EnvironmentFile, ManifestOptions, ModuleFile, manifest_file_name,
};
use lva_graph_model::{Diagnostic, Severity};

/// Makes an IoT Edge deployment manifest of a deployment.template.json, without an editor and without a network.
///
/// $NAME and ${NAME} are replaced by values of the --env file, inside of texts only, so that no value can break the JSON;
/// ${MODULES.name} and ${MODULEDIR<folder>} by the image that modules/name/module.json or folder/module.json beside the
/// template describes; createOptions become texts, cut to 512 characters. Variables of the process do not count.
///
/// Warnings go to standard error: a variable without a value (it stays as it is written), a module without a file, a
/// route to a module that is not there. Ends with 1, and writes nothing, when there are errors.
///
/// The manifest holds the keys and passwords of the --env file: OUT is readable by its owner alone.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  deployment-manifest --env .env --platform amd64 deployment.template.json -o config/
  deployment-manifest --env street.env deployment.street.template.json > deployment.street.amd64.json")]
struct Args {
    /// Values of variables: lines of NAME="value". Without it, `.env` beside the template, if there is one.
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// Platform whose images are taken, as module files name it: amd64, arm64v8, arm32v7.
    #[arg(long, default_value = "amd64")]
    platform: String,

    /// Where to write: a file, or a folder in which it is named after the template. Standard output by default.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// The template.
    template: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let folder = args.template.parent().unwrap_or(Path::new(""));
    let template = DeploymentTemplate::from_slice(&read(&args.template)?)
        .with_context(|| args.template.display().to_string())?;

    let beside = folder.join(".env");
    let env = args.env.clone().or_else(|| beside.exists().then_some(beside));
    let mut options = ManifestOptions::new(&args.platform);
    let mut errors = false;
    if let Some(path) = &env {
        let environment =
            EnvironmentFile::from_slice(&read(path)?).with_context(|| path.display().to_string())?;
        errors |= say(path, environment.findings());
        options = options.with_environment(environment);
    }
    for source in template.modules() {
        let path = folder.join(source.path());
        if path.exists() {
            let module = ModuleFile::from_slice(&read(&path)?).with_context(|| path.display().to_string())?;
            options = options.with_module(source, module);
        }
    }

    let generated = template.generate(&options);
    errors |= say(&args.template, &generated.findings);
    if errors {
        return Ok(ExitCode::FAILURE);
    }
    let text = generated.manifest.to_json() + "\n";
    match &args.output {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(out) => write(&place(out, &args)?, &text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Whether there was an error among them.
fn say(path: &Path, findings: &[Diagnostic]) -> bool {
    for finding in findings {
        let Diagnostic {
            severity,
            code,
            pointer,
            message,
            ..
        } = finding;
        eprintln!("{}: {severity} {code} at {pointer}: {message}", path.display());
    }
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// A file, or one in a folder with the name that the template gives it.
fn place(out: &Path, args: &Args) -> anyhow::Result<PathBuf> {
    let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with('/');
    if !is_folder {
        return Ok(out.to_owned());
    }
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let name = args.template.file_name().unwrap_or_default().to_string_lossy();
    match manifest_file_name(&name, &args.platform) {
        Some(name) => Ok(out.join(name)),
        None => bail!(
            "'{name}' does not hold 'deployment', so its manifest has no name of its own: name a file with -o"
        ),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))
}
