//! States of instances and zones that stand on a plain broker, and their announcement.

use std::collections::BTreeMap;

use lva_hub::{Client, Component, ComponentKind, StateError};

use crate::events::ZoneCounts;
use crate::methods::Methods;

/// Levels of a state's topic, its value, and the name that people see.
type Shown = BTreeMap<Vec<String>, (String, String)>;

/// Keeps `instances/NAME/state` and `instances/NAME/zones/ZONE/count` true on the broker.
pub(super) async fn keep(client: Client, methods: Methods, zones: ZoneCounts) {
    let mut known = Shown::new();
    loop {
        let now = shown(&methods, &zones);
        publish(&client, &known, &now);
        known = now;
        tokio::select! {
            () = zones.changed() => {}
            () = methods.changed() => {}
        }
    }
}

fn shown(methods: &Methods, zones: &ZoneCounts) -> Shown {
    let instances = methods.module().instances();
    let counts = zones.of_existing(|name| instances.iter().any(|info| info.name == name));
    let level = |text: &str| text.to_owned();
    let states = instances.iter().map(|info| {
        let path = vec![level("instances"), info.name.clone(), level("state")];
        (path, (info.state.word(info.family).to_owned(), info.name.clone()))
    });
    let counts = counts.into_iter().map(|((instance, zone), count)| {
        let name = format!("{instance} {zone}");
        let path = vec![level("instances"), instance, level("zones"), zone, level("count")];
        (path, (count, name))
    });
    states.chain(counts).collect()
}

fn publish(client: &Client, known: &Shown, now: &Shown) {
    for path in known.keys().filter(|path| !now.contains_key(*path)) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        client.withdraw(&path);
        report(client.set_state(&path, None));
    }
    for (path, (value, name)) in now {
        let levels: Vec<&str> = path.iter().map(String::as_str).collect();
        report(client.set_state(&levels, Some(value)));
        if !known.contains_key(path) {
            report(client.announce(Component::new(ComponentKind::Sensor, &levels, name)));
        }
    }
}

fn report(set: Result<(), StateError>) {
    if let Err(error) = set {
        tracing::warn!(%error, "a state is not shown on the broker");
    }
}
