//! The nodes' own configurations, as far as they mean something here.

use lva_zones::{ConfigFinding, Ground, PROCESSED_WIDTH, PinholeCamera, StationaryOptions};
use serde_json::{Map, Value};

use super::{find, take};

type Object = Map<String, Value>;

/// What the nodes are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    pub(super) stationary: Option<StationaryOptions>,
    pub(super) calibrates: bool,
    camera: Option<Camera>,
}

/// A camera whose picture is as wide as thresholds are counted.
#[derive(Debug, Clone, Copy)]
struct Camera {
    height_ft: f64,
    focal_px: f64,
    tilt_rad: f64,
}

impl Nodes {
    /// Takes the nodes' members out of a configuration.
    pub(super) fn take(members: &mut Object, findings: &mut Vec<ConfigFinding>) -> Self {
        let mut nodes = Self {
            calibrates: true,
            ..Self::default()
        };
        for name in ["TRACKER_NODE_CONFIG", "trackerNodeConfiguration"] {
            if let Some(config) = object(members, name, findings) {
                nodes.tracker(
                    name,
                    &config,
                    "remove_stationary_objects",
                    "stationary_objects_",
                    findings,
                );
            }
        }
        let name = "STATIONARY_TARGET_REMOVER_CONFIG";
        if let Some(config) = object(members, name, findings) {
            nodes.tracker(name, &config, "enable", "", findings);
        }
        for name in [
            "CAMERACALIBRATOR_NODE_CONFIG",
            "cameraCalibratorNodeConfiguration",
        ] {
            if let Some(config) = object(members, name, findings) {
                nodes.calibrates = truth(&config, "do_calibration").unwrap_or(true);
                if truth(&config, "enable_orientation") == Some(true) {
                    tell(
                        findings,
                        name,
                        "enable_orientation is not applied, which way people look is not known",
                    );
                }
            }
        }
        if object(members, "CALIBRATION_CONFIG", findings).is_some() {
            tell(
                findings,
                "CALIBRATION_CONFIG",
                "not applied, a camera is calibrated once and not checked again",
            );
        }
        for name in ["CAMERA_CONFIG", "cameraConfiguration"] {
            if let Some(config) = object(members, name, findings) {
                nodes.camera(name, &config, findings);
            }
        }
        nodes
    }

    fn tracker(
        &mut self,
        place: &str,
        config: &Object,
        switch: &str,
        prefix: &str,
        findings: &mut Vec<ConfigFinding>,
    ) {
        if truth(config, switch) != Some(true) {
            return;
        }
        let default = StationaryOptions::default();
        let number = |names: [String; 2], least: f64, most: f64| {
            let value = names.iter().find_map(|name| number(config, name))?;
            (least..=most).contains(&value).then_some(value)
        };
        let named = |name: &str| [format!("{prefix}{name}"), name.to_owned()];
        // One page writes the first with a hyphen.
        let pixels = number(named("dist_threshold_in_pixels"), 0.1, 640.0)
            .or_else(|| number(named("bbox_dist_threshold-in_pixels"), 0.1, 640.0));
        let seconds = number(named("buffer_length_in_seconds"), 1.0, 1e6);
        let ratio = number(named("filter_ratio"), 0.0, 1.0);
        self.stationary = Some(StationaryOptions {
            distance: pixels.map_or(default.distance, |pixels| pixels / PROCESSED_WIDTH),
            buffer_ms: seconds.map_or(default.buffer_ms, |seconds| (seconds * 1000.0) as u64),
            ratio: ratio.unwrap_or(default.ratio),
        });
        tell(findings, place, "things that do not move are left out");
    }

    fn camera(&mut self, place: &str, config: &Object, findings: &mut Vec<ConfigFinding>) {
        let list = match find(config, "cameras") {
            Some(Value::Array(list)) => &list[..],
            _ => &[],
        };
        let [Value::Object(camera)] = list else {
            let message = format!("{} cameras, of which one is needed; read over", list.len());
            tell(findings, place, &message);
            return;
        };
        let found = Camera {
            height_ft: number(camera, "camera_height").unwrap_or(f64::NAN),
            focal_px: number(camera, "camera_focal_length").unwrap_or(f64::NAN),
            tilt_rad: number(camera, "camera_tiltup_angle").unwrap_or(f64::NAN),
        };
        match Ground::pinhole(found.pinhole(16.0 / 9.0)) {
            Ok(_) => self.camera = Some(found),
            Err(error) => tell(findings, place, &format!("{error}; read over")),
        }
    }

    /// The ground under the camera, for frames of a shape.
    pub(super) fn ground(&self, aspect: f64) -> Option<Ground> {
        Ground::pinhole(self.camera?.pinhole(aspect)).ok()
    }
}

impl Camera {
    fn pinhole(self, aspect: f64) -> PinholeCamera {
        PinholeCamera {
            height_ft: self.height_ft,
            focal_px: self.focal_px,
            tilt_rad: self.tilt_rad,
            width_px: PROCESSED_WIDTH,
            height_px: PROCESSED_WIDTH / aspect,
        }
    }
}

fn tell(findings: &mut Vec<ConfigFinding>, place: &str, message: &str) {
    findings.push(ConfigFinding {
        place: place.to_owned(),
        message: message.to_owned(),
    });
}

/// A member that is an object, or the text of one.
fn object(members: &mut Object, name: &str, findings: &mut Vec<ConfigFinding>) -> Option<Object> {
    let value = match take(members, name)? {
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
        value => value,
    };
    match value {
        Value::Object(object) => Some(object),
        _ => {
            tell(findings, name, "no object and no text of one, read over");
            None
        }
    }
}

fn truth(object: &Object, name: &str) -> Option<bool> {
    match find(object, name)? {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

fn number(object: &Object, name: &str) -> Option<f64> {
    let number = match find(object, name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}
