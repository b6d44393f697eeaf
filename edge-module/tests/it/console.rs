//! The page of `lva-edge module --demo` in a browser.

mod chromium;
mod picture;
mod rules;

use std::path::Path;

use serde_json::{Value, json};

use crate::process::Process;
use chromium::{Chromium, DESKTOP, PHONE, Page, View};

const CAMERA: &str = "Sample-Graph-1";

/// The demo, and where its page is.
struct Site {
    _demo: Process,
    page: String,
}

impl Site {
    fn start(directory: &Path, http: &str) -> Self {
        let args = ["module", "--demo", "--http", http, "--metrics", "127.0.0.1:0"];
        let mut demo = Process::start(directory, &args);
        let line = demo.line("console ");
        let page = line.split_whitespace().last().unwrap().to_owned();
        Self { _demo: demo, page }
    }

    fn view(&self, hash: &str) -> String {
        format!("{}#/{hash}", self.page)
    }

    fn live(&self) -> String {
        self.view(&format!("live/{CAMERA}"))
    }

    /// The address and the port.
    fn host(&self) -> &str {
        self.page.split('/').nth(2).unwrap()
    }
}

const IS_LIVE: &str = "document.querySelector('.stage').dataset.state === 'live'";
const IS_CLOSE: &str = "newest && document.querySelector('.stage').dataset.behindMs <= 500 && document.querySelector('.stage').dataset.behindMs > 0";

