//! The operations in force: those of the file and those of the twin, of which each stream finds its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lva_extension_protocol::GraphIdentity;
use lva_spatial_analysis::{NamedReading, NoOperation, Operation, OperationSource, StreamOperation};
use parking_lot::RwLock;

use super::operations::OperationSet;

/// The class that is followed where nothing names one.
const PERSON: &str = "person";

/// What a stream without a configuration of its own is analysed by.
///
/// The only operation there is serves every stream. Of several, a stream gets the one that is named as its graph instance, else as
/// its node. An operation has the names `GRAPH/INSTANCE` and `INSTANCE` where the twin has `instances`, and its
/// `VIDEO_SOURCE_ID`. Else a stream gets the file's operation without a name, where there is such. The twin's operation hides one
/// of the same name in the file. A stream may name a camera by sending `{"VIDEO_SOURCE_ID": …}` alone, and gets its operation.
#[derive(Debug)]
pub(super) struct LiveOperations {
    file: Vec<Named>,
    twin: RwLock<Vec<Named>>,
    revision: AtomicU64,
    /// Classes of operations that name none; none for people alone.
    default_classes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    of_streams: StreamOperation,
}

impl Named {
    fn new((name, operation): (String, Operation)) -> Self {
        Self {
            name,
            of_streams: StreamOperation::new(operation),
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn answers_to(&self, wanted: &str) -> bool {
        let last = self.name.rsplit('/').next().unwrap_or(&self.name);
        let mut names = [self.name.as_str(), last].into_iter().chain(self.source_id());
        !wanted.is_empty() && names.any(|name| name.eq_ignore_ascii_case(wanted))
    }

    fn source_id(&self) -> Option<&str> {
        self.of_streams.operation.source_id()
    }
}

/// What became of a graph of the twin.
#[derive(Debug, Clone)]
pub(super) struct GraphChange {
    pub(super) name: String,
    pub(super) outcome: GraphOutcome,
}

#[derive(Debug, Clone)]
pub(super) enum GraphOutcome {
    Created(Arc<Operation>),
    Changed(Arc<Operation>),
    Unchanged,
    /// It is wrong; the message names the remedy.
    Refused {
        message: String,
        /// Whether its last right form stays in force.
        is_kept: bool,
    },
    /// It is disabled, or not there any more.
    Removed,
}

impl LiveOperations {
    /// `default_classes`: those that operations follow which name none; none for people alone.
    pub(super) fn new(file: OperationSet, default_classes: Vec<String>) -> Self {
        let file = file.with_default_classes(&default_classes);
        Self {
            file: file.into_vec().into_iter().map(Named::new).collect(),
            default_classes,
            twin: RwLock::default(),
            revision: AtomicU64::new(0),
        }
    }

    /// Puts the graphs of a twin into force, instead of those of an earlier one. A wrong graph touches no other one: what it
    /// was before stays in force, if it was anything.
    pub(super) fn apply_twin(&self, graphs: Vec<NamedReading>) -> Vec<GraphChange> {
        let mut in_force = self.twin.write();
        let mut earlier = std::mem::take(&mut *in_force);
        let mut changes = Vec::new();
        let detected = self.classes_of_file();
        for (name, read) in graphs {
            let read = read
                .map_err(|error| error.to_string())
                .and_then(|operation| self.with_classes(operation, detected.as_deref()));
            let before = earlier.iter().position(|own| own.name == name);
            let before = before.map(|index| earlier.swap_remove(index));
            let (now, outcome) = outcome(&name, before, read);
            in_force.extend(now);
            changes.push(GraphChange { name, outcome });
        }
        // By name, as the graphs are.
        earlier.sort_by(|a, b| a.name.cmp(&b.name));
        changes.extend(earlier.into_iter().map(|gone| GraphChange {
            name: gone.name,
            outcome: GraphOutcome::Removed,
        }));
        drop(in_force);
        self.revision.fetch_add(1, Ordering::Release);
        changes
    }

    /// The operations of the file.
    pub(super) fn of_file(&self) -> impl Iterator<Item = (&str, &Operation)> {
        let own = self.file.iter();
        own.map(|named| (named.name.as_str(), &*named.of_streams.operation))
    }

    /// An operation of the twin, if the detector reports the classes that it names.
    fn with_classes(
        &self,
        mut operation: Operation,
        detected: Option<&[String]>,
    ) -> Result<Operation, String> {
        if !self.default_classes.is_empty() {
            operation.set_default_classes(&self.default_classes);
        }
        let person = [PERSON.to_owned()];
        let detected = detected.unwrap_or(&person);
        let is_detected = |class: &&String| detected.iter().any(|own| own.eq_ignore_ascii_case(class));
        let missing = operation
            .classes()
            .unwrap_or(&person)
            .iter()
            .find(|class| !is_detected(class));
        match missing {
            None => Ok(operation),
            Some(missing) => Err(format!(
                "the class '{missing}' is not detected here, only {}: start the module with it among --classes",
                detected.join(", ")
            )),
        }
    }

    /// The classes that a detector has to report for the operations of the file, besides the default ones; `None` where nothing
    /// names any, and people are all that is wanted.
    pub(super) fn classes_of_file(&self) -> Option<Vec<String>> {
        let of_file = || self.of_file().map(|(_, operation)| operation.classes());
        if self.default_classes.is_empty() && of_file().all(|classes| classes.is_none()) {
            return None;
        }
        let person = [PERSON.to_owned()];
        let mut all = self.default_classes.clone();
        for classes in of_file() {
            all.extend_from_slice(classes.unwrap_or(&person));
        }
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// All operations that streams may get, with what their streams have counted.
    pub(super) fn in_force(&self) -> Vec<(String, StreamOperation)> {
        let all = self.all().into_iter();
        all.map(|named| (named.name, named.of_streams)).collect()
    }

    fn all(&self) -> Vec<Named> {
        let twin = self.twin.read();
        let hidden = |own: &&Named| !own.name.is_empty() && twin.iter().any(|other| other.is(&own.name));
        let of_file = self.file.iter().filter(|own| !hidden(own));
        twin.iter().chain(of_file).cloned().collect()
    }
}

/// What is in force of a graph from now on, and what that means.
fn outcome(
    name: &str,
    before: Option<Named>,
    read: Result<Operation, String>,
) -> (Option<Named>, GraphOutcome) {
    let operation = match read {
        Ok(operation) => operation,
        Err(message) => {
            let is_kept = before.is_some();
            return (before, GraphOutcome::Refused { message, is_kept });
        }
    };
    match before {
        Some(before) if *before.of_streams.operation == operation => (Some(before), GraphOutcome::Unchanged),
        Some(mut before) => {
            before.of_streams.operation = Arc::new(operation);
            let changed = GraphOutcome::Changed(Arc::clone(&before.of_streams.operation));
            (Some(before), changed)
        }
        None => {
            let created = Named::new((name.to_owned(), operation));
            let outcome = GraphOutcome::Created(Arc::clone(&created.of_streams.operation));
            (Some(created), outcome)
        }
    }
}

impl OperationSource for LiveOperations {
    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    fn operation(&self, node: &GraphIdentity) -> Result<StreamOperation, NoOperation> {
        let all = self.all();
        if let [only] = &all[..] {
            return Ok(only.of_streams.clone());
        }
        let wanted = [&node.graph_instance_name, &node.graph_node_name];
        let mut named = wanted
            .into_iter()
            .filter_map(|wanted| all.iter().find(|own| own.answers_to(wanted)));
        let found = named.next().or_else(|| all.iter().find(|own| own.is("")));
        match found {
            Some(found) => Ok(found.of_streams.clone()),
            None => {
                let wanted = format!(
                    "named as the graph instance '{}' or its node '{}'",
                    node.graph_instance_name, node.graph_node_name
                );
                Err(none(&wanted, &all))
            }
        }
    }

    fn operation_of_camera(&self, source_id: &str) -> Result<StreamOperation, NoOperation> {
        let all = self.all();
        match all.iter().find(|own| own.answers_to(source_id)) {
            Some(found) => Ok(found.of_streams.clone()),
            None => Err(none(&format!("for the camera '{source_id}'"), &all)),
        }
    }
}

fn none(wanted: &str, all: &[Named]) -> NoOperation {
    let shown = |own: &Named| match own.source_id() {
        Some(source) => format!("{} (camera {source})", own.name),
        None => own.name.clone(),
    };
    let names: Vec<_> = all.iter().map(shown).collect();
    let there_are = match names.is_empty() {
        true => "there are none, because the module's twin has no enabled \"graphs\", or has not come yet"
            .to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    NoOperation(format!(
        "no operation is {wanted}: {there_are}; name one so, or give the node a configuration of its own"
    ))
}

#[cfg(test)]
mod tests {
    use lva_spatial_analysis::OperationError;
    use serde_json::json;

    use super::*;

    fn operation(zone: &str) -> Operation {
        let text = format!(r#"{{"zones": [{{"name": "{zone}", "polygon": [[0,0],[1,0],[1,1]]}}]}}"#);
        Operation::from_json(&text).unwrap()
    }

    fn graph(name: &str, zone: &str) -> NamedReading {
        (name.to_owned(), Ok(operation(zone)))
    }

    fn wrong(name: &str) -> NamedReading {
        (
            name.to_owned(),
            Err(OperationError::NothingToWatch { found: Vec::new() }),
        )
    }

    /// The zone that a stream watches, or the error with the names of the others.
    fn zone_of(operations: &LiveOperations, instance: &str, node: &str) -> Result<String, String> {
        let found = operations.operation(&GraphIdentity::new(instance, node));
        found
            .map(|found| found.operation.zone_names().join(""))
            .map_err(|none| none.to_string())
    }

    fn found(zone: &str) -> Result<String, String> {
        Ok(zone.to_owned())
    }

    fn of_file(text: &str) -> LiveOperations {
        LiveOperations::new(OperationSet::from_json(text).unwrap(), Vec::new())
    }

    #[test]
    fn a_stream_finds_its_operation_by_instance_before_node() {
        let operations = LiveOperations::new(OperationSet::none(), Vec::new());
        operations.apply_twin(vec![
            graph("door", "d"),
            graph("gate", "g"),
            graph("shop/till", "t"),
        ]);
        let of = |instance: &str, node: &str| zone_of(&operations, instance, node);
        assert_eq!(of("Gate", "door"), found("g"));
        assert_eq!(of("Sample-Graph-1", "door"), found("d"));
        assert_eq!(of("till", ""), found("t"));
        assert_eq!(of("shop/till", ""), found("t"));
        assert!(of("", "").is_err());
        let refused = of("shop", "x").unwrap_err();
        assert!(refused.contains("door, gate, shop/till"), "{refused}");
    }

    #[test]
    fn a_stream_finds_its_operation_by_its_camera() {
        let at = |camera: &str, zone: &str| json!({"parameters": {"VIDEO_SOURCE_ID": camera, "zones": [{"name": zone, "polygon": [[0,0],[1,0],[1,1]]}]}});
        let graphs = json!({"graphs": {"door": at("camera 1", "d"), "gate": at("camera 2", "g")}});
        let operations = of_file(&graphs.to_string());
        assert_eq!(zone_of(&operations, "Camera 2", "door"), found("g"));
        let of_camera = |camera: &str| operations.operation_of_camera(camera);
        assert_eq!(of_camera("camera 1").unwrap().operation.zone_names(), ["d"]);
        assert_eq!(of_camera("gate").unwrap().operation.zone_names(), ["g"]);
        let refused = of_camera("camera 3").unwrap_err().to_string();
        assert!(
            refused.contains(
                "for the camera 'camera 3': there are door (camera camera 1), gate (camera camera 2)"
            ),
            "{refused}"
        );
    }

    #[test]
    fn operations_that_name_no_classes_follow_the_default_ones() {
        let text = r#"{"graphs": {"a": {"parameters": {"zones": [{"name": "a", "polygon": [[0,0],[1,0],[1,1]]}]}},
            "b": {"parameters": {"classes": ["dog"], "zones": [{"name": "b", "polygon": [[0,0],[1,0],[1,1]]}]}}}}"#;
        let with = |classes: &[&str]| {
            let classes = classes.iter().map(|&class| class.to_owned()).collect();
            LiveOperations::new(OperationSet::from_json(text).unwrap(), classes)
        };
        let classes = |operations: &LiveOperations, name: &str| {
            let own = operations.operation(&GraphIdentity::new(name, "")).unwrap();
            own.operation.classes().map(<[String]>::to_vec)
        };
        let cars = with(&["car"]);
        cars.apply_twin(vec![graph("c", "c")]);
        assert_eq!(classes(&cars, "a"), Some(vec!["car".to_owned()]));
        assert_eq!(classes(&cars, "b"), Some(vec!["dog".to_owned()]));
        assert_eq!(classes(&cars, "c"), Some(vec!["car".to_owned()]));
        let dogs = Operation::from_json(
            r#"{"classes": "dog", "zones": [{"name": "z", "polygon": [[0,0],[1,0],[1,1]]}]}"#,
        );
        let changes = with(&["car"]).apply_twin(vec![("d".to_owned(), dogs)]);
        assert!(
            matches!(changes[0].outcome, GraphOutcome::Created(_)),
            "the file has one of dogs"
        );
        let boats = Operation::from_json(
            r#"{"classes": "boat", "zones": [{"name": "z", "polygon": [[0,0],[1,0],[1,1]]}]}"#,
        );
        match &cars.apply_twin(vec![("d".to_owned(), boats)])[0].outcome {
            GraphOutcome::Refused { message, .. } => assert!(
                message.contains("'boat' is not detected here, only car, dog: "),
                "{message}"
            ),
            other => panic!("{other:?}"),
        }
        let names = |words: [&str; 2]| Some(words.map(str::to_owned).to_vec());
        assert_eq!(cars.classes_of_file(), names(["car", "dog"]));
        assert_eq!(with(&[]).classes_of_file(), names(["dog", "person"]));
        assert_eq!(
            LiveOperations::new(OperationSet::whole_frame(), Vec::new()).classes_of_file(),
            None
        );
    }

    #[test]
    fn file_and_twin_serve_together_and_the_twin_wins() {
        let operations = of_file(r#"{"zones": [{"name": "f", "polygon": [[0,0],[1,0],[1,1]]}]}"#);
        assert_eq!(zone_of(&operations, "any", ""), found("f"));
        operations.apply_twin(vec![graph("door", "d")]);
        assert_eq!(zone_of(&operations, "door", ""), found("d"));
        assert_eq!(
            zone_of(&operations, "any", ""),
            found("f"),
            "the file's has no name"
        );
        let named = of_file(
            r#"{"graphs": {"Door": {"parameters": {"zones": [{"name": "f", "polygon": [[0,0],[1,0],[1,1]]}]}},
                           "hall": {"parameters": {"zones": [{"name": "h", "polygon": [[0,0],[1,0],[1,1]]}]}}}}"#,
        );
        named.apply_twin(vec![graph("door", "d")]);
        assert_eq!(zone_of(&named, "door", ""), found("d"));
        assert_eq!(zone_of(&named, "hall", ""), found("h"));
        named.apply_twin(Vec::new());
        assert_eq!(zone_of(&named, "door", ""), found("f"));
    }

    #[test]
    fn a_twin_changes_what_differs_and_a_wrong_graph_touches_no_other() {
        let operations = LiveOperations::new(OperationSet::none(), Vec::new());
        let none = zone_of(&operations, "door", "").unwrap_err();
        assert!(none.contains("has not come yet"), "{none}");
        let outcomes = |graphs| -> Vec<String> {
            let changes = operations.apply_twin(graphs).into_iter();
            let word = |outcome: &GraphOutcome| match outcome {
                GraphOutcome::Created(_) => "created",
                GraphOutcome::Changed(_) => "changed",
                GraphOutcome::Unchanged => "unchanged",
                GraphOutcome::Refused { is_kept: true, .. } => "kept",
                GraphOutcome::Refused { is_kept: false, .. } => "refused",
                GraphOutcome::Removed => "removed",
            };
            changes
                .map(|change| format!("{} {}", change.name, word(&change.outcome)))
                .collect()
        };
        let revision = operations.revision();
        assert_eq!(
            outcomes(vec![graph("door", "d"), wrong("gate"), graph("hall", "h")]),
            ["door created", "gate refused", "hall created"]
        );
        assert_ne!(operations.revision(), revision);
        let door = operations.operation(&GraphIdentity::new("door", "")).unwrap();
        door.stats.read();
        assert_eq!(
            outcomes(vec![graph("door", "d"), graph("gate", "g"), graph("hall", "H")]),
            ["door unchanged", "gate created", "hall changed"]
        );
        let same = operations.operation(&GraphIdentity::new("door", "")).unwrap();
        assert!(Arc::ptr_eq(&door.operation, &same.operation));
        assert_eq!(
            outcomes(vec![wrong("gate"), graph("hall", "H")]),
            ["gate kept", "hall unchanged", "door removed"]
        );
        assert_eq!(zone_of(&operations, "gate", ""), found("g"));
        assert!(zone_of(&operations, "door", "").is_err());
    }
}
