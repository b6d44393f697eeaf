/** Rules of the live picture, without page or clock. Times are ticks of 1/90000 s, or seconds. */
export const TICKS = 90000;

/** Milliseconds before the n-th attempt to connect: soon at first, 3 s at most, spread so that pages do not come back together. */
export const backoff = (attempt, random = Math.random()) => Math.min(3000, 200 * 2 ** Math.min(attempt, 6)) * (0.6 + 0.4 * random);

/** How to play on, `behind` seconds after the newest picture: a little faster or slower, or a jump where that takes too long. */
export function chase(behind, target) {
	const over = behind - target;
	return {jump: over > 0.8, rate: over > 0.8 ? 1 : over > 0.04 ? 1.05 + Math.min(0.2, over / 2) : over < -0.05 ? 0.92 : 1};
}

/** The delay, 0.1 s to 0.4 s, that keeps pictures coming and lets their boxes arrive first. */
export class Delay {
	target = 0.15;
	#late = 0;
	/** The picture stood still for want of data. */
	ranDry() {this.target = Math.min(0.35, this.target + 0.05);}
	/** Boxes came this many seconds after their picture. Very late ones are not waited for. */
	boxes(late) {if (late >= 0 && late < 0.36) this.#late = Math.max(late, this.#late * 0.98);}
	/** Ten times a second: what raised the delay may be over. */
	settle() {this.target = Math.max(0.1, this.#late + 0.04, this.target - 0.001);}
}

const SAME = 45; // half a millisecond: browsers round media time to microseconds

/** Boxes by the time of their picture. */
export class BoxHistory {
	#all = [];

	add(boxes) {
		const {timestamp90k} = boxes, at = this.#all.findLastIndex(old => old.timestamp90k <= timestamp90k);
		if (this.#all[at]?.timestamp90k === timestamp90k) this.#all[at] = boxes;
		else this.#all.splice(at + 1, 0, boxes);
		if (this.#all.length > 1200) this.#all.shift();
	}

	/** The boxes of a picture. `exact`: measured on it; otherwise they lie between those of the pictures around it, `sure` where these are close. */
	at(timestamp90k) {
		const i = this.#all.findLastIndex(boxes => boxes.timestamp90k <= timestamp90k + SAME), {[i]: before, [i + 1]: after} = this.#all;
		const passed = timestamp90k - before?.timestamp90k, gap = after?.timestamp90k - before?.timestamp90k, exact = passed <= SAME;
		return {exact, sure: exact || gap <= TICKS / 4, entities: exact ? before.entities : gap <= TICKS ? between(before.entities, after.entities, passed / gap) : passed <= TICKS / 2 ? before.entities : []};
	}
}

const between = (before, after, share) => before.flatMap(entity => {
	const box = after.find(({id}) => id === entity.id)?.box;
	return box ? {...entity, box: entity.box.map((v, i) => v + (box[i] - v) * share)} : [];
});
