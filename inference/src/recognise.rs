//! From a model's file to its description: what can be known is read, what cannot is reported and can be overridden.

mod names;
mod paddle_config;
mod rules;

use std::fmt;
use std::path::Path;

use crate::letterbox::Fit;
use crate::model::class_names::usual;
use crate::model::image_input::{ImageElement, ImageInput, list};
use crate::model::{ClassSelector, InputError, MAX_INPUT_SIDE, ModelFamily, ModelSpec};
use crate::model_file::ModelFile;
use crate::onnx::ModelGraph;
use crate::preprocess::ChannelOrder;
use names::Names;
use paddle_config::PaddleConfig;
use rules::{Rule, nearest};

/// What the user knows better than the file. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelOverrides {
    /// The meaning of the outputs.
    pub family: Option<ModelFamily>,
    /// Width and height of the input in pixels, where the file leaves them open.
    pub size: Option<(u32, u32)>,
    /// Order of the colours.
    pub channel_order: Option<ChannelOrder>,
    /// Factor of a pixel value 0..=255.
    pub scale: Option<f32>,
    /// What is subtracted from each scaled channel.
    pub mean: Option<[f32; 3]>,
    /// What each channel is then divided by.
    pub deviation: Option<[f32; 3]>,
    /// How the frame is fitted in.
    pub fit: Option<Fit>,
    /// Grey value of the padding.
    pub pad: Option<u8>,
    /// Names of the classes, in the model's order.
    pub class_names: Option<Vec<String>>,
    /// Classes that are reported.
    pub classes_kept: Option<Vec<ClassSelector>>,
    /// Classes that are reported if the model has them and none are chosen; else all are.
    pub classes_preferred: Vec<ClassSelector>,
    /// Lowest score of a detection, 0..=1.
    pub score_threshold: Option<f32>,
    /// Threshold of non-maximum suppression, 0..=1.
    pub nms_threshold: Option<f32>,
    /// Most frames at once.
    pub largest_batch: Option<usize>,
}

/// What a file was recognised as, and why. Displayed as one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognition {
    spec: ModelSpec,
    input: String,
    reason: String,
    names_from: String,
    licence: Option<String>,
    notes: Vec<String>,
}

impl Recognition {
    /// The description of the model.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// As [`Recognition::spec`], by value.
    pub fn into_spec(self) -> ModelSpec {
        self.spec
    }

    /// The licence that the file states for itself.
    pub fn licence(&self) -> Option<&str> {
        self.licence.as_deref()
    }

    /// What the user should know: what cannot be read from a file and was assumed, and limits of runtimes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    #[cfg(feature = "kserve")]
    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

impl fmt::Display for Recognition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let (spec, classes) = (&self.spec, self.spec.class_names());
        write!(
            f,
            "{}: {}, input {} as {}",
            spec.name(),
            spec.family(),
            self.input,
            spec.input()
        )?;
        let shown: Vec<_> = classes.iter().take(SHOWN).map(String::as_str).collect();
        let more = if classes.len() > SHOWN { ", …" } else { "" };
        let plural = if classes.len() == 1 { "" } else { "es" };
        write!(
            f,
            "; {} class{plural} {} ({}{more})",
            classes.len(),
            self.names_from,
            shown.join(", ")
        )?;
        if let Some(kept) = &spec.classes_kept {
            let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
            write!(f, ", of which {}", kept.join(", "))?;
        }
        write!(
            f,
            "; score from {}, overlap {}",
            spec.score_threshold(),
            spec.nms_threshold()
        )?;
        let licence = self.licence.as_deref().unwrap_or("not stated in the file");
        write!(f, "; licence: {licence}; because {}", self.reason)
    }
}

