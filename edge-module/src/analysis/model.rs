//! Flags that select a detector.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use lva_inference::{
    ChannelOrder, ClassSelector, Detector, Fit, KserveAddress, KserveAddressError, KserveDetector,
    KserveError, KserveOptions, ModelFamily, ModelFile, ModelFileError, ModelOverrides, PLAZA_PERSON_ONNX,
    Recognition, RecognitionError, ServedModel,
};
use lva_spatial_analysis::TrackerOptions;

use super::runtime::{RuntimeArgs, RuntimeArgsError};
use crate::flags::{parse_list, parse_score, parse_size, parse_three};

/// The model and its backend.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// ONNX file of a detector, or a model on a server of KServe's protocol (Triton, OpenVINO Model Server): grpc://HOST:PORT/NAME,
    /// grpcs:// over TLS. Default: the embedded model, which detects the people of the sample world.
    ///
    /// What it is (family, size, classes) is read from the file and logged at the start; the options below correct it.
    #[arg(long, value_name = "FILE|URL")]
    pub model: Option<ModelSource>,
    /// Family of the model, which defines its outputs: yolov8 (also 9 and 11), yolov5, yolov7, yolox, end-to-end, rt-detr,
    /// rf-detr, nanodet-plus, fastest-det and others; a wrong name lists all. Default: recognised.
    #[arg(long)]
    pub family: Option<ModelFamily>,
    /// Size of the model's input, where its file leaves it open.
    #[arg(long, value_parser = parse_size, value_name = "WIDTHxHEIGHT")]
    pub input: Option<(u32, u32)>,
    /// Order of colours in the input. Default: the family's.
    #[arg(long, value_enum, value_name = "ORDER")]
    pub channel_order: Option<ChannelOrderArg>,
    /// Factor of pixel values 0 to 255. Default: the family's.
    #[arg(long, value_name = "FACTOR")]
    pub pixel_scale: Option<f32>,
    /// Mean of each channel after scaling. Default: the family's.
    #[arg(long, value_parser = parse_three, value_name = "A,B,C")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel after scaling. Default: the family's.
    #[arg(long, value_parser = parse_three, value_name = "A,B,C")]
    pub deviation: Option<[f32; 3]>,
    /// How frames are fitted into the input. Default: the family's.
    #[arg(long, value_enum)]
    pub fit: Option<FitArg>,
    /// Grey value of the padding, 0 to 255. Default: the family's.
    #[arg(long, value_name = "GREY")]
    pub pad: Option<u8>,
    /// File with the names of the classes, one a line. Default: those in the model, in a file beside it, or of COCO.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Detect these classes only, by name or number: person,car. A server follows them where an operation names no classes.
    /// Default: people, if the model knows them, else all.
    #[arg(long, value_parser = parse_list, value_name = "CLASSES")]
    pub classes: Option<ClassList>,
    /// What runs it.
    #[command(flatten)]
    pub runtime: RuntimeArgs,
    /// Ignore detections below this score, 0 to 1. Default: the model's own threshold. Below 0.5 the tracker follows it:
    /// people are tracked from this score.
    #[arg(long, value_parser = parse_score)]
    pub score: Option<f32>,
    /// Of two boxes that overlap by more than this (intersection over union), keep the one with the higher score.
    /// Default: the model's own threshold.
    #[arg(long)]
    pub overlap: Option<f32>,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A file, run here.
    File(PathBuf),
    /// A model that a server runs.
    Server(KserveAddress),
}

impl FromStr for ModelSource {
    type Err = KserveAddressError;

