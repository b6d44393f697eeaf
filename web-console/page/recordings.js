/** What is recorded of a camera on a time line: watched, searched by pointer or keyboard, taken away as a file. */
import {camera as path, get, query} from "./api.js";
import {other} from "./cameras.js";
import {button, h, link, notice, on, put, s, time, toast, when} from "./dom.js";
import {item} from "./events.js";

const SECOND = 90000;
const hold = (value, least, most) => Math.max(least, Math.min(most, value));
/** Another part of the whole: wider by the factor around a time, then moved. */
export function zoom([from, to], [first, last], factor, around, by = 0) {
	const width = hold((to - from) * factor, 20 * SECOND, last - first), start = hold(around - (width * (around - from)) / (to - from) + by, first, last - width);
	return [start, start + width];
}
/** The next recorded time, and the end of what is recorded from there without a gap. */
export function recorded(spans, at) {
	const all = spans.filter(span => span.end90k > at + 9000).sort((a, b) => a.start90k - b.start90k);
	if (all.length) return [Math.max(at, all[0].start90k), all.reduce((end, span) => (span.start90k <= end + SECOND ? Math.max(end, span.end90k) : end), all[0].end90k)];
}

export async function show({main, id, params, signal}) {
	const {cameras} = await get("api/cameras"), camera = id ?? cameras[0]?.id;
	const {spans, events} = camera ? await get(path(camera, "recordings")) : {spans: []};
	const head = h(".bar", h("h1", "Recordings"), other(cameras, camera, "recordings"));
	if (!spans.length) return put(main, head, notice("Nothing is recorded", "A graph records where it has a file, asset or video sink."));
	const first = Math.min(...spans.map(span => span.start90k)), last = Math.max(...spans.map(span => span.end90k)), all = [first, last], asked = +params.get("at");
	let at = asked || last - 30 * SECOND, range = [at, at], base = at, end = at, later, view = asked ? zoom(all, all, (600 * SECOND) / (last - first), at) : all;

	const video = h("video", {controls: "", playsinline: "", muted: true, "aria-label": "Recording"}), label = h("strong"), log = h("ol"), file = link("", "", ".button.primary");
	const line = s("svg", {viewBox: "0 0 1000 60", preserveAspectRatio: "none"}), scale = h(".bar"), bar = h(".line", {tabindex: 0, role: "slider", "aria-label": "Time"}, line, scale);
	const x = t => ((t - view[0]) / (view[1] - view[0])) * 1000, seen = t => x(t) >= 0 && x(t) <= 1000, seekTo = e => seek(view[0] + (e.offsetX / bar.clientWidth) * (view[1] - view[0]));
	const url = (from, to, download) => path(camera, `recordings/play.mp4${query({from: Math.round(from), to: Math.round(to), download})}`);
	const rect = (look, from, to, y, height) => s("rect" + look, {x: x(from), y, width: Math.max(x(to) - x(from), 1.5), height});
	const draw = () => {
		const [from, to] = range, near = events.filter(e => seen(e.timestamp90k)).slice(0, 40), shown = `${near.map(e => e.id)}`;
		put(line, spans.map(span => rect(`.${span.kind}`, span.start90k, span.end90k, 20, 24)), to > from && rect(".range", from, to, 14, 36),
			events.map(e => rect(".mark", e.timestamp90k, e.timestamp90k, 6, 12)), rect(".now", at, at, 0, 60));
		put(scale, [0, 1, 2, 3].map(i => h("span", time(view[0] + (i / 3) * (view[1] - view[0])))));
		label.textContent = when(at);
		Object.entries({min: first, max: last, now: at}).forEach(([name, t]) => bar.setAttribute(`aria-value${name}`, Math.round(t / SECOND)));
		bar.setAttribute("aria-valuetext", label.textContent);
		Object.assign(file, {hidden: to <= from, textContent: `Download ${Math.round((to - from) / SECOND)} s`, href: url(from, to, 1)});
		if (log.dataset.shown !== shown) put(log, near.map(e => item(e, true)));
		log.dataset.shown = shown;
	};
	const play = async (t, run) => {
		const found = recorded(spans, t);
		at = found?.[0] ?? t;
		draw();
		if (!found) return toast("Nothing is recorded then, or not yet");
		end = Math.min(found[1], at + 300 * SECOND);
		const src = url(at, end), answer = await fetch(src, {method: "HEAD"}).catch(() => null);
		base = +answer?.headers.get("x-start-90k") || at;
		Object.assign(video, {autoplay: run, src});
	};
	const seek = t => {
		at = hold(t, first, last);
		if (!seen(at)) view = zoom(view, all, 1, view[0], at - (view[0] + view[1]) / 2);
		draw();
		clearTimeout(later);
		later = setTimeout(play, 200, at, !video.paused);
	};
	const does = (text, act, label = text) => button(text, () => {
		act();
		draw();
	}, "", {"aria-label": label});
	on(video, "timeupdate", () => {
		if (video.paused) return;
		at = base + video.currentTime * SECOND;
		draw();
	});
	on(video, "ended", () => play(end + SECOND / 10, true));
	on(bar, "pointerdown", e => {
		bar.setPointerCapture(e.pointerId);
		seekTo(e);
	});
	on(bar, "pointermove", e => bar.hasPointerCapture(e.pointerId) && seekTo(e));
	on(bar, "keydown", e => {
		const by = {ArrowLeft: -5, ArrowRight: 5, PageUp: 60, PageDown: -60, Home: -1e9, End: 1e9}[e.key];
		if (!by) return;
		e.preventDefault();
		seek(at + by * SECOND);
	});
	put(main, head, h(".split", h("div", h(".screen", h(".stage", video)),
		h(".bar", label, h(".row", does("−", () => (view = zoom(view, all, 2, at)), "More time"), does("+", () => (view = zoom(view, all, 0.5, at)), "Less time"))), bar,
		h(".bar", h(".row", does("Start a file here", () => (range = [at, Math.max(range[1], at)])), does("End it here", () => (range = [Math.min(range[0], at), at]))), file)),
	h("aside", h("section.card", h("h2", "Events"), log))));
	on(window, "resize", draw, {signal});
	play(at, !!asked);
}
