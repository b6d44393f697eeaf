//! Chromium without a window, driven over its DevTools protocol.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A browser with an empty profile, which is offered no network but this machine's.
pub(crate) struct Chromium {
    child: Child,
    address: String,
    connection: Connection,
    // Removed after the browser has ended.
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) size: (u32, u32),
    pub(crate) is_phone: bool,
    pub(crate) is_dark: bool,
}

pub(crate) const DESKTOP: View = View {
    size: (1280, 860),
    is_phone: false,
    is_dark: false,
};

pub(crate) const PHONE: View = View {
    size: (390, 844),
    is_phone: true,
    is_dark: true,
};

/// Notes when the first picture was drawn, and the newest one.
const RECORDER: &str = "
    addEventListener('drawn', ({detail}) => {
        if (!detail.timestamp90k) return;
        window.firstPicture ??= performance.now();
        window.newest = detail;
    }, true);
";

impl Chromium {
    /// `None`, and a line on standard error, where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--remote-debugging-port=0",
                "--no-first-run",
                "--mute-audio",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox"); // which it refuses to set up for root
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "in CI, chromium must be installed: {error}"
                );
                eprintln!("SKIPPED: chromium is not installed (Debian package chromium)");
                return None;
            }
        };
        let mut errors = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let url = errors.find_map(|line| Some(line.split_once("DevTools listening on ")?.1.to_owned()));
        std::thread::spawn(move || errors.for_each(drop));
        let url = url.expect("the browser's address");
        let address = url
            .trim_start_matches("ws://")
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        Some(Self {
            child,
            connection: Connection::open(&address, &url).await,
            address,
            _profile: profile,
        })
    }

    /// A page with a cache and cookies of its own.
    pub(crate) async fn open(&mut self, url: &str, view: View) -> Page {
        let context = self
            .connection
            .call("Target.createBrowserContext", json!({}))
            .await;
        let target = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = self.connection.call("Target.createTarget", target).await;
        let id = target["targetId"].as_str().unwrap();
        let url_of_page = format!("ws://{}/devtools/page/{id}", self.address);
        let mut page = Page(Connection::open(&self.address, &url_of_page).await);
        for domain in ["Page", "Runtime", "Log"] {
            page.0.call(&format!("{domain}.enable"), json!({})).await;
        }
        let (width, height) = view.size;
        let scale = if view.is_phone { 2 } else { 1 };
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": view.is_phone});
        page.0.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if view.is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.0.call("Emulation.setEmulatedMedia", media).await;
        page.0
            .call(
                "Page.addScriptToEvaluateOnNewDocument",
                json!({"source": RECORDER}),
            )
            .await;
        page.0.call("Page.navigate", json!({"url": url})).await;
        page
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page of the browser.
pub(crate) struct Page(Connection);

impl Page {
    /// The value of an expression, or of the promise that it is.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.0.call("Runtime.evaluate", asked).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, or something; returns it.
    pub(crate) async fn until(&mut self, expression: &str) -> Value {
        let look = format!(
            "new Promise(done => {{
                const look = () => {{
                    let found;
                    try {{ found = {expression}; }} catch {{}}
                    found ? done(found) : setTimeout(look, 10);
                }};
                look();
            }})"
        );
        crate::within(expression, self.value(&look)).await
    }

    /// Goes to another view of the page.
    pub(crate) async fn go(&mut self, hash: &str) {
        self.value(&format!("location.hash = '/{hash}'")).await;
    }

    /// Presses the mouse on the first element that a selector finds, and that has this text.
    pub(crate) async fn click(&mut self, selector: &str, text: &str) {
        let found = format!(
            "(() => {{
                const all = [...document.querySelectorAll('{selector}')];
                const box = all.find(e => e.textContent.includes('{text}') && !e.disabled).getBoundingClientRect();
                return box.width && [box.left + box.width / 2, box.top + box.height / 2];
            }})()"
        );
        let at = self.until(&found).await;
        self.press((at[0].as_f64().unwrap(), at[1].as_f64().unwrap()))
            .await;
    }

    /// Presses and releases the mouse.
    pub(crate) async fn press(&mut self, at: (f64, f64)) {
        self.drag(at, at).await;
    }

    /// Drags the mouse with its button held.
    pub(crate) async fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        for (kind, (x, y), buttons) in [
            ("mouseMoved", from, 0),
            ("mousePressed", from, 1),
            ("mouseMoved", to, 1),
            ("mouseReleased", to, 0),
        ] {
            let button = if kind == "mouseMoved" && buttons == 0 {
                "none"
            } else {
                "left"
            };
            let event =
                json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1});
            self.0.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Types into what has the focus.
    pub(crate) async fn enter(&mut self, text: &str) {
        self.0.call("Input.insertText", json!({"text": text})).await;
        self.key("Enter", 13, 0).await;
    }

    /// Presses a key; modifiers: 2 is control, 8 shift.
    pub(crate) async fn key(&mut self, key: &str, code: u32, modifiers: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers});
            if (key, kind) == ("Enter", "keyDown") {
                event["text"] = json!("\r"); // without it, fields take it for no more than a key
            }
            self.0.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Writes a picture of the page into the directory that `LVA_SCREENSHOTS` names.
    pub(crate) async fn picture(&mut self, name: &str) {
        let Some(directory) = std::env::var_os("LVA_SCREENSHOTS") else {
            return;
        };
        let answer = self
            .0
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let png = decoded(&answer["data"]);
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), png).unwrap();
    }

    /// What the browser has reported as an error since the page was opened.
    pub(crate) fn errors(&self) -> Vec<String> {
        let events = self.0.events.iter();
        let errors = events.filter_map(|event| match event["method"].as_str()? {
            "Runtime.exceptionThrown" => Some(&event["params"]["exceptionDetails"]),
            "Log.entryAdded" => Some(&event["params"]["entry"]).filter(|entry| entry["level"] == "error"),
            _ => None,
        });
        errors.map(Value::to_string).collect()
    }

    pub(crate) async fn close(mut self) {
        self.0.call("Page.close", json!({})).await;
    }

    /// Lets tests add scripts of their own, which the page's policy forbids.
    pub(crate) async fn allow_scripts(&mut self) {
        self.0.call("Page.setBypassCSP", json!({"enabled": true})).await;
        self.0.call("Page.reload", json!({})).await;
    }
}

/// The bytes of a string in base64.
pub(crate) fn decoded(text: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text.as_str().unwrap())
        .unwrap()
}

/// A socket of the protocol, with the events that came over it.
struct Connection {
    socket: WebSocketStream<TcpStream>,
    calls: u64,
    events: Vec<Value>,
}

impl Connection {
    async fn open(address: &str, url: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(url, stream).await.unwrap();
        Self {
            socket,
            calls: 0,
            events: Vec::new(),
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let call = json!({"id": self.calls, "method": method, "params": params});
        self.socket.send(Message::text(call.to_string())).await.unwrap();
        loop {
            let message = crate::within(method, self.socket.next()).await.unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }
}