    fn from_str(text: &str) -> Result<Self, KserveAddressError> {
        match text.split_once("://") {
            Some(("grpc" | "grpcs", _)) => text.parse().map(Self::Server),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// Words between commas.
type ClassList = Vec<String>;

impl Default for ModelArgs {
    /// The embedded model on the runtime that is there.
    fn default() -> Self {
        Self {
            model: None,
            family: None,
            input: None,
            channel_order: None,
            pixel_scale: None,
            mean: None,
            deviation: None,
            fit: None,
            pad: None,
            labels: None,
            classes: None,
            runtime: RuntimeArgs::default(),
            score: None,
            overlap: None,
        }
    }
}

/// Orders of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChannelOrderArg {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Ways to fit a frame into the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FitArg {
    /// Both sides are filled; the aspect ratio is lost.
    Stretch,
    /// The aspect ratio is kept, with padding on both sides.
    Letterbox,
    /// The aspect ratio is kept, with padding at the right or at the bottom.
    TopLeft,
}

/// Why a detector cannot be loaded; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelArgsError {
    /// The file of class names cannot be read.
    #[error("cannot read the class names in {}: {cause}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A family without an embedded model.
    #[error("--family {family} requires --model FILE: only person-grid is built in")]
    NoModel {
        /// The family.
        family: ModelFamily,
    },
    /// The file is not a usable model.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// What the model is cannot be found out.
    #[error("{model}: {cause}{}", hint(cause))]
    Recognition {
        /// The file's name, or the address.
        model: String,
        /// What was seen.
        cause: RecognitionError,
    },
    /// The model runs elsewhere.
    #[error(
        "--backend and --device are for models that run here, and the server of {address} has its own: leave them out"
    )]
    ServedElsewhere {
        /// The model.
        address: KserveAddress,
    },
    /// The server does not serve the model.
    #[error(transparent)]
    Server(#[from] KserveError),
    /// It cannot be run as the flags request.
    #[error(transparent)]
    Runtime(#[from] RuntimeArgsError),
}

/// How to name a family on the command line.
fn hint(cause: &RecognitionError) -> &'static str {
    match cause {
        RecognitionError::Unknown { .. } => " (--family NAME)",
        _ => "",
    }
}

/// A model that was read and recognised, and can be loaded.
#[derive(Debug)]
pub struct ChosenModel {
    source: Source,
    recognition: Recognition,
}

#[derive(Debug)]
enum Source {
    File(ModelFile),
    Server(ServedModel),
}

impl ChosenModel {
    /// What it is, and why.
    pub fn recognition(&self) -> &Recognition {
        &self.recognition
    }
}

impl ModelArgs {
    /// Whether the model is the embedded one.
    pub fn is_embedded(&self) -> bool {
        self.model.is_none()
    }

    /// Reads the model, or asks its server, and finds out what it is. Blocks.
    ///
    /// # Errors
    ///
    /// [`ModelArgsError`].
    pub fn choose(&self) -> Result<ChosenModel, ModelArgsError> {
        let overrides = self.overrides()?;
        let source = match (&self.model, self.family) {
            (Some(ModelSource::Server(address)), _) => {
                if !self.runtime.is_default() {
                    return Err(ModelArgsError::ServedElsewhere {
                        address: address.clone(),
                    });
                }
                Source::Server(ServedModel::connect(address.clone(), &KserveOptions::default())?)
            }
            (Some(ModelSource::File(path)), _) => Source::File(ModelFile::open(path)?),
            (None, None | Some(ModelFamily::PersonGrid)) => {
                Source::File(ModelFile::from_bytes(PLAZA_PERSON_ONNX)?.with_name("plaza-person"))
            }
            (None, Some(family)) => return Err(ModelArgsError::NoModel { family }),
        };
        let (recognition, model) = match &source {
            Source::File(file) => (file.recognise(&overrides), file.name()),
            Source::Server(served) => (served.recognise(&overrides), served.address().to_string()),
        };
        let recognition = recognition.map_err(|cause| ModelArgsError::Recognition { model, cause })?;
        Ok(ChosenModel { source, recognition })
    }

    fn overrides(&self) -> Result<ModelOverrides, ModelArgsError> {
        let class = |name: &String| match name.parse() {
            Ok(index) => ClassSelector::Index(index),
            Err(_) => ClassSelector::Name(name.clone()),
        };
        let mut overrides = ModelOverrides::default();
        overrides.family = self.family;
        overrides.size = self.input;
        overrides.channel_order = self.channel_order.map(|order| match order {
            ChannelOrderArg::Rgb => ChannelOrder::Rgb,
            ChannelOrderArg::Bgr => ChannelOrder::Bgr,
        });
        overrides.scale = self.pixel_scale;
        overrides.mean = self.mean;
        overrides.deviation = self.deviation;
        overrides.fit = self.fit.map(|fit| match fit {
            FitArg::Stretch => Fit::Stretch,
            FitArg::Letterbox => Fit::LetterboxCentered,
            FitArg::TopLeft => Fit::LetterboxTopLeft,
        });
        overrides.pad = self.pad;
        overrides.score_threshold = self.score;
        overrides.nms_threshold = self.overlap;
        overrides.classes_kept = self
            .classes
            .as_ref()
            .map(|names| names.iter().map(class).collect());
        overrides.classes_preferred = vec!["person".into()];
        if let Some(path) = &self.labels {
            let text = std::fs::read_to_string(path).map_err(|cause| ModelArgsError::Labels {
                path: path.clone(),
                cause,
            })?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            overrides.class_names = Some(lines.map(str::to_owned).collect());
        }
        Ok(overrides)
    }

