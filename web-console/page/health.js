/** What needs attention and what to do about it; then the figures. */
import {get, poll} from "./api.js";
import {facts, failure, h, notice, put, redraw, table, words} from "./dom.js";

export const show = ({main, signal}) => poll(signal, 5000, async () => {
	const {problems, ...parts} = await get("api/health");
	redraw(main, [h("h1", "Health"), problems.map(({severity, subject, text, remedy}) => h(`section.card.${severity}`, h("h2", subject), h("p", text), h("p", h("b", "What to do: "), remedy))),
		!problems.length && notice("All is well", "Nothing here needs attention."),
		h(".wall", Object.entries(parts).map(([name, part]) => {
			const rows = part?.instances ?? part;
			return h("section.card", h("h2", words(name)), !Array.isArray(rows) ? facts(rows ?? {}) : rows.length ? table(words(name), rows) : "None");
		}))]);
}, error => put(main, failure(error, () => show({main, signal}))));
