/** Boxes, tracks, zones and lines, drawn together with their picture: browsers show a video and what lies over it at different times. */
import {BoxHistory} from "./core.js";
import {h, on} from "./dom.js";
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
		stage.append(this.canvas = h("canvas"));
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
		this.drawn = {timestamp90k, exact, entities};
		pen.clearRect(0, 0, width, height);
		if (this.frame) pen.drawImage(this.frame, 0, 0, width, height);
		pen.font = `600 ${12 * scale}px system-ui, sans-serif`;
		pen.lineWidth = 2 * scale;
		const high = 17 * scale, path = (at, colour) => {
			pen.strokeStyle = pen.fillStyle = colour;
			pen.beginPath();
			for (const [x, y] of at) pen.lineTo(x * width, y * height);
		};
		const names = [], label = (text, [x, y], moves) => {
			const left = x * width - scale, wide = pen.measureText(text).width + 8 * scale, covers = ([l, t, w]) => l < left + wide && left < l + w && Math.abs(t - top) < high;
			let top = Math.max(0, y * height - high);
			while (moves && names.some(covers)) top += scale;
			names.push([left, top, wide]);
			pen.fillRect(left, top, wide, high);
			pen.fillStyle = "#10181e";
			pen.fillText(text, left + 4 * scale, top + 12.5 * scale);
		};
		if (show.zones) for (const shape of this.#shapes) {
			const at = points(shape), [left, right] = this.#crossings[shape.name] ?? [0, 0];
			path(at, "#fffc");
			if (shape.polygon) pen.closePath();
			pen.stroke();
			label(`${shape.name} · ${shape.polygon ? this.count(shape) : `${left} left, ${right} right`}`, at.reduce((a, b) => (b[1] < a[1] ? b : a)), true);
		}
		for (const {id, label: type, score, box, trail} of entities) {
			const [x, y, w, h] = box;
			path((show.tracks && trail) || [], colour(id));
			pen.stroke();
			if (!show.boxes) continue;
			// Dashed: of an earlier picture.
			if (!sure || timeless) pen.setLineDash([5 * scale, 4 * scale]);
			pen.strokeRect(x * width, y * height, w * width, h * height);
			pen.setLineDash([]);
			if (this.focus) {
				const [ax, ay] = anchor(box, this.focus);
				pen.fillRect(ax * width - high / 4, ay * height - high / 4, high / 2, high / 2);
			}
			label([String(id ?? "").slice(0, 6), ...(width > 600 * scale ? [type, score && `${Math.round(score * 100)} %`] : [])].filter(Boolean).join(" "), [x, y]);
		}
		this.stage.dispatchEvent(new CustomEvent("drawn", {detail: this.drawn}));
	}

	/** People inside a zone, in this picture. */
	count(zone) {
		const ring = points(zone), focus = focusOf(zone);
		return this.drawn.entities.filter(({box}) => inside(ring, anchor(box, focus))).length;
	}

	crossed({line, status}) {if (line) (this.#crossings[line] ??= [0, 0])[/right|^clock/i.test(status) ? 1 : 0]++;}
}