    /// Loads the model. Blocks.
    ///
    /// # Errors
    ///
    /// [`ModelArgsError`].
    pub fn load(&self) -> Result<Box<dyn Detector>, ModelArgsError> {
        self.load_chosen(self.choose()?)
    }

    /// Loads a model that was chosen before. Blocks.
    ///
    /// # Errors
    ///
    /// [`ModelArgsError::Runtime`].
    pub fn load_chosen(&self, model: ChosenModel) -> Result<Box<dyn Detector>, ModelArgsError> {
        let spec = model
            .recognition
            .into_spec()
            .with_largest_batch(self.runtime.batch);
        match model.source {
            Source::File(file) => Ok(self.runtime.load(file, spec)?),
            Source::Server(served) => {
                let detector = KserveDetector::load(served, spec).map_err(RuntimeArgsError::from)?;
                Ok(Box::new(detector))
            }
        }
    }

    /// The tracker's options for its scores: where detections below the usual score for a new track are wanted, tracks begin
    /// with them.
    pub fn tracker(&self) -> TrackerOptions {
        let default = TrackerOptions::default();
        let lowest = self.score.unwrap_or(1.0);
        TrackerOptions {
            high_score: default.high_score.min(lowest),
            low_score: default.low_score.min(lowest),
            new_track_score: default.new_track_score.min(lowest),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use lva_inference::{LoadError, OnnxRuntimeError};

    use super::super::runtime::Backend;
    use super::*;

    fn error(change: impl FnOnce(&mut RuntimeArgs)) -> RuntimeArgsError {
        let mut args = ModelArgs::default();
        change(&mut args.runtime);
        match args.load() {
            Err(ModelArgsError::Runtime(error)) => error,
            Err(other) => panic!("{other:?}"),
            Ok(detector) => panic!("{}", detector.info()),
        }
    }

    #[test]
    fn by_itself_the_runtime_that_is_there_is_taken() {
        let detector = ModelArgs::default().load().unwrap();
        let runtime = &detector.info().runtime;
        match lva_inference::OrtOptions::default().load_library() {
            Ok(name) => assert_eq!(*runtime, name),
            Err(_) => assert_eq!(runtime, "rten"),
        }
    }

    #[test]
    fn a_library_that_was_named_is_not_given_up() {
        let missing = error(|runtime| runtime.library = Some("no/such/libonnxruntime.so".into()));
        let RuntimeArgsError::Load(LoadError::OnnxRuntime(OnnxRuntimeError::LibraryMissing { .. })) = missing
        else {
            panic!("{missing:?}")
        };
    }

    #[test]
    fn a_device_is_not_given_up() {
        let refused = error(|runtime| runtime.device = "cuda:63".parse().unwrap());
        let RuntimeArgsError::Load(LoadError::OnnxRuntime(_)) = refused else {
            panic!("{refused:?}")
        };
        let rten = error(|runtime| {
            runtime.device = "openvino".parse().unwrap();
            runtime.backend = Backend::Rten;
        });
        assert!(matches!(rten, RuntimeArgsError::RtenDevice { .. }), "{rten:?}");
    }

    #[test]
    fn a_model_on_a_server_has_an_address_and_nothing_of_here() {
        let model: ModelSource = "grpc://127.0.0.1:9/yolox".parse().unwrap();
        assert!(matches!(model, ModelSource::Server(_)));
        assert!("grpc://nowhere".parse::<ModelSource>().is_err());
        let file: ModelSource = "models/a.onnx".parse().unwrap();
        assert_eq!(file, ModelSource::File("models/a.onnx".into()));
        let mut args = ModelArgs {
            model: Some(model),
            ..ModelArgs::default()
        };
        args.runtime.device = "cuda".parse().unwrap();
        let refused = args.choose().unwrap_err();
        assert!(
            matches!(refused, ModelArgsError::ServedElsewhere { .. }),
            "{refused:?}"
        );
    }
}
