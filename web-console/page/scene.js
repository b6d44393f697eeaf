/** Zones and lines as values: a change gives a new scene and keeps unknown members. Points are fractions of the frame. */
export const hold = v => Math.min(1, Math.max(0, v));
const round = v => Math.round(hold(v) * 1e5) / 1e5;
const pair = p => (Array.isArray(p) ? p : [p?.x ?? 0, p?.y ?? 0]);

/** Corners of a zone, without the first one repeated, or the two ends of a line. */
export function points({polygon, line, start, end}) {
	if (!polygon) return [line?.start ?? start, line?.end ?? end].map(pair);
	const ring = polygon.map(pair);
	return ring.length > 3 && `${ring[0]}` === `${ring.at(-1)}` ? ring.slice(0, -1) : ring;
}
export function withPoints(shape, at) {
	at = at.map(p => p.map(round));
	if (shape.polygon) return {...shape, polygon: at};
	const {line, ...rest} = shape;
	return {...rest, start: at[0], end: at[1]};
}

/** All shapes with their places in the scene. */
export const each = scene => ["zones", "lines"].flatMap(kind => (scene[kind] ?? []).map((shape, index) => ({kind, index, shape})));
/** The scene with one shape changed, or without it where `edit` gives nothing. */
export const change = (scene, {kind, index}, edit) => ({...scene, [kind]: scene[kind].flatMap((shape, i) => (i === index ? edit(shape) ?? [] : shape))});
/** The scene with a new shape, and its place. */
export function add(scene, kind, at) {
	const names = each(scene).map(({shape}) => shape.name), all = scene[kind] ?? [];
	let n = 1, name;
	do name = `${kind.slice(0, -1)} ${n++}`; while (names.includes(name));
	return [{...scene, [kind]: [...all, withPoints(kind === "zones" ? {name, polygon: at} : {name}, at)]}, {kind, index: all.length}];
}

export const movePoint = (shape, i, to) => withPoints(shape, points(shape).with(i, to));
/** A new corner after corner `i`. */
export const insertPoint = (shape, i, at) => withPoints(shape, points(shape).toSpliced(i + 1, 0, at));
/** A zone keeps three corners, a line both ends. */
export const removePoint = (shape, i) => (shape.polygon && points(shape).length > 3 ? withPoints(shape, points(shape).toSpliced(i, 1)) : shape);
/** Moved as a whole, as far as it stays in the frame. */
export function translate(shape, by) {
	const at = points(shape), [dx, dy] = by.map((d, axis) => {
		const all = at.map(p => p[axis]);
		return Math.max(-Math.min(...all), Math.min(1 - Math.max(...all), d));
	});
	return withPoints(shape, at.map(([x, y]) => [x + dx, y + dy]));
}

/** A value with its past and future. */
export class History {
	past = [];
	future = [];
	constructor(present) {this.present = present;}
	commit(next, before = this.present) {
		this.past = [...this.past.slice(-199), before];
		this.future = [];
		this.present = next;
	}
	step(from, to) {
		if (!this[from].length) return;
		this[to].push(this.present);
		this.present = this[from].pop();
	}
}

const word = text => String(text).toLowerCase().replace(/[^a-z]/g, "");
const events = shape => (shape.events?.length ? shape.events : [{type: shape.polygon ? "zonecrossing" : "linecrossing"}]);
/** The settings of a type of events, or of the first one; `undefined` where the shape does not report it. */
export function config(shape, type) {
	const event = events(shape).find(event => !type || word(event.type) === type);
	return event && (event.config ?? {});
}
/** With or without a type of events. One must stay. */
export function setEvent(shape, type, on) {
	const rest = events(shape).filter(event => word(event.type) !== type), {focus, threshold} = config(shape);
	if (on) rest.push({type, config: JSON.parse(JSON.stringify({trigger: "event", focus, threshold}))});
	return rest.length ? {...shape, events: rest} : shape;
}
/** A setting of all events; `undefined` removes it. */
export const setConfig = (shape, name, value) => ({...shape, events: events(shape).map(event => ({...event, config: JSON.parse(JSON.stringify({trigger: "event", ...event.config, [name]: value}))}))});

/** How far beyond an edge a person must be, as a share of the frame's width. Earlier generations wrote pixels or percent, 1 and more. */
export const deadBand = shape => (config(shape).threshold < 1 ? Number(config(shape).threshold) : 0.004);
export const focusOf = shape => word(config(shape).focus ?? "footprint").replace("bottomcenter", "bottom_center");
/** The point of a box that counts. */
export const anchor = ([left, top, width, height], focus) => [left + width / 2, top + height * ({center: 0.5, bottom_center: 1}[focus] ?? 0.96)];
export const inside = (ring, [x, y]) => ring.filter(([ax, ay], i) => {
	const [bx, by] = ring[(i + 1) % ring.length];
	return ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax;
}).length % 2 === 1;

/** Events of two scenes side by side: the same kind, place and person within half a second are one row. */
export function compare(before, after) {
	const open = [...after], key = e => `${[e.kind, e.status, e.zone, e.line, e.entity]}`, start = ([a, b]) => (a ?? b).timestamp90k;
	const rows = before.map(old => {
		const at = open.findIndex(e => key(e) === key(old) && Math.abs(e.timestamp90k - old.timestamp90k) <= 45000);
		return [old, at < 0 ? undefined : open.splice(at, 1)[0]];
	});
	return [...rows, ...open.map(e => [undefined, e])].sort((a, b) => start(a) - start(b));
}