/// Why a file cannot be described. The user has to name its family, or bring another file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecognitionError {
    /// The model does something else than detect.
    #[error("the model is for {task}, not for detection: export a detection model ({why})")]
    Task {
        /// What it does.
        task: String,
        /// How that is known.
        why: String,
    },
    /// No picture can be given to it.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Its outputs are heads that nothing in the file explains.
    #[error(
        "the model gives raw heads ({found}), whose anchors are not in the file: export it again with decoded boxes \
         (YOLOv7: --grid)"
    )]
    RawHeads {
        /// Its outputs.
        found: String,
    },
    /// It suits no family.
    #[error(
        "the model is not recognised: it has the input {input} and the outputs {outputs}; the nearest families are {}: \
         name one if it is right",
        list_families(nearest)
    )]
    Unknown {
        /// Its input.
        input: String,
        /// Its outputs.
        outputs: String,
        /// The three most alike families.
        nearest: [ModelFamily; 3],
    },
    /// It lacks the outputs of the family that was named.
    #[error("the model has the outputs {found}, but the family {family} has {}", family.signature())]
    Outputs {
        /// The family.
        family: ModelFamily,
        /// Its outputs.
        found: String,
    },
    /// The input's size was given, but the file fixes another.
    #[error("the model takes pictures of {}x{} pixels only: leave the size out, or export it for {}x{}", fixed.0, fixed.1, asked.0, asked.1)]
    Size {
        /// Width and height in the file.
        fixed: (u32, u32),
        /// Width and height as asked for.
        asked: (u32, u32),
    },
}

fn list_families(families: &[ModelFamily]) -> String {
    let each = |family: &ModelFamily| format!("{family} ({})", family.signature());
    families.iter().map(each).collect::<Vec<_>>().join(", ")
}

impl ModelFile {
    /// Finds out what the model is, from its graph, its metadata and files of class names beside it.
    ///
    /// # Errors
    ///
    /// [`RecognitionError`] reports what was seen, and what it may be.
    pub fn recognise(&self, overrides: &ModelOverrides) -> Result<Recognition, RecognitionError> {
        let described = Described {
            graph: self.graph(),
            path: self.path(),
            name: self.name(),
        };
        described.recognise(overrides)
    }
}

/// What is known of a model.
pub(crate) struct Described<'a> {
    pub(crate) graph: &'a ModelGraph,
    /// Its file, if it has one.
    pub(crate) path: Option<&'a Path>,
    pub(crate) name: String,
}

impl Described<'_> {
    pub(crate) fn recognise(&self, overrides: &ModelOverrides) -> Result<Recognition, RecognitionError> {
        let graph = self.graph;
        rules::check_task(graph)?;
        let image = ImageInput::find(graph)?;
        if let Some((width, height)) = overrides.size {
            let fixed = (image.width.unwrap_or(width), image.height.unwrap_or(height));
            if fixed != (width, height) {
                return Err(RecognitionError::Size {
                    fixed,
                    asked: (width, height),
                });
            }
        }
        let config = self.path.and_then(PaddleConfig::beside);
        let in_file = Names::in_metadata(graph);
        let size = self.size(&image, overrides);
        let names_in_file = in_file.as_ref().map(|names| names.names.len());
        let rule = match overrides.family {
            Some(family) => Rule {
                family,
                classes: rules::classes_of(family, graph),
                reason: "the family was given".to_owned(),
            },
            None => match rules::recognise(graph, &image, size, names_in_file) {
                Some(rule) => rule,
                None if rules::are_raw_heads(graph) => {
                    return Err(RecognitionError::RawHeads {
                        found: list(graph.outputs()),
                    });
                }
                None => {
                    return Err(RecognitionError::Unknown {
                        nearest: nearest(graph, &image),
                        input: image.described,
                        outputs: list(graph.outputs()),
                    });
                }
            },
        };
        let Rule {
            family,
            classes,
            reason,
        } = rule;
        if family.outputs(graph).is_none() {
            return Err(RecognitionError::Outputs {
                family,
                found: list(graph.outputs()),
            });
        }
        let (width, height) = size.unwrap_or_else(|| {
            let side = family.defaults().side;
            (image.width.unwrap_or(side), image.height.unwrap_or(side))
        });

        let mut notes = Vec::new();
        let mut spec = ModelSpec::of_family(family, self.name.as_str(), width, height);
        if family == ModelFamily::PersonGrid && (width, height) == (640, 384) {
            // The only published model of this head.
            spec = ModelSpec::plaza_person().with_name(self.name.as_str());
        }
        if image.element == ImageElement::Uint8 {
            spec.input.make_plain();
        } else if let Some(config) = &config {
            config.apply(&mut spec.input);
        } else {
            notes.extend(assumed(family).map(str::to_owned));
        }
        if graph.has_operator("NonMaxSuppression") && family != ModelFamily::EndToEnd {
            notes.push(
                "the graph suppresses boxes by itself, which rten does across classes: use ort where objects of several \
                 classes overlap"
                    .to_owned(),
            );
        }

        let given = overrides.class_names.clone().map(|names| Names {
            names,
            from: "as given".to_owned(),
        });
        let fits = |names: &Names| classes.is_none_or(|classes| classes == names.names.len());
        let in_config = || config.as_ref().and_then(PaddleConfig::names);
        let beside = || Names::beside(self.path?);
        let found = given
            .or_else(|| in_file.filter(fits))
            .or_else(|| in_config().filter(fits))
            .or_else(|| beside().filter(fits));
        let names = found.unwrap_or_else(|| {
            let names = usual(family, classes);
            let from = if classes.is_none() || names.len() > 1 {
                "usual for it"
            } else {
                "taken for people"
            };
            Names {
                names,
                from: from.to_owned(),
            }
        });
        let mut spec = spec.with_class_names(names.names);
        overrides.apply(&mut spec);
        Ok(Recognition {
            spec,
            input: image.described,
            reason,
            names_from: names.from,
            licence: graph
                .metadata("license")
                .or_else(|| graph.metadata("licence"))
                .map(str::to_owned),
            notes,
        })
    }

    /// Width and height where something states them.
    fn size(&self, image: &ImageInput, overrides: &ModelOverrides) -> Option<(u32, u32)> {
        if let Some(size) = overrides.size {
            return Some(size);
        }
        if let (Some(width), Some(height)) = (image.width, image.height) {
            return Some((width, height));
        }
        // `[height, width]`.
        let sides = self.graph.metadata("imgsz")?;
        let mut sides = sides
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|side| side.parse::<u32>().ok())
            .filter(|side| (1..=MAX_INPUT_SIDE).contains(side));
        let height = sides.next()?;
        let width = sides.next().unwrap_or(height);
        Some((image.width.unwrap_or(width), image.height.unwrap_or(height)))
    }
}

