/** Zones and lines: drawn by pointer or keyboard, checked by the module, tried on the last minutes. */
import {camera as path, get, post} from "./api.js";
import {address, find, player} from "./cameras.js";
import {attempt, button, check, dialog, field, h, link, on, put, redraw, s, select, table, time, toast, words} from "./dom.js";
import {sentence} from "./events.js";
import * as edit from "./scene.js";

const EVENTS = [["zonecrossing", "Entering and leaving"], ["zonedwelltime", "Time of stay"], ["count", "Number of people"]];
const FOCUS = [["footprint", "Feet"], ["bottom_center", "Bottom of the box"], ["center", "Middle of the box"]];
const STEPS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const plus = (a, b) => a.map((v, axis) => edit.hold(v + b[axis]));
const middle = (a, b) => a.map((v, axis) => (v + b[axis]) / 2);

export async function show({main, id, signal, readOnly}) {
	const {camera} = await find(id);
	let {scene: saved, writes, forms, findings = []} = await get(path(id, "scene"));
	const history = new edit.History(saved);
	// `chosen`: the place of a shape; `tool`: choose, or the kind of the shape whose points are in `draft`.
	let chosen = null, tool = "choose", draft = [], hover = [0.5, 0.5], drag = null, later, formOf;
	const shape = () => history.present[chosen?.kind]?.[chosen.index];

	const {stage, overlay, begin, end} = player(camera, signal), still = h("img", {src: path(id, `still.jpg?${Date.now()}`), alt: "", onerror: () => still.remove()});
	Object.assign(overlay.show, {zones: false, tracks: false});
	const svg = s("svg.canvas", {tabindex: 0, role: "application", "aria-label": "Picture: arrow keys move, space sets a point, Enter ends the shape",
		onpointerdown: down, onpointermove: move, onpointerup: up, onpointercancel: up, onkeydown: key});
	const bar = h(".row"), list = h("ul.shapes"), form = h("div"), tip = h("p.muted", {role: "status"}), save = button("Save", () => attempt(async () => {
		const scene = history.present;
		await post(path(id, "scene"), {scene});
		saved = scene;
		refresh();
	}, "Saved. The instance uses it from now on."), ".primary", {hidden: readOnly || !writes});
	stage.append(still, svg);
	put(main,
		h(".bar", h("div", link(`‹ ${camera.name}`, address("live", id)), h("h1", "Zones and lines")), h(".row", check("Live picture", false, on => {
			still.hidden = on;
			on ? begin() : end();
		}), button("What if?", whatIf), button("JSON", json), save)),
		!writes && h("p.finding", "These zones are kept elsewhere: draw here, then copy the JSON."),
		h(".split", h("div", bar, h(".screen", stage), tip), h("aside", form, h("section.card", h("h2", "Zones and lines"), list))));
	on(window, "resize", draw, {signal});
	on(window, "keydown", e => {
		if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "z" && !e.target.matches("input")) step(e.shiftKey);
	}, {signal});
	refresh();

	function found(name) {return findings.filter(({shape}) => (shape ?? undefined) === name).map(({severity, message}) => h(`p.${severity}`, message));}

	function draw() {
		const at = ([x, y]) => [x * svg.clientWidth, y * svg.clientHeight], under = [], over = [];
		const dot = (look, [cx, cy], r, more) => s("circle" + look, {cx, cy, r, ...more}), text = ([x, y], words, look = "") => s("text" + look, {x, y}, words);
		for (const {kind, index, shape: one} of edit.each(history.present)) {
			const own = one === shape(), zone = kind === "zones", ends = edit.points(one), place = ends.map(at), [a, b] = place;
			const outline = (look, more) => s((zone ? "polygon" : "polyline") + look, {points: place.join(" "), ...more});
			under.push(s(`g.${kind}.${own ? "own" : ""}`, {"data-kind": kind, "data-index": index}, own && outline(".band", {"stroke-width": 2 * edit.deadBand(one) * svg.clientWidth}),
				outline(".touch"), outline(`.edge.${findings.find(({shape}) => shape === one.name)?.severity ?? ""}`), text([a[0], a[1] - 12], one.name)));
			if (!zone) {
				const [dx, dy] = [b[0] - a[0], b[1] - a[1]].map((d, _, all) => d / (Math.hypot(...all) || 1)), [x, y] = middle(a, b);
				// Left and right of somebody who stands at the start and looks to the end.
				under.push(s("path.head", {d: `M${b}l${-14 * dx - 6 * dy} ${-14 * dy + 6 * dx}l${12 * dy} ${-12 * dx}z`}), text([x + 16 * dy, y - 16 * dx], "L"), text([x - 16 * dy, y + 16 * dx], "R"));
			}
			if (own) place.forEach((here, i) => {
				const half = middle(here, place[(i + 1) % place.length]), [x, y] = ends[i].map(v => `${(v * 100).toFixed(1)} %`);
				if (zone) under.push(text([half[0], half[1] - 10], i + 1), dot(".middle", half, 6, {"data-insert": i}));
				over.push(dot(".handle", here, 8, {tabindex: 0, role: "button", "data-point": i, "aria-label": `${one.name}, ${zone ? `corner ${i + 1}` : i ? "end" : "start"}: ${x} from the left, ${y} from the top`}));
			});
		}
		const line = [...draft, hover].map(at);
		if (tool !== "choose") over.push(s("polyline.draft", {points: line.join(" ")}), line.map(p => dot(".draft", p, 6)));
		redraw(svg, [under, over]);
	}

	function refresh() {
		const all = edit.each(history.present), one = shape(), n = draft.length, use = (name, text) => button(text, () => {
			[tool, draft, chosen] = [name, [], null];
			refresh();
			svg.focus({preventScroll: true});
		}, "", {"aria-pressed": tool === name});
		overlay.focus = one && edit.focusOf(one);
		draw();
		redraw(bar, [use("choose", "Choose"), use("zones", "Zone"), use("lines", "Line"), button("Undo", () => step(), "", {disabled: !history.past.length}), button("Redo", () => step(true), "", {disabled: !history.future.length})]);
		redraw(list, [all.map(({kind, index, shape}) => h("li", button([shape.name, h("span.muted", kind.slice(0, -1))], () => choose({kind, index}), "", {"aria-pressed": shape === one}), found(shape.name))), found(),
			!all.length && h("li", "Take Zone or Line and click on the picture.")]);
		if (formOf !== chosen) put(form, one && properties(one));
		formOf = chosen;
		tip.textContent = tool === "zones" ? "Click the corners, at last the first one again." : tool === "lines" ? `Click where the line ${n ? "ends" : "starts"}.`
			: one ? "Drag corners or the whole shape; small circles add corners." : "";
		save.disabled = history.present === saved;
	}

	function properties(one) {
		const zone = !!one.polygon, {threshold} = edit.config(one), set = (name, value) => alter(old => edit.setConfig(old, name, value));
		const input = (text, value, act, hint, more) => field(text, h("input", {value, onchange: e => act(e.target.value.trim()), ...more}), hint);
		return h("section.card", h("h2", zone ? "Zone" : "Line"), input("Name", one.name, name => alter(old => ({...old, name: name || old.name})), "", {id: "name"}),
			zone && h("fieldset", h("legend", "Events"), EVENTS.map(([type, text]) => check(text, !!edit.config(one, type), on => alter(old => edit.setEvent(old, type, on))))),
			field("Point of a person that counts", select(FOCUS, edit.focusOf(one), value => set("focus", value)), "The live picture shows it."),
			input("Dead band (% of the width)", threshold < 1 ? +(threshold * 100).toFixed(3) : "", v => set("threshold", v ? v / 100 : undefined), "How far beyond an edge a person must be: the pale band. Empty: 0.4.", {type: "number", min: 0, step: "any"}),
			h(".row", !zone && button("Turn around", () => alter(old => edit.withPoints(old, edit.points(old).reverse()))), button("Delete", () => alter(() => null), ".danger")));
	}

	function commit(next, before) {
		history.commit(next, before);
		changed();
	}
	function step(again) {
		chosen = chosen && {...chosen};
		again ? history.step("future", "past") : history.step("past", "future");
		changed();
	}
	function changed() {
		const scene = history.present;
		if (!shape()) chosen = null;
		refresh();
		clearTimeout(later);
		later = setTimeout(() => post(path(id, "scene/check"), {scene}).then(answer => {
			if (scene !== history.present) return;
			({findings, forms} = answer);
			refresh();
		}, () => {}), 250);
	}
	function alter(how) {if (chosen) commit(edit.change(history.present, chosen, how));}
	function choose(place) {
		chosen = place;
		refresh();
	}

	function finish() {
		if (draft.length < (tool === "zones" ? 3 : 2)) return;
		const [next, place] = edit.add(history.present, tool, draft);
		[tool, draft, chosen] = ["choose", [], place];
		commit(next);
		form.querySelector("#name").select();
	}
	function point() {
		const near = (p, px) => p && Math.hypot((p[0] - hover[0]) * svg.clientWidth, (p[1] - hover[1]) * svg.clientHeight) < px;
		if (near(draft.at(-1), 6) || (draft.length > 2 && near(draft[0], 14))) return finish();
		draft.push(hover);
		tool === "lines" && draft.length === 2 ? finish() : refresh();
	}

	function place({clientX, clientY}) {
		const box = svg.getBoundingClientRect();
		return [(clientX - box.left) / box.width, (clientY - box.top) / box.height].map(edit.hold);
	}
	function down(e) {
		const {point: i, insert} = e.target.dataset, group = e.target.closest("g")?.dataset, from = hover = place(e);
		if (e.button || !e.isPrimary) return;
		e.preventDefault();
		svg.focus({preventScroll: true});
		if (tool !== "choose") return point();
		if (!i && !insert) choose(group ? {kind: group.kind, index: +group.index} : null);
		if (!chosen) return;
		svg.setPointerCapture(e.pointerId);
		drag = {before: history.present, from, shape: insert ? edit.insertPoint(shape(), +insert, from) : shape(), i: insert ? +insert + 1 : i && +i};
	}
	function move(e) {
		hover = place(e);
		if (drag) history.present = edit.change(drag.before, chosen, () => (drag.i === undefined ? edit.translate(drag.shape, [hover[0] - drag.from[0], hover[1] - drag.from[1]]) : edit.movePoint(drag.shape, drag.i, hover)));
		if (drag || tool !== "choose") draw();
	}
	function up() {
		const before = drag?.before;
		drag = null;
		if (before && before !== history.present) commit(history.present, before);
	}
	function key(e) {
		const drawing = tool !== "choose", {point: i} = e.target.dataset, erase = e.key === "Delete" || e.key === "Backspace";
		const way = STEPS[e.key]?.map(v => v * (e.shiftKey ? 0.05 : 0.005));
		if (way && drawing) hover = plus(hover, way);
		else if (way) alter(old => (i ? edit.movePoint(old, +i, plus(edit.points(old)[i], way)) : edit.translate(old, way)));
		else if (drawing && e.key === " ") point();
		else if (drawing && e.key === "Enter") tool === "lines" ? point() : finish();
		else if (erase && drawing) draft.pop();
		else if (erase) alter(old => (i ? edit.removePoint(old, +i) : null));
		else if (e.key === "Escape") draft.length ? (draft = []) : (tool = "choose");
		else return;
		e.preventDefault();
		way ? draw() : refresh();
	}

	function json() {
		const text = h("textarea", {readonly: "", rows: 16, "aria-label": "JSON"}), fill = form => (text.value = forms?.[form] ?? JSON.stringify(history.present, null, 2));
		fill("operation");
		dialog("JSON of this scene", [field("Form", select(Object.keys(forms ?? {}).map(name => [name, words(name)]), "operation", fill)), text], button("Copy", () => {
			text.select();
			toast(document.execCommand("copy") ? "Copied" : "The browser wants it copied by hand");
		}, ".primary.stay"));
	}
	function whatIf() {
		attempt(async () => {
			const {from, to, before, after} = await post(path(id, "what-if"), {scene: history.present}), rows = edit.compare(before, after), cell = e => e && `${sentence(e)} · ${e.zone ?? e.line}`;
			dialog("What would have happened", [h("p", from ? `From ${time(from)} to ${time(to)}: ${before.length} events now, ${after.length} with the edited scene.` : "No tracks are kept yet."),
				table("Events of both scenes", rows.map(([now, then]) => ({time: time((now ?? then).timestamp90k), presentScene: cell(now), editedScene: cell(then)})))]);
		});
	}
}
