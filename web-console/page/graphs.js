/** Topologies and instances as diagrams, with live numbers, and the methods that change them. */
import {get, poll, post} from "./api.js";
import {attempt, button, dialog, failure, field, h, notice, put, readable, redraw, s, scroll} from "./dom.js";

const look = state => (/^(active|running)$/i.test(state) ? ".ok" : /fail/i.test(state) ? ".bad" : /ing$/i.test(state) ? ".warn" : "");
const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const W = 200, H = 54, COLUMN = 320, ROW = 96;

/** Places of nodes: a column by the longest way from a source, one below the other in a column. */
export function layout(nodes, edges) {
	const column = Object.fromEntries(nodes.map(({name}) => [name, 0])), rows = [];
	// No way is longer than there are nodes, also where there is a circle.
	for (const _ of nodes) for (const {from, to} of edges) if (column[to] <= column[from] && column[from] < nodes.length) column[to] = column[from] + 1;
	return Object.fromEntries(Object.entries(column).map(([name, column]) => [name, {column, row: (rows[column] = (rows[column] ?? -1) + 1)}]));
}

/** Nodes and edges of a topology document. */
export function graphOf({properties}) {
	const nodes = ["sources", "processors", "sinks"].flatMap(kind => properties?.[kind] ?? []);
	return {
		nodes: nodes.map(node => ({name: node.name, type: String(node["@type"]).replace(/.*[.#](MediaGraph)?/, "")})),
		edges: nodes.flatMap(({name, inputs = []}) => inputs.map(({nodeName}) => ({from: nodeName, to: name}))),
	};
}

function diagram(name, {nodes, edges}) {
	const places = Object.entries(layout(nodes, edges)).map(([name, {column, row}]) => [name, [column * COLUMN + 2, row * ROW + 24]]), at = Object.fromEntries(places);
	const [width, height] = [0, 1].map(axis => Math.max(0, ...places.map(([, at]) => at[axis])) + [W + 2, H + 40][axis]), text = (x, y, words, look = "") => s("text" + look, {x, y}, words);
	return nodes.length > 0 && scroll(`Diagram of ${name}`, s("svg.graph", {width, height, role: "img", "aria-label": nodes.map(({name, type, state}) => `${name}: ${state ?? type}`).join(", ")},
		edges.map(({from, to, framesPerSecond: rate, latencyMs, drops = {}}) => {
			const [left, ay] = at[from], [bx, by] = at[to], ax = left + W, y = ay + H / 2, down = by - ay, far = bx - ax > COLUMN, low = Math.max(ay, by) + 44, mx = (ax + bx) / 2, my = far ? low + H / 2 : y + down / 2;
			// What passes by other nodes goes below them.
			return [s("path", {d: (far ? `M${ax} ${y}c45 0 20 ${my - y} 65 ${my - y}H${bx - 65}c45 0 30 ${y + down - my} 60 ${y + down - my}` : `M${ax} ${y}c40 0 ${bx - ax - 40} ${down} ${bx - ax - 5} ${down}`) + "m-5 -4l5 4l-5 4"}),
				rate != null && text(mx, my - 8, [`${readable(rate)}/s`, latencyMs >= 1 && `${Math.round(latencyMs)} ms`].filter(Boolean).join(" · ")), Object.entries(drops).map(([reason, n], i) => n > 0 && text(mx, my + 16 + 14 * i, `−${n} ${reason}`, ".drop"))];
		}),
		nodes.map(({name, type, state, lastError}) => {
			const [x, y] = at[name];
			return s(`g${look(state)}`, s("rect", {x, y, width: W, height: H, rx: 8}), text(x + W / 2, y + 23, short(name, 24), ".name"), text(x + W / 2, y + 41, short(state ?? type, 24)), s("title", lastError ?? type));
		})));
}

export function show({main, signal, readOnly}) {
	let shown;
	const call = (method, body) => attempt(() => post(`api/methods/${method}`, {"@apiVersion": "2.0", ...body}).then(refresh), "Done");
	const sure = (verb, name, text, kind = "GraphInstance") => button(verb, () => dialog(`${verb} ${name}?`, h("p", text), button(verb, () => call(kind + verb, {name}), ".danger")), ".danger");
	const form = ({name: topologyName, parameters = []}, {name = "", parameters: given} = {}) => {
		const input = h("input", {value: name, disabled: !!name}), inputs = parameters.map(({name, type, default: placeholder = ""}) => {
			const secret = /secret/i.test(type), value = given?.find(own => own.name === name)?.value;
			return h("input", {name, type: secret ? "password" : "text", autocomplete: "off", placeholder, value: (!secret && value) || ""});
		});
		dialog(name || `New instance of ${topologyName}`, [field("Name", input), inputs.map((control, i) => field(control.name, control, parameters[i].description))], button("Set", () => call("GraphInstanceSet", {name: input.value,
			properties: {topologyName, parameters: inputs.filter(({value}) => value).map(({name, value}) => ({name, value}))}}), ".primary"));
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
			return card(name, state, [lastError, ...nodes.map(node => node.lastError && `${node.name}: ${node.lastError}`)], /^inactive/i.test(state)
				? [button("Activate", () => call("GraphInstanceActivate", {name}), ".primary"), button("Parameters", () => form(topology, instance)), sure("Delete", name, "Recordings stay.")]
				: sure("Deactivate", name, "Its camera is no longer watched or recorded."), diagram(name, instance));
		}), !instances.length && notice("No instance yet", "An instance runs a topology for one camera."),
		h(".bar", h("h2", "Topologies"), !readOnly && button("Set a topology", paste)),
		topologies.map(topology => card(topology.name, "", [], [button("New instance", () => form(topology)), sure("Delete", topology.name, "This works only without instances.", "GraphTopology")],
			h("p.muted", topology.document.properties?.description), diagram(topology.name, graphOf(topology.document))))]);
	};
	return poll(signal, 2000, refresh, error => shown || put(main, failure(error, refresh)));
}