/// What a graph does not contain of a family's preprocessing, and how to correct it.
fn assumed(family: ModelFamily) -> Option<&'static str> {
    match family {
        ModelFamily::Paddle => Some(
            "PP-YOLOE's normalisation is assumed; PP-YOLOE+ has none (mean 0,0,0 and deviation 1,1,1), and infer_cfg.yml \
             beside the model has it",
        ),
        ModelFamily::PicoDetRaw => Some(
            "PP-PicoDet's order of colours and normalisation are assumed (RGB, ImageNet's); infer_cfg.yml beside the model has them",
        ),
        ModelFamily::YoloX | ModelFamily::YoloXDecoded => Some(
            "weights of YOLOX before 0.1.1 take RGB with ImageNet's mean and deviation: give order, scale, mean and deviation",
        ),
        _ => None,
    }
}

impl ModelOverrides {
    fn apply(&self, spec: &mut ModelSpec) {
        fn set<T: Clone>(to: &mut T, from: &Option<T>) {
            if let Some(value) = from {
                to.clone_from(value);
            }
        }
        let input = &mut spec.input;
        set(&mut input.order, &self.channel_order);
        set(&mut input.scale, &self.scale);
        set(&mut input.mean, &self.mean);
        set(&mut input.deviation, &self.deviation);
        set(&mut input.fit, &self.fit);
        set(&mut input.pad, &self.pad);
        set(&mut spec.score_threshold, &self.score_threshold);
        set(&mut spec.nms_threshold, &self.nms_threshold);
        set(&mut spec.largest_batch, &self.largest_batch);
        let has = |class: &ClassSelector| class.find(&spec.class_names).is_some();
        let preferred = &self.classes_preferred;
        if self.classes_kept.is_some() {
            spec.classes_kept.clone_from(&self.classes_kept);
        } else if !preferred.is_empty() && spec.class_names.len() > 1 && preferred.iter().all(has) {
            spec.classes_kept = Some(preferred.clone());
        }
    }
}

#[cfg(test)]
mod tests;
