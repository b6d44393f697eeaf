//! Validates topologies, or draws them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use lva_graph_model::report::FileReport;
use lva_graph_model::{
    CustomNodeTypes, Diagnostic, Diagram, DocumentError, Instance, Severity, Strictness, resolve,
};
use lva_graph_runtime::check_graph;

/// Validate topologies of Live Video Analytics and Video Analyzer, or draw them.
///
/// Prints one line `FILE: ok` per valid file, or a line for each error with its location (a JSON pointer) and its remedy,
/// followed by warnings. The exit status is 0 only if no file has errors, so that a build can depend on it.
///
/// A topology alone is validated as far as its parameters have defaults; a default that does not fit is a warning, because an
/// instance may set the parameter. With --instance, the values of the instance are used, and the checks are those of a module
/// before it activates the instance: what is ok here is activated.
///
/// A topology is also read in a method call, in its answer, in a wrapper with other documents, in a template of Azure Resource
/// Manager, with members as the Python packages write them, and with the spaces of translated pages. A line "info" reports how.
///
/// A JSON Schema for editors is in graph-model/schema/topology.schema.json.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  validate-topology topology.json
  validate-topology --instance instance.json --strict topology.json
  validate-topology --custom-type '#Example.Darkness' light.json
  validate-topology --format json */*.json | jq -r 'select(.ok|not).file'
  validate-topology --format mermaid topology.json > topology.mmd
  validate-topology --format dot topology.json | dot -Tsvg > topology.svg")]
struct Args {
    /// An instance with parameter values. It is used with every FILE.
    #[arg(long, value_name = "FILE")]
    instance: Option<PathBuf>,

    /// Report the retired product's quotas and placement rules as errors, not as hints.
    #[arg(long)]
    strict: bool,

    /// Also print hints: what the retired product rejected, and unused parameters. For text only; JSON includes them.
    #[arg(long)]
    hints: bool,

    /// Output: readable lines, one JSON object per file, or a diagram as Mermaid or Graphviz DOT.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Type of a custom node of your program, such as #Contoso.QueueLength. May be repeated.
    #[arg(long, value_name = "TYPE")]
    custom_type: Vec<String>,

    /// Topologies.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Mermaid,
    Dot,
}

/// What an activation would refuse beside the findings of the documents. Without an instance, the defaults decide; they hurt
/// no instance that sets the parameters.
fn refused_by_the_runtime(
    report: &FileReport,
    instance: Option<&Result<Instance, DocumentError>>,
    strictness: Strictness,
) -> Vec<Diagnostic> {
    let Some(topology) = report.topology.as_ref().filter(|_| report.is_ok()) else {
        return Vec::new();
    };
    let of_defaults = Instance::new("validate-topology", topology.name(), []);
    let given = instance.and_then(|instance| instance.as_ref().ok());
    let Ok(resolved) = resolve(topology, given.unwrap_or(&of_defaults), strictness) else {
        return Vec::new();
    };
    let mut refused = check_graph(&resolved.graph);
    if given.is_none() && !topology.parameters().is_empty() {
        for found in &mut refused {
            found.severity = Severity::Warning;
        }
    }
    refused
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let instance = match &args.instance {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(Instance::from_slice(&bytes))
        }
    };
    let strictness = if args.strict {
        Strictness::Compatible
    } else {
        Strictness::Open
    };
    let custom_types = CustomNodeTypes::new(args.custom_type)?;
    let mut all_ok = true;
    let mut out = std::io::stdout().lock();
    for path in &args.files {
        let file = path.display().to_string();
        let mut report = match std::fs::read(path) {
            Ok(bytes) => FileReport::with_custom_types(
                file,
                &bytes,
                instance.as_ref(),
                strictness,
                custom_types.clone(),
            ),
            Err(error) => FileReport::unreadable(file, &error),
        };
        report.add(refused_by_the_runtime(&report, instance.as_ref(), strictness));
        all_ok &= report.is_ok();
        let diagram = report.topology.as_ref().map(Diagram::of);
        match args.format {
            Format::Text => write!(out, "{}", report.to_text(args.hints))?,
            Format::Json => writeln!(out, "{}", report.to_json())?,
            Format::Mermaid | Format::Dot => {
                if !report.is_ok() {
                    eprint!("{}", report.to_text(args.hints));
                }
                let diagram = diagram.map(|diagram| match args.format {
                    Format::Dot => diagram.to_dot(),
                    _ => diagram.to_mermaid(),
                });
                write!(out, "{}", diagram.unwrap_or_default())?;
            }
        }
    }
    Ok(if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