async fn seconds(page: &mut Page) -> f64 {
    page.value("document.querySelector('video').currentTime")
        .await
        .as_f64()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_pictures_begin_at_once_stay_close_and_come_back() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    let mut page = browser.open(&site.live(), DESKTOP).await;
    page.until(IS_LIVE).await;

    let mut first = Vec::new();
    for _ in 0..5 {
        let mut page = browser.open(&site.live(), DESKTOP).await;
        first.push(page.until("firstPicture").await.as_f64().unwrap().round());
        page.close().await;
    }
    first.sort_by(f64::total_cmp);
    eprintln!("first pictures after {first:?} ms");

    page.until(IS_CLOSE).await;
    let begin = seconds(&mut page).await;
    page.until(&format!(
        "document.querySelector('video').currentTime > {}",
        begin + 10.0
    ))
    .await;
    // Nothing is taken from the socket for three seconds.
    page.value("for (const end = performance.now() + 3000; performance.now() < end;);")
        .await;
    page.until(IS_CLOSE).await;
    assert_eq!(
        page.value("document.querySelector('.stage').dataset.connections")
            .await,
        json!("1")
    );
    assert_eq!(page.errors(), [""; 0]);

    let host = site.host().to_owned();
    drop(site);
    page.until("document.querySelector('.stage').dataset.state === 'lost'")
        .await;
    let _site = Site::start(directory.path(), &host);
    page.until("document.querySelector('.stage').dataset.connections === '2'")
        .await;
    page.until(IS_LIVE).await;
    page.until(IS_CLOSE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes five minutes"]
async fn live_pictures_are_close_after_five_minutes_with_a_stall() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    let mut page = browser.open(&site.live(), DESKTOP).await;
    page.until(IS_CLOSE).await;
    let far = "window.far = 0; setInterval(() => far = Math.max(far, document.querySelector('.stage').dataset.behindMs), 500)";
    for part in 0..4 {
        if part == 2 {
            page.value("for (const end = performance.now() + 3000; performance.now() < end;);")
                .await;
            page.until(IS_CLOSE).await;
        }
        page.value(far).await;
        let later = seconds(&mut page).await + 75.0;
        page.until(&format!("document.querySelector('video').currentTime > {later}"))
            .await;
        eprintln!("at most {} ms behind", page.value("far").await);
        page.until(IS_CLOSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boxes_are_drawn_on_their_own_pictures() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    let mut page = browser.open(&site.live(), DESKTOP).await;
    page.until("newest.exact && newest.entities.length").await;
    // The pictures themselves are compared, so nothing may be drawn on them.
    page.value("document.querySelectorAll('label.row input').forEach(input => input.click())")
        .await;
    let drawn = page.value(picture::GRAB).await;
    picture::compare(drawn.as_array().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_and_a_line_drawn_with_the_mouse_give_events() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    let mut page = browser.open(&site.view(&format!("edit/{CAMERA}")), DESKTOP).await;
    page.until("document.querySelector('.shapes button')").await;
    page.click(".row button", "Zone").await;
    let canvas = page
        .value("(({left, top, width, height}) => [left, top, width, height])(document.querySelector('.canvas').getBoundingClientRect())")
        .await;
    let number = |i: usize| canvas[i].as_f64().unwrap();
    let at = |x: f64, y: f64| (number(0) + x * number(2), number(1) + y * number(3));

    let corners = [at(0.1, 0.4), at(0.9, 0.4), at(0.9, 0.95), at(0.1, 0.95)];
    for corner in corners.into_iter().chain([corners[0]]) {
        page.press(corner).await;
    }
    page.enter("the whole square").await;
    page.drag(corners[0], at(0.05, 0.35)).await;
    let outline = "document.querySelector('.own .edge').getAttribute('points').split(' ')[0]";
    let moved = page.value(outline).await;
    page.key("z", 90, 2).await;
    assert_ne!(page.value(outline).await, moved, "undone");
    page.key("Z", 90, 2 | 8).await;
    assert_eq!(page.value(outline).await, moved, "done again");
    page.click(".row button", "Line").await;
    page.press(at(0.5, 0.3)).await;
    page.press(at(0.5, 0.95)).await;
    page.enter("the middle").await;
    page.picture("console-editor").await;
    page.click(".bar button", "Save").await;
    page.until("document.querySelector('#toast').textContent.startsWith('Saved')")
        .await;

    page.go("events").await;
    for shape in ["the whole square", "the middle"] {
        page.until(&format!(
            "[...document.querySelectorAll('.event')].find(e => e.textContent.includes('{shape}'))"
        ))
        .await;
    }
    page.go(&format!("edit/{CAMERA}")).await;
    page.click(".bar button", "What if").await;
    page.until("document.querySelector('dialog td')").await;
    page.picture("console-what-if").await;
    assert_eq!(page.errors(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_s_own_rules_hold() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    let mut page = browser.open(&site.live(), DESKTOP).await;
    page.allow_scripts().await;
    page.until("newest").await;
    rules::hold(&mut page).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_works_on_desktop_and_phone_and_asks_nobody_else() {
    let Some(mut browser) = Chromium::start().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path(), "127.0.0.1:0");
    // A script of the tests, not of the page: axe-core, where scripts/axe-core.sh has it.
    let axe = std::env::var_os("LVA_AXE").map(|path| std::fs::read_to_string(path).unwrap());
    for (view, name) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        look_around(&mut browser, &site, view, name, axe.as_deref()).await;
    }
}

async fn look_around(browser: &mut Chromium, site: &Site, view: View, name: &str, axe: Option<&str>) {
    let mut page = browser.open(&site.live(), view).await;
    if axe.is_some() {
        page.allow_scripts().await;
    }
    page.until("newest.entities.length && document.querySelector('.event')")
        .await;
    let recorded =
        "fetch('api/events').then(r => r.json()).then(({events}) => events.some(e => e.recording))";
    crate::within("a recorded event", async {
        while page.value(recorded).await != json!(true) {}
    })
    .await;
    let of_camera = |view: &str| format!("{view}/{CAMERA}");
    let views = [
        (
            "live".to_owned(),
            "document.querySelector('.tile [data-state=live]')",
        ),
        (of_camera("live"), IS_CLOSE),
        (
            "events".to_owned(),
            "(document.querySelector('dialog') || document.querySelector('.event').click(), document.querySelector('dialog dl'))",
        ),
        (of_camera("edit"), "document.querySelector('.shapes button')"),
        (
            of_camera("recordings"),
            "document.querySelector('.segment, .clip') && document.querySelector('video').readyState > 1",
        ),
        ("graphs".to_owned(), "document.querySelector('.graph .ok')"),
        ("health".to_owned(), "document.querySelector('dl, table')"),
    ];
    for (hash, is_there) in views {
        page.go(&hash).await;
        page.until(is_there).await;
        if let Some(axe) = axe {
            page.value(&format!("(window.axe ?? (() => {{ {axe} }})(), true)"))
                .await;
            let found = page
                .value("axe.run({resultTypes: ['violations']}).then(({violations}) => violations.filter(v => /serious|critical/.test(v.impact)).map(v => [v.id, ...v.nodes.map(n => n.html)]))")
                .await;
            assert_eq!(found, json!([]), "{name}, {hash}");
        }
        let view = hash.split('/').next().unwrap();
        page.picture(&format!("console-{view}-{name}")).await;
        page.value("document.querySelector('dialog')?.close()").await;
    }
    let origin = format!("http://{}/", site.host());
    let requests = page
        .value("performance.getEntriesByType('resource').map(({name}) => name)")
        .await;
    let foreign = |url: &&Value| {
        let url = url.as_str().unwrap();
        ![&*origin, "data:", "blob:"]
            .iter()
            .any(|own| url.starts_with(own))
    };
    assert_eq!(requests.as_array().unwrap().iter().find(foreign), None);
    assert_eq!(page.errors(), [""; 0]);
}
