/** What happened, newest first, each with its picture, its way and its reason. */
import {get, poll, query} from "./api.js";
import {button, dialog, facts, failure, field, h, link, notice, put, s, select, table, time, when, words} from "./dom.js";

const STATUS = {Enter: "entered", Exit: "left", CrossLeft: "crossed to the left", CrossRight: "crossed to the right"};
const RULES = {
	crossed: "Seen on both sides, long enough beyond the edge.", appeared: "First seen inside, and stayed.", vanished: "Last seen inside, not again in time.", passedThrough: "Passed through within the hold time.",
	lasted: "Stayed as long as the limit.", changed: "The number or the state changed.", interval: "The interval was over.",
};

export function sentence({entity, label, kind, status, properties}) {
	const text = STATUS[status] ?? [words(kind.replace(/Event$/, "")), status, properties?.personCount].filter(Boolean).join(" ");
	return entity ? `${words(label || "person")} ${entity.slice(0, 6)} ${text}` : text;
}
const shot = ({picture, path}, look, alt) => h(`span.shot.${look}`, picture && h("img", {src: picture, loading: "lazy", alt}),
	path?.length > 1 && s("svg", {viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true"}, s("polyline", {points: path.join(" ")})));
const place = (...parts) => h("span.muted", parts.filter(Boolean).join(" · "));

/** One event of a list; `brief` where the camera is known. */
export const item = (event, brief) => h("li", h("button.event", {type: "button", onclick: () => details(event)}, shot(event, "small", ""),
	h("span", h("strong", sentence(event)), place(event.zone ?? event.line, !brief && event.camera, time(event.time)))));

function details(event) {
	const {rule, samples, thresholds, ...rest} = event.why ?? {rule: "The extension gave no reason."}, {recording: at} = event;
	dialog(sentence(event), [place(event.zone ?? event.line, event.camera, when(event.time)), shot(event, "big", "The picture of this event"), h("h3", "Why"), h("p", RULES[rule] ?? rule), facts(rest),
		Array.isArray(samples) ? table("Samples", samples) : facts(samples && {samples}), thresholds && [h("h3", "Thresholds"), facts(thresholds)], h("h3", "Event"), facts(event.properties)],
	at && link("See the recording", `#/recordings/${encodeURIComponent(at.camera)}?at=${at.timestamp90k}`, ".button.primary"));
}

export async function show({main, params, signal}) {
	const {cameras} = await get("api/cameras"), filter = Object.fromEntries(params), body = h("div"), log = h("ol.card"), known = {zone: new Set(), kind: new Set()};
	let events = [];
	const older = button("Older events", () => load(true).catch(failed)), failed = error => events.length || put(body, failure(error, () => load()));
	const load = async past => {
		const asked = query(filter), answer = await get(`api/events${query({...filter, limit: 50, before: past && events.at(-1).id})}`);
		if (asked !== query(filter)) return;
		const fresh = answer.events.filter(({id}) => !events.some(event => event.id === id)), first = !events.length;
		if (past || first) older.hidden = !answer.more;
		for (const {zone, line, kind} of fresh) {
			known.zone.add(zone ?? line);
			known.kind.add(kind);
		}
		for (const name in known) put(lists[name], [...known[name]].map(value => h("option", {value})));
		events = past ? [...events, ...fresh] : [...fresh, ...events];
		log[first ? "replaceChildren" : past ? "append" : "prepend"](...fresh.map(event => item(event)));
		if (!events.length) put(body, notice("No events", "They appear here as soon as somebody crosses a line or enters a zone."));
		else if (!log.isConnected) put(body, log, older);
	};
	const set = name => value => {
		filter[name] = value;
		history.replaceState(null, "", `#/events${query(filter)}`);
		events = [];
		load().catch(failed);
	};
	const lists = {zone: h("datalist", {id: "zone"}), kind: h("datalist", {id: "kind"})};
	const text = (label, name) => field(label, [h("input", {value: filter[name] ?? "", list: name, placeholder: "All", onchange: e => set(name)(e.target.value)}), lists[name]]);
	put(main, h(".bar", h("h1", "Events"), h(".row", field("Camera", select([["", "All"], ...cameras.map(({id, name}) => [id, name])], filter.camera ?? "", set("camera"))),
		text("Zone or line", "zone"), text("Kind", "kind"))), body);
	return poll(signal, 3000, load, failed);
}
