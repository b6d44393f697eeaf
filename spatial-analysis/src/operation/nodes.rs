//! The configurations of the container's nodes, as far as they have an effect here.

use lva_zones::StationaryOptions;
use lva_zones::ground::{Ground, PinholeCamera};
use serde_json::Value;

use super::PROCESSED_WIDTH;
use super::error::Finding;
use super::json::{self, Object, boolean, find, parse, take};

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NodeSettings {
    pub(super) stationary: Option<StationaryOptions>,
    pub(super) calibrates: bool,
    camera: Option<Camera>,
}

/// A camera whose picture is [`PROCESSED_WIDTH`] wide.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Camera {
    height_ft: f64,
    focal_px: f64,
    tilt_rad: f64,
}

impl NodeSettings {
    /// The nodes' members.
    pub(super) const MEMBERS: [&str; 7] = [
        "TRACKER_NODE_CONFIG",
        "trackerNodeConfiguration",
        "STATIONARY_TARGET_REMOVER_CONFIG",
        "CAMERACALIBRATOR_NODE_CONFIG",
        "CALIBRATION_CONFIG",
        "CAMERA_CONFIG",
        "cameraConfiguration",
    ];

    /// Removes the nodes' members from a configuration.
    pub(super) fn take(members: &mut Object, findings: &mut Vec<Finding>) -> Self {
        let mut nodes = Self {
            calibrates: true,
            ..Self::default()
        };
        for name in ["TRACKER_NODE_CONFIG", "trackerNodeConfiguration"] {
            if let Some(config) = object(members, name, findings) {
                let (switch, prefix) = ("remove_stationary_objects", "stationary_objects_");
                nodes.tracker(name, &config, switch, prefix, findings);
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
                nodes.calibrates = boolean(&config, "do_calibration").unwrap_or(true);
                if boolean(&config, "enable_orientation") == Some(true) {
                    let message = "enable_orientation is not applied, orientation is not detected";
                    findings.push(Finding::new(name, message));
                }
            }
        }
        if object(members, "CALIBRATION_CONFIG", findings).is_some() {
            let message = "not applied, a camera is calibrated once and not checked again";
            findings.push(Finding::new("CALIBRATION_CONFIG", message));
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
        findings: &mut Vec<Finding>,
    ) {
        if boolean(config, switch) != Some(true) {
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
        findings.push(Finding::new(place, "objects that do not move are removed"));
    }

    fn camera(&mut self, place: &str, config: &Object, findings: &mut Vec<Finding>) {
        let list = match find(config, "cameras") {
            Some(Value::Array(list)) => &list[..],
            _ => &[],
        };
        let [Value::Object(camera)] = list else {
            let message = format!("{} cameras where one is needed, ignored", list.len());
            findings.push(Finding::new(place, message));
            return;
        };
        let camera = Camera {
            height_ft: number(camera, "camera_height").unwrap_or(f64::NAN),
            focal_px: number(camera, "camera_focal_length").unwrap_or(f64::NAN),
            tilt_rad: number(camera, "camera_tiltup_angle").unwrap_or(f64::NAN),
        };
        match Ground::pinhole(camera.pinhole(16.0 / 9.0)) {
            Ok(_) => self.camera = Some(camera),
            Err(error) => findings.push(Finding::new(place, format!("{error}; ignored"))),
        }
    }

    /// The ground below the camera, for frames of a shape.
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

/// A member that is an object, or a string that holds one.
fn object(members: &mut Object, name: &str, findings: &mut Vec<Finding>) -> Option<Object> {
    let value = match take(members, name)? {
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) => parse(&text, findings).unwrap_or(Value::Null),
        value => value,
    };
    match value {
        Value::Object(object) => Some(object),
        _ => {
            let message = "neither an object nor a string that holds one, ignored";
            findings.push(Finding::new(name, message));
            None
        }
    }
}

fn number(object: &Object, name: &str) -> Option<f64> {
    json::number(find(object, name)?)
}
