const nodes = all => all.flat(9).filter(child => child || child === 0);

/** Elements from data: `h("p.muted", {title}, text)`. Children become text nodes: foreign text is never markup. */
const make = create => (spec, ...rest) => {
	const [name, ...classes] = spec.split("."), element = create(name || "div");
	if (classes.length) element.setAttribute("class", classes.join(" "));
	if (rest[0]?.constructor === Object) for (const [key, value] of Object.entries(rest.shift())) {
		if (key.startsWith("on")) on(element, key.slice(2), value);
		else if (/^(value|checked|muted|hidden|disabled)$/.test(key)) element[key] = value;
		else element.setAttribute(key, value);
	}
	element.append(...nodes(rest));
	return element;
};
export const h = make(name => document.createElement(name));
export const s = make(name => document.createElementNS("http://www.w3.org/2000/svg", name));

export const byId = id => document.getElementById(id);
export const on = (target, type, act, options) => target.addEventListener(type, act, options);
export const put = (parent, ...children) => parent.replaceChildren(...nodes(children));
export const button = (text, onclick, look = "", more) => h("button" + look, {type: "button", onclick, ...more}, text);
export const link = (text, href, look = "") => h("a" + look, {href}, text);
export const field = (text, control, hint) => h("label.field", text, control, h("small", hint));
export const check = (text, checked, act) => h("label.row", h("input", {type: "checkbox", checked, onchange: e => act(e.target.checked)}), text);
export const select = (options, chosen, act, more) => {
	const control = h("select", {onchange: () => act(control.value), ...more}, options.map(([value, text]) => h("option", {value}, text)));
	control.value = chosen;
	return control;
};
export const scroll = (label, ...content) => h(".scroll", {tabindex: 0, role: "region", "aria-label": label}, content);

export const notice = (title, text, action) => h(".notice", h("h2", title), h("p", text), action);
export const failure = (error, retry) => notice("This did not work", error.message, button("Try again", retry, ".primary"));

/** Draws a part anew. What is the same stays, and with it what is being pressed; so does the keyboard. */
export function redraw(root, content) {
	const all = () => [...root.querySelectorAll("button, a, input, select, [tabindex]")], at = all().indexOf(document.activeElement), next = nodes([content]);
	next.forEach((node, i) => {
		const old = root.childNodes[i];
		if (!old) root.append(node);
		else if (!node.isEqualNode?.(old)) old.replaceWith(node);
	});
	while (root.childNodes.length > next.length) root.lastChild.remove();
	if (!all().includes(document.activeElement)) all()[at]?.focus({preventScroll: true});
}

let hide;
export function toast(textContent, className = "") {
	const place = Object.assign(byId("toast"), {textContent, className});
	clearTimeout(hide);
	hide = setTimeout(put, 5000, place);
}
export const attempt = (wish, done) => wish().then(() => done && toast(done), error => toast(error.message, "bad"));

/** A modal dialog, which its actions close; `stay` keeps it. */
export function dialog(title, content, ...actions) {
	const box = h("dialog", {"aria-label": title, onclose: () => box.remove()}, h("h2", {tabindex: -1, autofocus: ""}, title), content,
		h(".row.end", {onclick: e => e.target.matches("button:not(.stay), a") && box.close()}, actions, button("Close")));
	document.body.append(box);
	box.showModal();
}

const format = options => at => new Intl.DateTimeFormat([], {timeStyle: "medium", ...options}).format(new Date(typeof at === "number" ? at / 90 : at));
/** Of ticks of 1/90000 s or RFC 3339. */
export const time = format(), when = format({dateStyle: "medium"});

/** `lastError` → "Last error". */
export const words = name => name.replace(/(Bytes|Percent|Ms|90k)$/, "").replace(/[A-Z]/g, c => ` ${c.toLowerCase()}`).replace(/^./, c => c.toUpperCase());

/** A value as people read it; its name ends in the unit. */
export function readable(value, name = "") {
	if (/^\d{4}-\d\d-\d\dT/.test(value)) return when(value);
	if (typeof value !== "number") return value === true ? "yes" : typeof value === "string" ? value : value ? JSON.stringify(value) : "–";
	if (name.endsWith("90k")) return value > 1e12 ? time(value) : `${(value / 90000).toFixed(2)} s`;
	if (/bytes$/i.test(name)) return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(1)} GB`;
	return +value.toPrecision(value < 1e4 ? 4 : 15) + (name.endsWith("Percent") ? " %" : name.endsWith("Ms") ? " ms" : "");
}
export const fact = (name, value) => h("div", h("dt", name), h("dd", value));
export const facts = (object = {}) => h("dl", Object.entries(object).map(([name, value]) => fact(words(name), readable(value, name))));
export function table(label, rows) {
	const names = [...new Set(rows.flatMap(Object.keys))];
	return scroll(label, h("table", h("tr", names.map(name => h("th", {scope: "col"}, words(name)))), rows.map(row => h("tr", names.map(name => h("td", readable(row[name], name)))))));
}
