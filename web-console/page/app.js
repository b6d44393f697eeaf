import {get, poll, post, signals} from "./api.js";
import "./cameras.js";
import {attempt, button, byId, failure, field, h, link, notice, on, put} from "./dom.js";

const VIEWS = {live: "cameras", edit: "editor", events: "events", recordings: "recordings", graphs: "graphs", health: "health"};
const main = byId("main"), lost = byId("lost"), problems = byId("problems");
let session, leave = new AbortController();

async function route() {
	const [path, search] = location.hash.slice(2).split("?"), [name, id] = (path || "live").split("/").map(decodeURIComponent);
	leave.abort();
	const {signal} = leave = new AbortController();
	if (!session) return;
	if (session.needsLogin) return login();
	document.title = [id, name, "Video analytics"].filter(Boolean).join(" · ");
	for (const a of document.querySelectorAll("nav a")) a.setAttribute("aria-current", a.hash === `#/${name === "edit" ? "live" : name}` ? "page" : "false");
	put(main, h("p.notice", {role: "status"}, "Loading…"));
	if (document.activeElement !== document.body) main.focus({preventScroll: true});
	try {
		if (!VIEWS[name]) return put(main, notice("There is no such page", "", link("Live", "#/live")));
		const view = await import(`./${VIEWS[name]}.js`);
		if (!signal.aborted) await view.show({main, id, params: new URLSearchParams(search), signal, readOnly: session.role === "viewer"});
	} catch (error) {
		if (!signal.aborted) put(main, failure(error, route));
	}
}

function login() {
	const token = h("input", {type: "password", autocomplete: "current-password", required: ""}), wrong = h("p.finding", {role: "alert", hidden: true});
	put(main, h("form.card.login", {onsubmit(event) {
		event.preventDefault();
		post("api/login", {token: token.value}).then(begin, ({message}) => {
			Object.assign(wrong, {textContent: message, hidden: false});
			token.select();
		});
	}}, h("h1", "Log in"), field("Access token", token, "It stands in the module's configuration."), wrong, h("button.primary", "Log in")));
	token.focus();
}

async function begin() {
	try {
		session = await get("api/session");
		put(byId("who"), session.role === "viewer" && "read only", session.loggedIn && button("Log out", () => attempt(() => post("api/logout").then(() => location.reload()))));
		route();
	} catch (error) {
		put(main, failure(error, begin));
	}
}

on(window, "hashchange", route);
on(signals, "lost", () => (lost.hidden = false));
on(signals, "found", () => (lost.hidden = true));
on(signals, "login", () => {
	if (session?.needsLogin !== false) return;
	session.needsLogin = true;
	route();
});
await begin();
poll(new AbortController().signal, 10000, async () => {
	if (session?.needsLogin !== false) return;
	const {length} = (await get("api/health")).problems;
	Object.assign(problems, {textContent: length, hidden: !length});
});
