/** Live pictures: all cameras, or one of them with what happens there. */
import {camera as path, get, poll, query, sleep} from "./api.js";
import {button, check, fact, h, link, notice, on, put, select} from "./dom.js";
import {item} from "./events.js";
import {Live} from "./live.js";
import {Overlay} from "./overlay.js";

export const address = (view, id) => `#/${view}/${encodeURIComponent(id)}`;
export const other = (cameras, id, view) => select(cameras.map(({id, name}) => [id, name]), id, id => (location.hash = address(view, id)), {"aria-label": "Camera"});
export async function find(id) {
	const {cameras} = await get("api/cameras"), camera = cameras.find(camera => camera.id === id);
	if (!camera) throw new Error("This camera is not here any more. Its graph instance may be inactive or deleted.");
	return {camera, cameras};
}

/** A picture that plays between `begin()` and `end()`, at most until the signal. */
export function player(camera, signal, heard = () => {}) {
	const alt = `Live picture of ${camera.name}`, video = h("video", {muted: true, playsinline: "", autoplay: "", "aria-label": alt}), image = h("img", {hidden: true, alt});
	const cover = h(".cover", {role: "status"}, "Connecting…"), stage = h(".stage", video, image), badge = h("span.pill", "connecting");
	const message = message => {
		if (message.type === "boxes") overlay.add(message, !image.hidden);
		if (message.type === "event") {
			overlay.crossed(message);
			heard(message);
		}
	};
	const state = (state, text = "") => {
		stage.dataset.state = badge.textContent = state;
		badge.className = `pill ${{live: "ok", lost: "bad"}[state] ?? "warn"}`;
		put(cover, text, state === "paused" && button("Play", () => own.live.play(), ".primary"));
	};
	const overlay = new Overlay(stage, video, () => own.live, signal);
	const own = {stage, badge, overlay, begin: () => (own.live ??= new Live(camera, video, image, {message, state})), end: () => (own.live = own.live?.end())};
	stage.style.aspectRatio = `${camera.width || 16} / ${camera.height || 9}`;
	stage.append(cover);
	on(signal, "abort", own.end);
	return own;
}

export async function show(view) {
	if (view.id) one(view, await find(view.id));
	else all(view, await get("api/cameras"));
}

function all({main, signal}, first) {
	let shown, stop;
	const draw = ({cameras}) => {
		const key = JSON.stringify(cameras.map(({id, name, live, codec, width, height}) => [id, name, live, codec, width, height]));
		if (key === shown) return;
		shown = key;
		stop?.abort();
		stop = new AbortController();
		const until = AbortSignal.any([signal, stop.signal]), seen = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => target.own[isIntersecting ? "begin" : "end"]()));
		on(until, "abort", () => seen.disconnect());
		put(main, h("h1", "Live"), h(".wall", cameras.map(camera => {
			const own = player(camera, until), card = h("article.card.tile", own.stage, h("a.bar", {href: address("live", camera.id)}, h("strong", camera.name), own.badge));
			card.own = own;
			seen.observe(card);
			return card;
		})), !cameras.length && notice("No camera yet", "A camera appears here while a graph instance with a camera source is active.", link("To the graphs", "#/graphs")));
	};
	draw(first);
	poll(signal, 5000, async () => draw(await get("api/cameras")));
}

async function one({main, signal, readOnly}, {camera, cameras}) {
	const {id, name, codec, lastError} = camera, log = h("ol"), now = h("dl");
	const add = event => {
		log.prepend(item(event, true));
		if (log.children.length > 20) log.lastChild.remove();
	};
	const {overlay, stage, badge, begin} = player(camera, signal, add), live = begin();
	let zones = [];
	put(main,
		h(".bar", h("h1", name), h(".row", cameras.length > 1 && other(cameras, id, "live"),
			link("Recordings", address("recordings", id), ".button"), link(readOnly ? "Zones and lines" : "Edit zones and lines", address("edit", id), ".button.primary"))),
		h(".split",
			h("div", h(".screen", stage), h(".row", Object.keys(overlay.show).map(what => check(`Show ${what}`, true, on => {
				overlay.show[what] = on;
				overlay.picture();
			})))),
			h("aside",
				h("section.card", h(".bar", h("h2", "Now"), badge), now, lastError && h("p.finding", lastError)),
				h("section.card", h(".bar", h("h2", "Events"), link("All", `#/events${query({camera: id})}`)), log))));
	get(path(id, "scene")).then(({scene}) => {
		zones = scene.zones ?? [];
		overlay.scene(scene);
	}, () => {});
	get(`api/events${query({camera: id, limit: 10})}`).then(({events}) => events.reverse().forEach(add), () => {});
	for (; !signal.aborted; await sleep(500, signal)) {
		Object.assign(stage.dataset, {behindMs: Math.round(live.behind * 1000), connections: live.connections});
		put(now, fact("People in the picture", overlay.drawn.entities.length), zones.map(zone => fact(`In ${zone.name}`, overlay.count(zone))),
			fact("Behind the newest picture", live.state === "live" && !live.jpeg ? `${live.behind.toFixed(1)} s` : "–"), fact("Codec", codec ?? "–"));
	}
}
