//! `infer_cfg.yml`, which PaddleDetection writes beside a model: its normalisation and its classes.
//!
//! A list of steps, each of simple values and lists; only these forms occur, so a reader of YAML is not needed.

use std::path::Path;

use super::names::{Names, read};
use crate::preprocess::InputSpec;

/// The contents of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PaddleConfig {
    labels: Vec<String>,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// Whether pixels are brought to 0..=1 first.
    unscaled: bool,
    normalises: bool,
}

impl PaddleConfig {
    /// The file beside a model.
    pub(super) fn beside(model: &Path) -> Option<Self> {
        let text = read(&model.with_file_name("infer_cfg.yml"))?;
        Some(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut config = Self::default();
        let mut list = String::new();
        for line in text.lines() {
            let line = line.trim();
            let item = line.strip_prefix("- ");
            let entry = item.unwrap_or(line);
            match entry.split_once(':') {
                // `key: value`, or `key:` in front of a list; a step begins with a dash.
                Some((key, value)) if item.is_none() || !list.starts_with("label") => {
                    key.trim().clone_into(&mut list);
                    config.entry(&list, value.trim());
                }
                _ => {
                    if let Some(item) = item {
                        config.item(&list, item.trim());
                    }
                }
            }
        }
        config
    }

    fn entry(&mut self, key: &str, value: &str) {
        match (key, value) {
            ("is_scale", "false" | "False") => self.unscaled = true,
            ("type", "NormalizeImage") => self.normalises = true,
            // `[0.485, 0.456, 0.406]`
            ("mean" | "std" | "label_list", value) if value.starts_with('[') => {
                let inner = value.trim_matches(['[', ']']);
                inner.split(',').for_each(|item| self.item(key, item.trim()));
            }
            _ => {}
        }
    }

    fn item(&mut self, key: &str, item: &str) {
        let item = item.trim_matches(['\'', '"']);
        match key {
            "label_list" => self.labels.push(item.to_owned()),
            "mean" => self.mean.extend(item.parse::<f32>()),
            "std" => self.deviation.extend(item.parse::<f32>()),
            _ => {}
        }
    }

    pub(super) fn names(&self) -> Option<Names> {
        (!self.labels.is_empty()).then(|| Names {
            names: self.labels.clone(),
            from: "named in infer_cfg.yml".to_owned(),
        })
    }

    /// Replaces the family's normalisation.
    pub(super) fn apply(&self, input: &mut InputSpec) {
        if !self.normalises {
            return;
        }
        let three = |values: &[f32]| <[f32; 3]>::try_from(values).ok();
        input.scale = if self.unscaled { 1.0 } else { 1.0 / 255.0 };
        input.mean = three(&self.mean).unwrap_or([0.0; 3]);
        input.deviation = three(&self.deviation).unwrap_or([1.0; 3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_labels() {
        let text = "mode: paddle\nPreprocess:\n- interp: 2\n  keep_ratio: false\n  target_size:\n  - 640\n  - 640\n  type: Resize\n\
                    - is_scale: true\n  mean:\n  - 0.5\n  - 0.25\n  - 0.125\n  std:\n  - 2.0\n  - 1.0\n  - 1.0\n  type: NormalizeImage\n\
                    - type: Permute\nlabel_list:\n- person\n- 'car: red'\nNMS:\n  keep_top_k: 100\n";
        let config = PaddleConfig::parse(text);
        assert_eq!(config.labels, ["person", "car: red"]);
        let mut input = InputSpec::new(640, 640);
        config.apply(&mut input);
        assert_eq!(
            (input.mean, input.deviation),
            ([0.5, 0.25, 0.125], [2.0, 1.0, 1.0])
        );
        assert_eq!(input.scale, 1.0 / 255.0);
        let inline = PaddleConfig::parse(
            "- mean: [0, 0, 0]\n  std: [1, 1, 1]\n  is_scale: false\n  type: NormalizeImage\n",
        );
        inline.apply(&mut input);
        assert_eq!(
            (input.scale, input.mean, input.deviation),
            (1.0, [0.0; 3], [1.0; 3])
        );
    }
}
