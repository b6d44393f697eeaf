//! Basic, Digest and header credentials, against servers that check them by themselves.

use std::collections::HashMap;

use lva_extension_protocol::FrameEncoding;
use lva_extension_protocol::http::*;
use md5::{Digest, Md5};

use super::scripted::{Act, Scripted, Seen, answer, json};

fn client(server: &Scripted, credentials: HttpCredentials) -> HttpClient {
    let options = HttpClientOptions::new(server.url.clone(), FrameEncoding::Jpg);
    HttpClient::new(options.with_credentials(credentials)).unwrap()
}

fn password() -> HttpCredentials {
    HttpCredentials::password("camera", "pass word")
}

fn md5(text: &str) -> String {
    Md5::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether a Digest answer (RFC 7616, MD5 and `auth`) is right for this nonce; its count comes back.
fn digest_is_right(seen: &Seen, nonce: &str) -> Option<String> {
    let text = seen.header("authorization")?.strip_prefix("Digest ")?;
    let pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
    let given: HashMap<&str, &str> = pairs.map(|(key, value)| (key, value.trim_matches('"'))).collect();
    let get = |name: &str| given.get(name).copied();
    let uri = seen.line.split(' ').nth(1)?;
    let secret = md5(&format!("camera:{}:pass word", get("realm")?));
    let asked = md5(&format!("POST:{uri}"));
    let (count, own) = (get("nc")?, get("cnonce")?);
    let right = md5(&format!("{secret}:{nonce}:{count}:{own}:auth:{asked}"));
    let fits = get("response")? == right && get("nonce")? == nonce && get("uri")? == uri;
    fits.then(|| count.to_owned())
}

fn challenge(header: &str) -> Act {
    Act::Send(answer(
        401,
        &format!("www-authenticate: {header}\r\n"),
        "who are you?",
    ))
}

#[tokio::test]
async fn a_password_is_sent_when_it_is_asked_for_and_at_once_from_then_on() {
    let server = Scripted::start(|_, seen| match seen.header("authorization") {
        Some("Basic Y2FtZXJhOnBhc3Mgd29yZA==") => json("{}"),
        _ => challenge(r#"Basic realm="plaza""#),
    })
    .await;
    let client = client(&server, password());
    for _ in 0..3 {
        client.ask("picture").await.unwrap();
    }
    let sent: Vec<bool> = server
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").is_some())
        .collect();
    assert_eq!(sent, [false, true, true, true]);
    assert!(server.seen().iter().all(|seen| seen.body == b"picture"));
    let stats = client.stats();
    assert_eq!(
        (stats.sent, stats.answered, stats.challenges, stats.connections),
        (3, 3, 1, 1)
    );
}

#[tokio::test]
async fn digest_is_answered_counted_and_renewed_when_it_is_stale() {
    let server = Scripted::start(|number, seen| {
        let fresh = number < 4;
        let nonce = if fresh { "first" } else { "second" };
        match digest_is_right(seen, nonce) {
            Some(_) => json("{}"),
            None => {
                let stale = if number == 0 { "" } else { ", stale=true" };
                challenge(&format!(
                    r#"Digest realm="plaza", qop="auth", algorithm=MD5, nonce="{nonce}"{stale}"#
                ))
            }
        }
    })
    .await;
    let client = client(&server, password());
    for _ in 0..5 {
        client.ask("picture").await.unwrap();
    }
    let seen = server.seen();
    // 0 without; 1, 2, 3 with the first nonce; 4 with it in vain; 5, 6 with the second.
    assert_eq!(seen.len(), 7);
    let counts: Vec<Option<String>> = seen[1..4]
        .iter()
        .map(|seen| digest_is_right(seen, "first"))
        .collect();
    assert_eq!(
        counts,
        ["00000001", "00000002", "00000003"].map(|count| Some(count.to_owned()))
    );
    assert_eq!(digest_is_right(&seen[6], "second").as_deref(), Some("00000002"));
    assert!(seen.iter().all(|seen| !format!("{seen:?}").contains("pass word")));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    for header in [
        r#"Basic realm="plaza""#,
        r#"Digest realm="plaza", qop="auth", nonce="n""#,
    ] {
        let header = header.to_owned();
        let server = Scripted::start(move |_, _| challenge(&header)).await;
        let client = client(&server, password());
        let error = client.ask("picture").await.unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::Unauthorized {
                    status: 401,
                    with_credentials: true,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.is_transient());
        assert!(!format!("{error} {error:?} {client:?}").contains("pass word"));
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn without_a_password_nothing_is_tried() {
    let server = Scripted::start(|_, _| challenge(r#"Basic realm="plaza""#)).await;
    let options = HttpClientOptions::new(server.url.clone(), FrameEncoding::Jpg);
    let error = HttpClient::new(options)
        .unwrap()
        .ask("picture")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("needs credentials"), "{error}");
    let negotiate = Scripted::start(|_, _| challenge("Negotiate")).await;
    let error = client(&negotiate, password()).ask("picture").await.unwrap_err();
    assert!(matches!(error, HttpError::Unauthorized { .. }));
    assert_eq!((server.seen().len(), negotiate.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_header_of_the_operators_goes_with_the_first_request() {
    let server = Scripted::start(|_, seen| match seen.header("x-functions-key") {
        Some("k1") => json("{}"),
        _ => challenge(r#"Basic realm="plaza""#),
    })
    .await;
    let header = HttpCredentials::header("x-functions-key", "k1").unwrap();
    client(&server, header).ask("picture").await.unwrap();
    assert_eq!(server.seen().len(), 1);
}
