/// The embedded model: ONNX, about 0.8 MB, to be loaded with
/// [`ModelSpec::plaza_person`](crate::ModelSpec::plaza_person) by any backend.
///
/// It detects the drawn people of this project's sample world, which it was trained on, so that demos and tests
/// work without a download. **A real camera needs a model trained on real people**, such as one trained on COCO.
/// Its card, figures and training are in the directories `models` and `training` of this crate.
pub static PLAZA_PERSON_ONNX: &[u8] = include_bytes!("../models/plaza-person.onnx");
