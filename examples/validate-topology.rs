//! Says what is wrong with topologies, as a compiler would; or draws them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use lva_graph_model::{CustomNodeTypes, Diagram, FileReport, Instance, Strictness};

/// Says what is wrong with topologies of Live Video Analytics and Video Analyzer, or draws them.
///
/// For each file one line `FILE: ok`, or a line for each error with its place (a JSON pointer) and its remedy; warnings
/// follow. Ends with 0 only if no file has errors, so that a build can depend on it.
///
/// A topology alone is checked as far as its parameters have defaults. With --instance, the values of an instance are
/// filled in, and everything is checked that a module would check before it starts.
///
/// A JSON Schema for editors is in graph-model/schema/topology.schema.json.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  validate-topology topology.json
  validate-topology --instance instance.json --strict topology.json
  validate-topology --custom-type '#Example.CoveredCamera' examples/documents/custom-node.json
  validate-topology --format json */*.json | jq -r 'select(.ok|not).file'
  validate-topology --format mermaid topology.json > topology.mmd
  validate-topology --format dot topology.json | dot -Tsvg > topology.svg")]
struct Args {
    /// An instance whose values are filled in. It is checked with every FILE.
    #[arg(long, value_name = "FILE")]
    instance: Option<PathBuf>,

    /// Take quotas and placement rules of the retired product for errors, not for hints.
    #[arg(long)]
    strict: bool,

    /// Say hints too: what the retired product refused, parameters that nothing refers to. Text only; JSON has them.
    #[arg(long)]
    hints: bool,

    /// What to write: lines for people, one JSON object a file and line, or a picture as Mermaid or Graphviz DOT.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// A type of nodes that your program brings along, such as #Contoso.QueueLength. May be given several times.
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

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let instance = match &args.instance {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
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
        let report = match std::fs::read(path) {
            Ok(bytes) => FileReport::with_custom_types(
                file,
                &bytes,
                instance.as_ref(),
                strictness,
                custom_types.clone(),
            ),
            Err(error) => FileReport::unreadable(file, &error),
        };
        all_ok &= report.is_ok();
        let picture = report.topology.as_ref().map(Diagram::of);
        match args.format {
            Format::Text => write!(out, "{}", report.to_text(args.hints))?,
            Format::Json => writeln!(out, "{}", report.to_json())?,
            Format::Mermaid | Format::Dot => {
                if !report.is_ok() {
                    eprint!("{}", report.to_text(args.hints));
                }
                let picture = picture.map(|picture| match args.format {
                    Format::Dot => picture.to_dot(),
                    _ => picture.to_mermaid(),
                });
                write!(out, "{}", picture.unwrap_or_default())?;
            }
        }
    }
    Ok(if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
