/** Zones and lines drawn on the picture by pointer or keyboard, checked by the module, tried on the last minutes. */
import {camera as path, get, post} from "./api.js";
import {address, gone, player} from "./cameras.js";
import {attempt, button, check, dialog, field, h, link, on, put, redraw, s, select, table, time, toast, words} from "./dom.js";
import {sentence} from "./events.js";
import * as edit from "./scene.js";

const EVENTS = [["zonecrossing", "Entering and leaving"], ["zonedwelltime", "Time of stay"], ["count", "Number of people"]];
const FOCUS = [["footprint", "Feet"], ["bottom_center", "Bottom of the box"], ["center", "Middle of the box"]];
const plus = (a, b) => a.map((v, axis) => edit.hold(v + b[axis]));

export async function show({main, id, signal, readOnly}) {
	const camera = (await get("api/cameras")).cameras.find(camera => camera.id === id);
	if (!camera) return put(main, gone());
	let {scene: saved, writes, forms, findings = []} = await get(path(id, "scene"));
	const history = new edit.History(saved);
	/** Where the chosen shape is; what a press does: choose, or add a point to a new shape of "zones" or "lines"; its points. */
	let chosen = null, tool = "choose", draft = [], hover = [0.5, 0.5], drag = null, later, formOf;
	const shape = () => history.present[chosen?.kind]?.[chosen.index], aspect = (camera.width || 16) / (camera.height || 9);

	// What is seen

	const {stage, overlay, begin, end} = player(camera, signal), still = h("img", {src: path(id, `still.jpg?${Date.now()}`), alt: "", onerror: () => still.remove()});
	overlay.show.zones = overlay.show.tracks = false;
	const svg = s("svg.canvas", {viewBox: `0 0 ${aspect * 1000} 1000`, tabindex: 0, role: "application", "aria-label": "Picture. While drawing, arrow keys move the point, space sets it, Enter ends the shape.",
		onpointerdown: down, onpointermove: move, onpointerup: up, onpointercancel: up, onkeydown: key});
	const bar = h(".row", {role: "toolbar", "aria-label": "Tools"}), list = h("ul.shapes"), form = h("div"), tip = h("p.muted", {role: "status"}), save = button("Save", () => attempt(async () => {
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
		h("p.finding", {hidden: !!writes}, "The zones of this instance come from elsewhere. Draw here, then copy the JSON to where they are kept."),
		h(".split", h("div", bar, h(".screen", stage), tip), h("aside", form, h("section.card", h("h2", "Zones and lines"), list))));
	on(window, "resize", draw, {signal});
	on(window, "keydown", e => {
		if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "z" && !e.target.matches("input")) step(e.shiftKey);
	}, {signal});
	refresh();

	function found(shape) { return findings.filter(finding => finding.shape === shape?.name || (!shape && !finding.shape)).map(({severity, message}) => h(`p.${severity}`, message)); }

	function draw() {
		const unit = (aspect * 1000) / (svg.clientWidth || 1000), at = ([x, y]) => [x * aspect * 1000, y * 1000];
		const dot = (look, [cx, cy], r, more) => s("circle" + look, {cx, cy, r: r * unit, ...more}), text = (look, [x, y], up, words) => s("text" + look, {x, y: y - up * unit, "font-size": 13 * unit}, words);
		const under = [], over = [];
		for (const {kind, index, shape: one} of edit.each(history.present)) {
			const own = one === shape(), ends = edit.points(one), place = ends.map(at), zone = kind === "zones";
			const line = (look, width) => s((zone ? "polygon" : "polyline") + look, {points: place.join(" "), "stroke-width": width});
			under.push(s(`g.${kind}.${own ? "own" : ""}`, {"data-kind": kind, "data-index": index}, own && line(".band", 2 * edit.deadBand(one) * aspect * 1000), line(".touch", 18 * unit),
				line(`.edge.${findings.find(({shape}) => shape === one.name)?.severity ?? ""}`, 2.5 * unit), text("", place[0], 12, one.name)));
			if (!zone) {
				const [a, b] = place, [dx, dy] = [b[0] - a[0], b[1] - a[1]].map((d, _, all) => (d / (Math.hypot(...all) || 1)) * unit);
				// Left and right of somebody who stands at the start and looks to the end.
				const side = (words, way) => text(".side", [(a[0] + b[0]) / 2 - way * dy, (a[1] + b[1]) / 2 + way * dx], -4, words);
				under.push(s("path.head", {d: `M${b}l${-14 * dx - 6 * dy} ${-14 * dy + 6 * dx}l${12 * dy} ${-12 * dx}z`}), side("L", -16), side("R", 16));
			}
			if (own) place.forEach((here, i) => {
				const next = place[(i + 1) % place.length], middle = [(here[0] + next[0]) / 2, (here[1] + next[1]) / 2], [x, y] = ends[i].map(v => `${(v * 100).toFixed(1)} %`);
				if (zone) under.push(text(".side", middle, 10, i + 1), readOnly ? "" : dot(".middle", middle, 6, {"data-insert": i}));
				if (!readOnly) over.push(dot(".handle", here, 8, {tabindex: 0, role: "button", "data-point": i, "aria-label": `${one.name}, ${zone ? `corner ${i + 1}` : i ? "end" : "start"}: ${x} from the left, ${y} from the top`}));
			});
		}
		const line = [...draft, hover].map(at);
		if (tool !== "choose") over.push(s("polyline.draft", {points: line.join(" "), "stroke-width": 2 * unit}), line.map(p => dot(".dot", p, 6)));
		redraw(svg, [under, over]);
	}

	function refresh() {
		draw();
		const all = edit.each(history.present), one = shape(), n = draft.length, use = (name, text) => button(text, () => {
			[tool, draft, chosen] = [name, [], null];
			refresh();
			svg.focus({preventScroll: true});
		}, "", {"aria-pressed": tool === name});
		redraw(bar, readOnly ? [] : [use("choose", "Choose"), use("zones", "Zone"), use("lines", "Line"), button("Undo", () => step(), "", {disabled: !history.past.length}), button("Redo", () => step(true), "", {disabled: !history.future.length}),
			tool === "zones" && n > 2 && button("Finish the zone", finish, ".primary")]);
		redraw(list, [all.map(({kind, index, shape}) => h("li", button([shape.name, h("span.muted", kind.slice(0, -1))], () => choose({kind, index}), "", {"aria-pressed": shape === one}), found(shape))), found(),
			!all.length && h("li", "None yet. Take Zone or Line and click on the picture.")]);
		// While somebody fills it in, the form stays.
		if (formOf !== chosen) put(form, one && properties(one));
		formOf = chosen;
		tip.textContent = tool === "zones" ? (n > 2 ? "Click the next corner, or the first one to finish." : "Click the corners of the zone.") : tool === "lines" ? `Click where the line ${n ? "ends" : "starts"}.`
			: one && !readOnly ? "Drag corners or the whole shape; drag a small circle to add a corner." : "";
		save.disabled = history.present === saved;
	}

	function properties(one) {
		const zone = !!one.polygon, focus = edit.focusOf(one), {threshold} = edit.config(one), set = name => value => alter(old => edit.setConfig(old, name, value));
		const height = focus => 2 + 36 * edit.anchor([0, 0, 0, 1], focus)[1], dot = s("circle", {cx: 12, cy: height(focus), r: 3});
		const input = (text, value, act, hint, more) => field(text, h("input", {value, onchange: e => act(e.target.value.trim()), ...more}), hint);
		return h("fieldset.card", readOnly ? {disabled: true} : {}, h("h2", zone ? "Zone" : "Line"), input("Name", one.name, name => alter(old => ({...old, name: name || old.name})), "", {id: "name"}),
			zone && [h("fieldset", h("legend", "Events"), EVENTS.map(([type, text]) => check(text, !!edit.config(one, type), on => alter(old => edit.setEvent(old, type, on)))))],
			h(".row.anchor", field("Point of a person that counts", select(FOCUS, focus, value => {
				set("focus")(value);
				dot.setAttribute("cy", height(value));
			})), s("svg", {viewBox: "0 0 24 40", "aria-hidden": "true"},
				s("path", {d: "M2 2h20v36H2zM7 37V21a5 5 0 0 1 10 0v16M12 6a4 4 0 1 1 0 8a4 4 0 0 1 0-8"}), dot)),
			input("Dead band (% of the width)", threshold < 1 ? +(threshold * 100).toFixed(3) : "", v => set("threshold")(v ? v / 100 : undefined), "How far beyond an edge a person must be: the pale band. Empty: 0.4, less for people far away.", {type: "number", min: 0, step: "any"}),
			h(".bar", zone ? "" : button("Turn around", () => alter(old => edit.withPoints(old, edit.points(old).reverse()))), button("Delete", () => alter(() => null), ".danger")));
	}

	// What the user does

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
	function commit(next, before) {
		history.commit(next, before);
		changed();
	}
	function step(again) {
		chosen = chosen && {...chosen};
		again ? history.step("future", "past") : history.step("past", "future");
		changed();
	}
	function alter(how) { if (chosen && !readOnly) commit(edit.change(history.present, chosen, how)); }
	function choose(place) {
		chosen = place;
		refresh();
	}

	/** Ends the shape that is being drawn; its name comes next. */
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
		return [edit.hold((clientX - box.left) / box.width), edit.hold((clientY - box.top) / box.height)];
	}
	function down(e) {
		const {point: i, insert} = e.target.dataset, group = e.target.closest("g")?.dataset, from = hover = place(e);
		if (e.button || !e.isPrimary) return;
		e.preventDefault();
		svg.focus({preventScroll: true});
		if (tool !== "choose") return point();
		if (!i && !insert) choose(group ? {kind: group.kind, index: Number(group.index)} : null);
		if (readOnly || !chosen) return;
		svg.setPointerCapture(e.pointerId);
		drag = {before: history.present, from, shape: insert ? edit.insertPoint(shape(), Number(insert), from) : shape(), i: insert ? Number(insert) + 1 : i};
	}
	function move(e) {
		hover = place(e);
		if (drag) history.present = edit.change(drag.before, chosen, () => (drag.i === undefined ? edit.translate(drag.shape, [hover[0] - drag.from[0], hover[1] - drag.from[1]]) : edit.movePoint(drag.shape, Number(drag.i), hover)));
		if (drag || tool !== "choose") draw();
	}
	function up() {
		const before = drag?.before;
		drag = null;
		if (before && before !== history.present) commit(history.present, before);
	}
	function key(e) {
		const by = e.shiftKey ? 0.05 : 0.005, way = {ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by]}[e.key];
		const drawing = tool !== "choose", {point: i} = e.target.dataset, erase = e.key === "Delete" || e.key === "Backspace";
		if (way && drawing) hover = plus(hover, way);
		else if (way) alter(old => (i ? edit.movePoint(old, Number(i), plus(edit.points(old)[i], way)) : edit.translate(old, way)));
		else if (drawing && e.key === " ") point();
		else if (drawing && e.key === "Enter") tool === "lines" ? point() : finish();
		else if (erase && drawing) draft.pop();
		else if (erase) alter(old => (i ? edit.removePoint(old, Number(i)) : null));
		else if (e.key === "Escape") draft.length ? (draft = []) : (tool = "choose");
		else return;
		e.preventDefault();
		if (!way) refresh();
		else draw();
	}

	// What the module does

	function json() {
		const text = h("textarea", {readonly: "", rows: 16, "aria-label": "JSON"}), fill = form => (text.value = forms?.[form] ?? JSON.stringify(history.present, null, 2));
		fill("operation");
		dialog("JSON of this scene", [field("Form", select(Object.keys(forms ?? {}).map(name => [name, words(name)]), "operation", fill)), text], button("Copy", () => {
			text.select();
			toast(document.execCommand("copy") ? "Copied" : "Copy by hand: the browser does not allow it");
		}, ".primary.stay"));
	}
	function whatIf() {
		attempt(async () => {
			const {from, to, before, after} = await post(path(id, "what-if"), {scene: history.present}), rows = edit.compare(before, after), count = side => rows.filter(row => !row[side]).length;
			const cell = e => e && `${sentence(e)} · ${e.zone ?? e.line}`;
			dialog("What would have happened", [h("p", from ? `The tracks from ${time(from)} to ${time(to)}, seen with both scenes: ${before.length} events now, ${after.length} with the edited scene, ${count(0)} new, ${count(1)} gone.` : "No tracks are kept yet."),
				table("Events of both scenes", rows.map(([now, then]) => ({time: time((now ?? then).timestamp90k), presentScene: cell(now), editedScene: cell(then)})))]);
		});
	}
}
