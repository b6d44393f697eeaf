/** Boxes, tracks, zones and lines on a picture. Browsers show a video and what is drawn over it at different times; so the picture and
 *  its boxes are drawn together. */
import {BoxHistory} from "./core.js";
import {h, on, put, s} from "./dom.js";
import {anchor, each, focusOf, inside, points} from "./scene.js";

const colour = id => `hsl(${[...String(id)].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) * 47 % 360} 90% 70%)`;

export class Overlay {
	show = {boxes: true, tracks: true, zones: true};
	/** The picture on the screen: its time, its boxes, and whether they were measured on it. */
	drawn = {timestamp90k: 0, exact: false, entities: []};
	#history = new BoxHistory();
	/** Crossings since the page opened, by line: to the left, to the right. */
	#crossings = {};
	#shapes = [];

	/** `live()` is the player, if there is one. The stage dispatches `drawn` for each picture. */
	constructor(stage, video, live, signal) {
		this.stage = stage;
		this.canvas = h("canvas");
		this.outlines = s("svg.outlines", {preserveAspectRatio: "none", viewBox: "0 0 1 1", "aria-hidden": "true"});
		this.names = h(".names");
		stage.append(this.canvas, this.outlines, this.names);
		const next = (_, {mediaTime}) => {
			if (signal.aborted) return;
			video.requestVideoFrameCallback(next);
			if (!live()) return;
			this.frame?.close();
			// On a busy machine this is a later picture than the one that the call is about.
			this.frame = window.VideoFrame && new VideoFrame(video);
			this.picture(live().timestamp(this.frame ? this.frame.timestamp / 1e6 : mediaTime));
		};
		on(signal, "abort", () => this.frame?.close());
		video.requestVideoFrameCallback?.(next);
	}

	scene(scene) {
		this.#shapes = each(scene).map(({shape}) => shape);
		put(this.outlines, ...this.#shapes.map(shape => s(shape.polygon ? "polygon" : "polyline", {points: points(shape).join(" ")})));
		put(this.names, ...this.#shapes.map(shape => {
			const [x, y] = points(shape).reduce((a, b) => (b[1] < a[1] ? b : a)), name = h("span");
			name.style.left = `${Math.min(x, 0.85) * 100}%`;
			name.style.top = `${Math.max(y, 0.04) * 100}%`;
			return name;
		}));
		this.picture();
	}

	/** Where pictures have no time, as in multipart JPEG, the newest boxes are shown. */
	add(boxes, timeless) {
		this.#history.add(boxes);
		if (timeless) this.frame = null;
		if (timeless || Math.abs(boxes.timestamp90k - this.drawn.timestamp90k) < 45) this.picture(boxes.timestamp90k, timeless);
	}

	picture(timestamp90k = this.drawn.timestamp90k, timeless = false) {
		const {canvas, show} = this, {exact, sure, entities} = this.#history.at(timestamp90k), scale = Math.min(2, devicePixelRatio);
		const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale), pen = canvas.getContext("2d");
		if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
		pen.clearRect(0, 0, width, height);
		if (this.frame) pen.drawImage(this.frame, 0, 0, width, height);
		pen.font = `600 ${12 * scale}px system-ui, sans-serif`;
		pen.lineWidth = 2 * scale;
		for (const {id, label, score, box, trail} of entities) {
			pen.strokeStyle = pen.fillStyle = colour(id);
			pen.setLineDash([]);
			pen.beginPath();
			if (show.tracks) for (const [x, y] of trail ?? []) pen.lineTo(x * width, y * height);
			pen.stroke();
			if (!show.boxes) continue;
			const x = box[0] * width, y = box[1] * height, line = 17 * scale, top = y > line ? y - line : y;
			// Dashed: of an earlier picture.
			if (!sure || timeless) pen.setLineDash([5 * scale, 4 * scale]);
			pen.strokeRect(x, y, box[2] * width, box[3] * height);
			const text = [String(id ?? "").slice(0, 6), ...(width > 600 * scale ? [label, score && `${Math.round(score * 100)} %`] : [])].filter(Boolean).join(" ");
			pen.fillRect(x - scale, top, pen.measureText(text).width + 8 * scale, line);
			pen.fillStyle = "#10181e";
			pen.fillText(text, x + 3 * scale, top + 12.5 * scale);
		}
		this.drawn = {timestamp90k, exact, entities};
		this.outlines.classList.toggle("off", !show.zones);
		this.names.hidden = !show.zones;
		this.#shapes.forEach((shape, i) => {
			const [left, right] = this.#crossings[shape.name] ?? [0, 0];
			this.names.children[i].textContent = `${shape.name} · ${shape.polygon ? this.count(shape) : `${left} left, ${right} right`}`;
		});
		this.stage.dispatchEvent(new CustomEvent("drawn", {detail: this.drawn}));
	}

	/** People inside a zone, in this picture. */
	count(zone) {
		const ring = points(zone), focus = focusOf(zone);
		return this.drawn.entities.filter(({box}) => inside(ring, anchor(box, focus))).length;
	}

	crossed({line, status}) {if (line) (this.#crossings[line] ??= [0, 0])[/right|^clock/i.test(status) ? 1 : 0]++;}
}
