//! Foreign text and addresses, as they may be shown.

use std::fmt::Write as _;

const MASK: &str = "***";

/// Text of a peer, a document or a file, fit for a terminal, a log line and an event: on one line, without control characters,
/// escape sequences and marks that change the direction of what follows (a space stands for each), and cut after `max_chars`
/// characters. Looks at no more of the string than it returns.
///
/// ```
/// use lva_media_types::clean_text;
///
/// assert_eq!(clean_text("door\r\nERROR forged", 64), "door  ERROR forged");
/// assert_eq!(clean_text("\u{1b}[31mred", 64), " [31mred");
/// assert_eq!(clean_text("abcdef", 4), "abcd");
/// ```
pub fn clean_text(text: &str, max_chars: usize) -> String {
    let letters = text.chars().take(max_chars);
    letters
        .map(|letter| if moves_the_cursor(letter) { ' ' } else { letter })
        .collect()
}

/// Control characters, line and paragraph separators, and the directional marks of Unicode (UAX #9).
fn moves_the_cursor(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// An address without what may be a secret in it, by rule and not by a list of names: user and password, the value of every
/// member of the query and of the path, and the fragment. `%3D`, `%3F` and `%23` count as what they stand for.
///
/// ```
/// use lva_media_types::masked_address;
///
/// assert_eq!(masked_address("rtsp://me:geheim@cam/live?id=1&flag"), "rtsp://cam/live?id=***&***");
/// assert_eq!(masked_address("rtsp://cam/user=a_password=b.sdp/1"), "rtsp://cam/user=***/1");
/// ```
pub fn masked_address(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    let rest = scheme.map_or(rest, |_| without_user(rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(if scheme.is_some() { end } else { 0 });
    let (path, query, fragment) = parts(tail);
    let mut shown = scheme.map_or_else(String::new, |scheme| format!("{scheme}://{host}"));
    for (number, segment) in path.split('/').enumerate() {
        let slash = if number == 0 { "" } else { "/" };
        // Writing to a string does not fail.
        let _ = write!(shown, "{slash}{}", with_masked_value(segment));
    }
    if let Some(query) = query {
        for (number, member) in query.split(['&', ';']).enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let masked = match equals(member) {
                Some(_) => with_masked_value(member),
                None if member.is_empty() => String::new(),
                None => MASK.to_owned(),
            };
            let _ = write!(shown, "{mark}{masked}");
        }
    }
    if fragment {
        let _ = write!(shown, "#{MASK}");
    }
    shown
}

/// What follows user and password. A password that is not escaped may have any character, so it ends at the last `@`; one in
/// the query does not count if what stands before the first slash is a host.
fn without_user(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = match authority.rsplit_once(':') {
        Some((_, port)) => port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()),
        None => true,
    };
    let may_have_it = match authority.contains('@') || !is_host {
        true => rest,
        false => rest.split('?').next().unwrap_or_default(),
    };
    let user = match may_have_it.rsplit_once('@') {
        // Without a password it is an `@` of the path.
        Some((user, _)) if user.contains(':') || authority.contains('@') => user.len() + 1,
        _ => 0,
    };
    rest.get(user..).unwrap_or_default()
}

/// Path, query, and whether there is a fragment.
fn parts(tail: &str) -> (&str, Option<&str>, bool) {
    let (tail, fragment) = match find(tail, '#', "%23") {
        Some((at, _)) => (tail.get(..at).unwrap_or_default(), true),
        None => (tail, false),
    };
    match find(tail, '?', "%3f") {
        Some((at, length)) => (
            tail.get(..at).unwrap_or_default(),
            Some(tail.get(at + length..).unwrap_or_default()),
            fragment,
        ),
        None => (tail, None, fragment),
    }
}

fn equals(member: &str) -> Option<usize> {
    find(member, '=', "%3d").map(|(at, _)| at)
}

fn with_masked_value(member: &str) -> String {
    match equals(member) {
        Some(at) => format!("{}={MASK}", member.get(..at).unwrap_or_default()),
        None => member.to_owned(),
    }
}

/// Where a character stands, as such or percent-encoded (`encoded` in lower case), and the length that it has there.
fn find(text: &str, plain: char, encoded: &str) -> Option<(usize, usize)> {
    let written = text.find(plain).map(|at| (at, plain.len_utf8()));
    let coded = text
        .as_bytes()
        .windows(encoded.len())
        .position(|bytes| bytes.eq_ignore_ascii_case(encoded.as_bytes()))
        .map(|at| (at, encoded.len()));
    written.into_iter().chain(coded).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_show_where_they_lead_and_no_value() {
        for (address, shown) in [
            ("rtsp://cam:554/media/a.mkv", "rtsp://cam:554/media/a.mkv"),
            ("rtsp://u:p@ss@cam:554/a?x=1", "rtsp://cam:554/a?x=***"),
            ("rtsp://admin:a/b#c?d@cam:8554/s1", "rtsp://cam:8554/s1"),
            ("http://h/score?code=abc#top", "http://h/score?code=***#***"),
            ("http://h/score%3Fcode%3Dabc", "http://h/score?code=***"),
            ("http://h/a%23secret", "http://h/a#***"),
            ("/live?id=1", "/live?id=***"),
            ("rtsp://cam/password%3dgeheim/1", "rtsp://cam/password=***/1"),
            ("http://h?token", "http://h?***"),
            ("http://h/x?mail=me@home", "http://h/x?mail=***"),
            ("rtsp://admin:12/3@cam/x", "rtsp://cam/x"),
            ("rtsp://cam/live@main", "rtsp://cam/live@main"),
            ("tcp://[::1]:5000", "tcp://[::1]:5000"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("no address", "no address"),
            ("", ""),
        ] {
            assert_eq!(masked_address(address), shown, "{address}");
        }
    }

    #[test]
    fn text_is_cut_at_characters_and_marks_of_direction_go() {
        assert_eq!(clean_text("äöüß", 3), "äöü");
        assert_eq!(clean_text("a\u{202e}b\u{2028}c\u{9b}d", 9), "a b c d");
        assert_eq!(clean_text("abc", 0), "");
        assert_eq!(clean_text(&"x".repeat(20 << 20), 100).chars().count(), 100);
    }

    proptest! {
        #[test]
        fn no_value_of_an_address_shows(secret in "[A-Z]{8,12}", path in "[a-z/]{0,9}", user in "[a-z]{0,5}") {
            for address in [
                format!("rtsp://{user}:{secret}@cam/{path}"),
                format!("rtsp://cam/{path}?a={secret}&b={secret}#{secret}"),
                format!("rtsp://cam/{path}password={secret}/{path}"),
            ] {
                prop_assert!(!masked_address(&address).contains(&secret), "{}", address);
            }
        }

        #[test]
        fn any_text_becomes_one_line(text in any::<String>(), max in 0_usize..50) {
            let clean = clean_text(&text, max);
            prop_assert!(clean.chars().count() <= max && !clean.chars().any(char::is_control));
            let _ = masked_address(&text);
        }
    }
}
