/** One camera's live pictures: fragmented MP4 over a WebSocket into a media source, never given up; multipart JPEG where that cannot be. */
import {camera as path, get} from "./api.js";
import {on} from "./dom.js";
import {backoff, chase, Delay, TICKS} from "./core.js";

const Source = window.ManagedMediaSource ?? window.MediaSource;
const MOST_WAITING = 240; // fragments
const KEPT = 8; // seconds behind the picture
const SILENT = 8000; // ms
const mime = ({codec}) => `video/mp4; codecs="${codec}"`;

export class Live {
	state = "connecting";
	behind = 0;
	connections = 0;
	/** Time of the zero of the element's clock. */
	base90k = 0;
	#delay = new Delay();
	/** Fragments; `init` comes with an initialisation segment. */
	#queue = [];
	#attempt = 0;
	#failures = 0;

	/** `told.message(m)` gets boxes and events, `told.state(state, text)`: live, waiting, lost, paused. */
	constructor(camera, video, image, told) {
		Object.assign(this, {camera, video, image, told});
		video.disableRemotePlayback = true;
		const {signal} = this.ended = new AbortController();
		on(video, "waiting", () => this.state === "live" && this.#delay.ranDry(), {signal});
		on(video, "error", () => this.#broken(), {signal});
		// A page in the background would only queue pictures.
		on(document, "visibilitychange", () => (document.hidden ? this.#hangUp() : this.#connect()), {signal});
		if (camera.live !== "mse" || !Source) this.#showJpeg();
		this.timer = setInterval(() => this.#tick(), 100);
		this.#connect();
	}

	end() {
		this.ended.abort();
		[this.timer, this.retry].forEach(clearTimeout);
		this.#hangUp();
		this.#forget();
		this.image.removeAttribute("src");
	}

	timestamp(mediaTime) {return this.base90k + Math.round(mediaTime * TICKS);}

	play() {
		this.video.play().then(() => this.#tell("live"), ({name}) => name === "NotAllowedError" && this.#tell("paused", "The browser asks for a click before it plays."));
	}

	#tell(state, text) {if (state !== this.state || text) this.told.state(this.state = state, text);}

	#connect() {
		if (this.socket || document.hidden) return;
		const socket = this.socket = new WebSocket(new URL(path(this.camera.id, "live"), document.baseURI).href.replace("http", "ws"));
		this.heard = performance.now();
		socket.binaryType = "arraybuffer";
		socket.onmessage = ({data}) => {
			this.heard = performance.now();
			typeof data === "string" ? this.#text(JSON.parse(data)) : this.jpeg || this.#binary(new Uint8Array(data));
		};
		socket.onclose = () => this.socket === socket && this.#lose();
	}

	#hangUp() {
		const {socket} = this;
		this.#queue = [];
		this.init = this.socket = null;
		socket?.close();
	}

	#lose() {
		this.#hangUp();
		this.#tell("lost", "Connection lost, trying again…");
		// A closed socket does not say why; this tells when a login is needed.
		if (this.#attempt === 2) get("api/cameras").catch(() => {});
		this.retry = setTimeout(() => this.#connect(), backoff(this.#attempt++));
	}

	#text(message) {
		const {type, state, text, timestamp90k} = message;
		if (type === "init") this.init = message;
		if (type === "state") this.waits = state !== "live" && (this.#tell("waiting", text || "Waiting for the camera…"), true);
		if (type === "boxes" && this.base90k) this.#delay.boxes(this.#edge() + (this.base90k - timestamp90k) / TICKS);
		if (this.jpeg) this.#attempt = 0;
		this.told.message(message);
	}

	#binary(bytes) {
		const {init} = this;
		if (init && bytes[4] === 0x66) {// ftyp
			if (!Source.isTypeSupported(mime(init))) return this.#showJpeg();
			this.#attempt = 0;
			this.connections++;
			this.init = this.waits = null;
			this.#queue.push({bytes, init});
		} else if (this.#queue.push({bytes}) > MOST_WAITING) return this.#lose();
		this.#pump();
	}

	#open(init) {
		this.#forget();
		const source = this.source = new Source();
		this.base90k = init.epoch90k;
		on(source, "sourceopen", () => {
			this.buffer = source.addSourceBuffer(this.mime = mime(init));
			on(this.buffer, "updateend", () => this.#pump());
			this.#pump();
		}, {once: true});
		// A phone that saves power takes nothing for a while, and then from a key frame.
		on(source, "startstreaming", () => this.#connect());
		on(source, "endstreaming", () => this.#hangUp());
		this.video.src = URL.createObjectURL(source);
	}

	#forget() {
		URL.revokeObjectURL(this.video.src);
		this.source = this.buffer = this.moved = null;
		this.video.removeAttribute("src");
	}

	#pump() {
		const [{bytes, init} = {}] = this.#queue, {buffer, video} = this;
		// A media source cannot go back in time, as a clock can.
		if (init && (!this.source || init.epoch90k < this.base90k)) return this.#open(init);
		if (!bytes || !buffer || buffer.updating) return;
		try {
			if (buffer.buffered.length && video.currentTime - buffer.buffered.start(0) > 2 * KEPT) return buffer.remove(0, video.currentTime - KEPT);
			if (init) {
				buffer.abort();
				if (mime(init) !== this.mime) buffer.changeType(this.mime = mime(init));
				buffer.timestampOffset = (init.epoch90k - this.base90k) / TICKS;
			}
			buffer.appendBuffer(bytes);
			this.fed = performance.now();
			this.#queue.shift();
		} catch {
			this.#broken();
		}
	}

	#broken() {
		if (!this.source) return;
		this.#forget();
		if (++this.#failures > 3) this.#showJpeg();
		else this.#lose();
	}

	#showJpeg() {
		const {image, video} = this, load = () => this.ended.signal.aborted || (image.src = path(this.camera.id, `live.mjpeg?${Date.now()}`));
		this.jpeg = video.hidden = true;
		image.hidden = false;
		this.#forget();
		image.onload = () => this.#tell("live");
		image.onerror = () => setTimeout(load, backoff(this.#attempt++));
		load();
	}

	/** The end of what is buffered. */
	#edge() {
		const {buffered} = this.video;
		return buffered.length && buffered.end(buffered.length - 1);
	}

	#tick() {
		const now = performance.now(), {video} = this, {buffered, currentTime: here} = video, plays = this.state !== "paused";
		if (this.socket && now - this.heard > SILENT) return this.#lose();
		if (this.jpeg || !buffered.length) return;
		this.#delay.settle();
		const edge = this.#edge(), start = buffered.start(buffered.length - 1), {target} = this.#delay, behind = this.behind = edge - here, {jump, rate} = chase(behind, target);
		this.moved ??= {at: now};
		const stands = here === this.moved.to && plays ? now - this.moved.at : 0, stuck = stands > 2000 && behind > 0.3;
		// A clock was put back a little: the new pictures are behind this one.
		if (stands > 2500 && now - this.fed < 500) {
			this.#forget();
			return this.#lose();
		}
		// Too far behind, before a gap, or ahead of what there is.
		if (jump || stuck || here < start || behind < -0.5) video.currentTime = Math.max(start, edge - target);
		if (video.playbackRate !== rate) video.playbackRate = rate;
		if (video.paused && plays) this.play();
		if (here !== this.moved.to || stuck) this.moved = {to: here, at: now};
		if (here && !stuck && behind && this.socket && !this.waits && plays && this.moved.at === now) this.#tell("live");
		if (here > 20) this.#failures = 0;
	}
}
