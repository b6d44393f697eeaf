//! The page's own rules: pure functions of its modules, asked in the browser.

use serde_json::Value;

use super::chromium::Page;

/// Module, expression over it, and its value as JSON.
const RULES: &[(&str, &str, &str)] = &[
    // Close to the newest picture.
    ("core", "chase(0.2, 0.2)", r#"{"jump": false, "rate": 1}"#),
    (
        "core",
        "chase(0.4, 0.2).rate > 1.1 && chase(0.9, 0.2).rate <= 1.25",
        "true",
    ),
    ("core", "chase(0.1, 0.2).rate < 1", "true"),
    ("core", "chase(1.1, 0.2)", r#"{"jump": true, "rate": 1}"#),
    (
        "core",
        "[backoff(0, 0), backoff(0, 1), backoff(99, 0), backoff(99, 1)]",
        "[120, 200, 1800, 3000]",
    ),
    (
        "core",
        "(d => (d.boxes(0.3), d.settle(), d.target))(new Delay()).toFixed(2)",
        "\"0.34\"",
    ),
    (
        "core",
        "(d => (d.boxes(0.9), d.settle(), d.target))(new Delay()) < 0.2",
        "true",
    ),
    (
        "core",
        "(d => { for (let i = 0; i < 99; i++) d.ranDry(); return d.target; })(new Delay())",
        "0.35",
    ),
    // Boxes of a picture.
    (
        "core",
        "history(0).at(90)",
        r#"{"exact": false, "sure": false, "entities": []}"#,
    ),
    (
        "core",
        "history(1).at(9020)",
        r#"{"exact": true, "sure": true, "entities": [{"id": 1, "box": [0, 0, 1, 1]}]}"#,
    ),
    (
        "core",
        "history(2).at(12000)",
        r#"{"exact": false, "sure": true, "entities": [{"id": 1, "box": [0.5, 0, 1, 1]}]}"#,
    ),
    (
        "core",
        "history(1).at(12000)",
        r#"{"exact": false, "sure": false, "entities": [{"id": 1, "box": [0, 0, 1, 1]}]}"#,
    ),
    ("core", "history(1).at(90000).entities", "[]"),
    // Zones and lines.
    (
        "scene",
        "points({polygon: [[0, 0], [1, 0], [1, 1], [0, 0]]})",
        "[[0, 0], [1, 0], [1, 1]]",
    ),
    (
        "scene",
        "points({line: {start: {x: 0.5, y: 0}, end: {x: 0.5, y: 1}}})",
        "[[0.5, 0], [0.5, 1]]",
    ),
    (
        "scene",
        "add({lines: [{name: 'line 1'}]}, 'lines', [[0, 0], [2, 1]])[0].lines[1]",
        r#"{"name": "line 2", "start": [0, 0], "end": [1, 1]}"#,
    ),
    (
        "scene",
        "change({other: 1, zones: [1, 2]}, {kind: 'zones', index: 0}, () => null)",
        r#"{"other": 1, "zones": [2]}"#,
    ),
    (
        "scene",
        "withPoints({own: 7, polygon: []}, [[0.1234567, -1]])",
        r#"{"own": 7, "polygon": [[0.12346, 0]]}"#,
    ),
    (
        "scene",
        "removePoint({polygon: [[0, 0], [1, 0], [1, 1]]}, 0).polygon.length",
        "3",
    ),
    (
        "scene",
        "insertPoint({polygon: [[0, 0], [1, 0], [1, 1]]}, 2, [0, 1]).polygon[3]",
        "[0, 1]",
    ),
    (
        "scene",
        "translate({start: [0.5, 0.5], end: [0.9, 0.5]}, [0.5, 0.1])",
        r#"{"start": [0.6, 0.6], "end": [1, 0.6]}"#,
    ),
    (
        "scene",
        "(h => { h.commit(2); h.commit(3); h.step('past', 'future'); h.step('past', 'future'); h.step('past', 'future'); h.step('future', 'past'); return h.present; })(new History(1))",
        "2",
    ),
    (
        "scene",
        "setEvent(setConfig({polygon: [], events: [{type: 'zone_crossing', config: {threshold: 5}}]}, 'focus', 'center'), 'count', true).events[1]",
        r#"{"type": "count", "config": {"trigger": "event", "focus": "center", "threshold": 5}}"#,
    ),
    (
        "scene",
        "setEvent({polygon: []}, 'zonecrossing', false)",
        r#"{"polygon": []}"#,
    ),
    (
        "scene",
        "[deadBand({polygon: []}), deadBand({polygon: [], events: [{type: 'count', config: {threshold: 48}}]})]",
        "[0.004, 0.004]",
    ),
    (
        "scene",
        "anchor([0.2, 0.2, 0.2, 0.5], 'bottom_center').map(v => v.toFixed(2))",
        r#"["0.30", "0.70"]"#,
    ),
    (
        "scene",
        "[[0.5, 0.5], [1.5, 0.5]].map(p => inside([[0, 0], [1, 0], [1, 1], [0, 1]], p))",
        "[true, false]",
    ),
    (
        "scene",
        "compare([event(0), event(9)], [event(8.6), event(20)]).map(row => row.map(e => e?.timestamp90k / 90000 || 0))",
        "[[0, 0], [9, 8.6], [0, 20]]",
    ),
    // The time line.
    (
        "recordings",
        "recorded([{start90k: 0, end90k: 90000}, {start90k: 100000, end90k: 200000}, {start90k: 900000, end90k: 990000}], 50000)",
        "[50000, 200000]",
    ),
    (
        "recordings",
        "recorded([{start90k: 0, end90k: 90000}, {start90k: 900000, end90k: 990000}], 200000)",
        "[900000, 990000]",
    ),
    (
        "recordings",
        "zoom([0, 90000000], [0, 90000000], 0.5, 90000000)",
        "[45000000, 90000000]",
    ),
    // Diagrams.
    (
        "graphs",
        "layout([{name: 'a'}, {name: 'b'}, {name: 'c'}], [{from: 'a', to: 'b'}, {from: 'b', to: 'c'}, {from: 'a', to: 'c'}]).c",
        r#"{"column": 2, "row": 0}"#,
    ),
    (
        "graphs",
        "Object.keys(layout([{name: 'a'}, {name: 'b'}], [{from: 'a', to: 'b'}, {from: 'b', to: 'a'}, {from: 'x', to: 'a'}]))",
        r#"["a", "b"]"#,
    ),
    (
        "graphs",
        "graphOf({properties: {sources: [{name: 's', '@type': '#Microsoft.Media.MediaGraphRtspSource'}], sinks: [{name: 't', '@type': 'x', inputs: [{nodeName: 's'}]}]}})",
        r#"{"nodes": [{"name": "s", "type": "RtspSource"}, {"name": "t", "type": "x"}], "edges": [{"from": "s", "to": "t"}]}"#,
    ),
];

/// What the expressions need besides.
const HELPERS: &str = "
    const history = n => {
        const all = new BoxHistory();
        for (let i = 0; i < n; i++) all.add({timestamp90k: 9000 + 6000 * i, entities: [{id: 1, box: [i, 0, 1, 1]}]});
        return all;
    };
    const event = seconds => ({kind: 'a', zone: 'b', entity: 'c', timestamp90k: seconds * 90000});
";

pub(super) async fn hold(page: &mut Page) {
    for (module, expression, expected) in RULES {
        // Declared one by one, so that the expression reads as code of the module.
        let ask = format!(
            "import('./{module}.js').then(async m => {{
                const names = Object.keys(m), values = Object.values(m);
                return new Function(...names, String.raw`{HELPERS} return ({expression});`)(...values);
            }})"
        );
        let value = page.value(&ask).await;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(numbers(value), numbers(expected), "{module}: {expression}");
    }
}

/// 1 and 1.0 are the same number in a script.
fn numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(all) => all.into_iter().map(numbers).collect(),
        Value::Object(all) => all
            .into_iter()
            .map(|(name, value)| (name, numbers(value)))
            .collect(),
        other => other,
    }
}
