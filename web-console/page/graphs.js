/** Topologies and instances as diagrams, with live numbers, and the methods that change them. */
import {get, poll, post} from "./api.js";
import {attempt, button, dialog, failure, field, h, notice, put, readable, redraw, s, scroll} from "./dom.js";

const look = state => (/^(active|running)$/i.test(state) ? ".ok" : /fail/i.test(state) ? ".bad" : /ing$/i.test(state) ? ".warn" : "");
const W = 200, H = 54, COLUMN = 320, ROW = 96;

/** Places of nodes: a column by the longest way from a source, one below the other in a column. */
export function layout(nodes, edges) {
	const column = Object.fromEntries(nodes.map(({name}) => [name, 0])), rows = [];
	// No way is longer than there are nodes, also where there is a circle.
	for (const _ of nodes) for (const {from, to} of edges) if (column[to] <= column[from] && column[from] < nodes.length) column[to] = column[from] + 1;
	return Object.fromEntries(nodes.map(({name}) => [name, {column: column[name], row: (rows[column[name]] = (rows[column[name]] ?? -1) + 1)}]));
}

/** Nodes and edges of a topology document. */
export function graphOf({properties}) {
	const nodes = ["sources", "processors", "sinks"].flatMap(kind => properties?.[kind] ?? []);
	return {
		nodes: nodes.map(node => ({name: node.name, type: String(node["@type"]).replace(/.*[.#](MediaGraph)?/, "")})),
		edges: nodes.flatMap(({name, inputs = []}) => inputs.map(({nodeName}) => ({from: nodeName, to: name}))),
	};
}

/** Calls of the second generation work on documents of all. */
const VERSION = {"@apiVersion": "2.0"};

function diagram(name, {nodes, edges}) {
	const places = layout(nodes, edges), x = name => places[name].column * COLUMN + 2, y = name => places[name].row * ROW + 24;
	const width = Math.max(0, ...nodes.map(({name}) => x(name))) + W + 2, height = Math.max(0, ...nodes.map(({name}) => y(name))) + H + 30, text = (look, x, y, words) => s("text" + look, {x, y}, words);
	return nodes.length > 0 && scroll(`Diagram of ${name}`, s("svg.graph", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": nodes.map(({name, type, state}) => `${name}: ${state ?? type}`).join(", ")},
		edges.map(({from, to, framesPerSecond: rate, latencyMs, drops = {}}) => {
			const ax = x(from) + W, ay = y(from) + H / 2, bx = x(to), by = y(to) + H / 2, far = bx - ax > COLUMN, mx = (ax + bx) / 2, my = far ? Math.max(ay, by) + 44 : (ay + by) / 2;
			// What passes by other nodes goes below them.
			return s("g", s("path", {d: (far ? `M${ax} ${ay}c45 0 20 ${my - ay} 65 ${my - ay}H${bx - 65}c45 0 30 ${by - my} 60 ${by - my}` : `M${ax} ${ay}C${ax + 40} ${ay} ${bx - 40} ${by} ${bx - 5} ${by}`) + "m-5 -4l5 4l-5 4"}),
				rate != null && text("", mx, my - 8, [`${readable(rate)}/s`, latencyMs >= 1 && `${Math.round(latencyMs)} ms`].filter(Boolean).join(" · ")), Object.entries(drops).map(([reason, n], i) => n > 0 && text(".drop", mx, my + 16 + 14 * i, `−${n} ${reason}`)));
		}),
		nodes.map(({name, type, state, lastError}) => s(`g${look(state)}`, s("rect", {x: x(name), y: y(name), width: W, height: H, rx: 8}), text(".name", x(name) + W / 2, y(name) + 23, name.slice(0, 26)), text("", x(name) + W / 2, y(name) + 41, (state ?? type).slice(0, 30)), s("title", lastError ?? type)))));
}

export function show({main, signal, readOnly}) {
	let shown;
	const call = (method, body) => attempt(() => post(`api/methods/${method}`, {...VERSION, ...body}).then(refresh), "Done");
	const sure = (kind, verb, name, text) => button(verb, () => dialog(`${verb} ${name}?`, h("p", text), button(verb, () => call(kind + verb, {name}), ".danger")), ".danger");
	const form = ({name: topologyName, parameters}, {name = "", parameters: given} = {}) => {
		const input = h("input", {value: name, disabled: !!name}), inputs = (parameters ?? []).map(p => [p, h("input", {type: /secret/i.test(p.type) ? "password" : "text", autocomplete: "off",
			placeholder: p.default ?? "", value: /secret/i.test(p.type) ? "" : given?.find(own => own.name === p.name)?.value ?? ""})]);
		dialog(name || `New instance of ${topologyName}`, [field("Name", input), inputs.map(([p, control]) => field(p.name, control, p.description))], button("Set", () => call("GraphInstanceSet", {name: input.value,
			properties: {topologyName, parameters: inputs.filter(([, {value}]) => value).map(([{name}, {value}]) => ({name, value}))}}), ".primary"));
	};
	const paste = () => {
		const text = h("textarea", {rows: 14, "aria-label": "Topology as JSON"});
		dialog("Set a topology", text, button("Set", () => attempt(async () => {
			const document = JSON.parse(text.value);
			return call(/^1\.[1-9]/.test(document["@apiVersion"]) ? "pipelineTopologySet" : "GraphTopologySet", document);
		}), ".primary"));
	};
	const card = (name, state, notes, actions, ...content) => h("article.card", h(".bar", h(".row", h("h2", name), state && h(`span.pill${look(state)}`, state)), !readOnly && h(".row", actions)), notes.map(note => note && h("p.finding", note)), content);
	const refresh = async () => {
		const {topologies, instances} = await get("api/graphs"), text = JSON.stringify([topologies, instances]);
		if (text === shown) return;
		shown = text;
		redraw(main, [h("h1", "Graphs"), instances.map(instance => {
			const {name, state, lastError, nodes} = instance, topology = topologies.find(({name}) => name === instance.topology) ?? {};
			return card(name, state, [lastError, nodes.map(node => node.lastError && `${node.name}: ${node.lastError}`)].flat(), /^inactive/i.test(state)
				? [button("Activate", () => call("GraphInstanceActivate", {name}), ".primary"), button("Parameters", () => form(topology, instance)), sure("GraphInstance", "Delete", name, "Recordings stay.")]
				: sure("GraphInstance", "Deactivate", name, "Its camera is no longer watched or recorded."), diagram(name, instance));
		}), !instances.length && notice("No instance yet", "An instance runs a topology for one camera."),
		h(".bar", h("h2", "Topologies"), !readOnly && button("Set a topology", paste)),
		topologies.map(topology => card(topology.name, "", [], [button("New instance", () => form(topology)), sure("GraphTopology", "Delete", topology.name, "This works only without instances.")],
			h("p.muted", topology.document.properties?.description), diagram(topology.name, graphOf(topology.document))))]);
	};
	return poll(signal, 2000, refresh, error => shown || put(main, failure(error, refresh)));
}
