/** The module's answers. Addresses are relative: the console may be nested anywhere. */

/** `lost` and `found`: whether the module answers; `login`: it asks for the token. */
export const signals = new EventTarget();
const tell = what => signals.dispatchEvent(new Event(what));

async function ask(path, request) {
	const response = await fetch(path, {signal: AbortSignal.timeout(20000), cache: "no-store", ...request}).catch(() => null);
	tell(response ? "found" : "lost");
	if (!response) throw new Error("The module does not answer. Is it running, and can this device reach it?");
	const answer = response.status === 204 ? null : await response.json().catch(() => undefined);
	if (response.ok && answer !== undefined) return answer;
	if (response.status === 401 && path !== "api/login") tell("login");
	throw new Error(answer?.error?.message ?? `${path} answered with status ${response.status}`);
}

export const get = path => ask(path);
export const post = (path, body = {}) => ask(path, {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
export const camera = (id, rest) => `api/cameras/${encodeURIComponent(id)}/${rest}`;
/** `?a=b` of the members that are set. */
export const query = members => `?${new URLSearchParams(Object.entries(members).filter(([, value]) => value))}`;

export const sleep = (ms, signal) => new Promise(done => {
	const timer = setTimeout(end, ms);
	signal.addEventListener("abort", end);
	function end() {
		clearTimeout(timer);
		signal.removeEventListener("abort", end);
		done();
	}
});

/** Works now and every `ms` while the page is seen, until the signal. */
export async function poll(signal, ms, work, failed = () => {}) {
	for (; !signal.aborted; await sleep(ms, signal)) if (!document.hidden) await work().catch(error => signal.aborted || failed(error));
}
