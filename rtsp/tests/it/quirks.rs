//! Cameras with one oddity each, scripted by the files in `tests/fixtures`. Each file describes what is odd, what other players
//! do, what this crate does, and what has to come of it; the table in the README is made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lva_rtsp::{Camera, CameraEvent, CameraOptions, Credentials, Repair, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::{PATIENCE, quick, until};

/// The parameter sets of a picture of 1280x720.
const SPS_PPS: &str = "Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA";

/// A scripted camera.
#[derive(Default)]
struct Script {
    quirk: String,
    peers: String,
    here: String,
    expect: String,
    /// Sections by their names: `answer SETUP`, `sdp`, `media`.
    sections: BTreeMap<String, String>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

impl Script {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(directory().join(format!("{name}.txt"))).unwrap();
        let mut script = Self::default();
        let mut section = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('@') {
                section = Some(name.to_owned());
                script.sections.entry(name.to_owned()).or_default();
            } else if let Some(section) = &section {
                let text = script.sections.get_mut(section).unwrap();
                text.push_str(line);
                text.push('\n');
            } else if let Some((key, value)) = line.split_once(": ") {
                let place = match key {
                    "quirk" => &mut script.quirk,
                    "peers" => &mut script.peers,
                    "here" => &mut script.here,
                    "expect" => &mut script.expect,
                    other => panic!("{name}: {other}?"),
                };
                value.clone_into(place);
            }
        }
        assert!(!script.quirk.is_empty() && !script.expect.is_empty(), "{name}");
        script
    }

    fn sdp(&self) -> Vec<u8> {
        let default = format!(
            "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=cam\nt=0 0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n\
             a=fmtp:96 packetization-mode=1;sprop-parameter-sets={SPS_PPS}\na=control:trackID=0\n"
        );
        let text = self
            .sections
            .get("sdp")
            .map_or(default, |text| text.replace("{sets}", SPS_PPS));
        unescape(&text.replace('\n', "\r\n"))
    }

    /// The answer to the `number`th request with a method.
    fn answer(&self, method: &str, number: usize, cseq: &str) -> Vec<u8> {
        let refuses = |text: &String| !text.contains(" 200");
        let numbered = self.sections.get(&format!("answer {method} {number}"));
        let own = numbered.or_else(|| self.sections.get(&format!("answer {method}")));
        let body = if method == "DESCRIBE" && !own.is_some_and(refuses) {
            self.sdp()
        } else {
            Vec::new()
        };
        let default = match method {
            "DESCRIBE" => {
                "RTSP/1.0 200 OK\nCSeq: {cseq}\nContent-Type: application/sdp\nContent-Length: {length}\n"
            }
            "SETUP" => {
                "RTSP/1.0 200 OK\nCSeq: {cseq}\nSession: A1B2;timeout=60\nTransport: RTP/AVP/TCP;unicast;interleaved={channels}\n"
            }
            "OPTIONS" => "RTSP/1.0 200 OK\nCSeq: {cseq}\nPublic: OPTIONS, GET_PARAMETER\n",
            _ => "RTSP/1.0 200 OK\nCSeq: {cseq}\nSession: A1B2\n",
        };
        let text = own.map_or(default, String::as_str);
        let channels = format!("{}-{}", 2 * (number - 1), 2 * (number - 1) + 1);
        let text = text
            .replace("{cseq}", cseq)
            .replace("{length}", &body.len().to_string())
            .replace("{channels}", &channels);
        if text.trim() == "nothing" {
            return Vec::new();
        }
        let mut bytes = unescape(&text.replace("\\n\n", "\\n").replace('\n', "\r\n"));
        bytes.extend(if text.contains("\\n") { &b"\n"[..] } else { b"\r\n" });
        bytes.extend(body);
        bytes
    }

    /// Plays the media.
    async fn play(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let default = "idr\np\np\np\np\n";
        let media = self.sections.get("media").map_or(default, String::as_str);
        let mut sender = Sender {
            sequence: 100,
            timestamp: 0,
            step: 3000,
            ssrc: 7,
            payload_type: 96,
            channel: 0,
            last: Vec::new(),
            held: None,
        };
        for line in media.lines().filter(|line| !line.is_empty()) {
            if line == "close" {
                return stream.shutdown().await;
            }
            let bytes = sender.command(line);
            stream.write_all(&bytes).await?;
        }
        Ok(())
    }
}

struct Sender {
    sequence: u16,
    timestamp: u32,
    /// From one picture to the next.
    step: i32,
    ssrc: u32,
    payload_type: u8,
    channel: u8,
    last: Vec<u8>,
    held: Option<Vec<u8>>,
}

impl Sender {
    fn command(&mut self, line: &str) -> Vec<u8> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse().unwrap_or(0);
        match word {
            "idr" => return self.packet(&[0x65, 0x88, 0x80], true, self.step),
            "p" => return self.packet(&[0x61, 0x88, 0x80], true, self.step),
            "packet" => {
                let marked = !rest.contains("nomark");
                let step = if rest.contains("same") { 0 } else { self.step };
                return self.packet(&hex(rest.split(' ').next().unwrap()), marked, step);
            }
            "raw" => return unescape(rest),
            "frame" => {
                let (channel, bytes) = rest.split_once(' ').unwrap_or((rest, ""));
                return interleaved(channel.parse().unwrap(), &hex(bytes));
            }
            "again" => return self.last.clone(),
            "step" => self.step = rest.parse().unwrap(),
            "hold" => self.held = Some(Vec::new()),
            "lose" => self.sequence = self.sequence.wrapping_add(number().max(1)),
            "ssrc" => self.ssrc = u32::from(number()),
            "sequence" => self.sequence = number(),
            "payload-type" => self.payload_type = number() as u8,
            "channel" => self.channel = number() as u8,
            other => panic!("{other}?"),
        }
        Vec::new()
    }

    fn packet(&mut self, payload: &[u8], marker: bool, step: i32) -> Vec<u8> {
        self.timestamp = self.timestamp.wrapping_add_signed(step);
        let mut packet = vec![0x80, self.payload_type | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.last = interleaved(self.channel, &packet);
        match self.held.take() {
            Some(held) if held.is_empty() => {
                self.held = Some(self.last.clone());
                Vec::new()
            }
            Some(held) => [self.last.clone(), held].concat(),
            None => self.last.clone(),
        }
    }
}

fn interleaved(channel: u8, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', channel];
    bytes.extend((packet.len() as u16).to_be_bytes());
    bytes.extend(packet);
    bytes
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

/// `\xNN`, `\n` and `\r`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('x') => out.extend(hex(&letters.by_ref().take(2).collect::<String>())),
                Some('n') => out.push(b'\n'),
                Some('r') => out.push(b'\r'),
                other => panic!("\\{other:?}?"),
            },
            letter => out.extend(letter.to_string().as_bytes()),
        }
    }
    out
}

/// A request behind the media: once the client has answered it, everything before has been taken.
const FENCE: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 9999\r\n\r\n";
const FENCE_CSEQ: &str = "9999";

/// Serves connections until the test ends.
async fn serve(script: Script, listener: TcpListener, passed: Arc<Notify>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut requests: BTreeMap<String, usize> = BTreeMap::new();
        let mut buffer = Vec::new();
        loop {
            let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
                if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                    break;
                }
                continue;
            };
            let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
            let method = head.split(' ').next().unwrap().to_owned();
            let cseq = head
                .lines()
                .find_map(|line| line.strip_prefix("CSeq: "))
                .unwrap_or_default();
            let number = requests.entry(method.clone()).or_default();
            *number += 1;
            let number = *number;
            if method.starts_with("RTSP/") && cseq == FENCE_CSEQ {
                passed.notify_one();
            }
            let answer = script.answer(&method, number, cseq);
            if method.starts_with("RTSP/") || stream.write_all(&answer).await.is_err() {
                continue;
            }
            if method == "PLAY" && number == 1 {
                let played = script.play(&mut stream).await;
                if played.is_err() || stream.write_all(FENCE.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    }
}

/// Plays one fixture and checks what comes of it.
async fn play(name: &str) {
    let script = Script::read(name);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
    let expect = script.expect.clone();
    let passed = Arc::new(Notify::new());
    let serving = tokio::spawn(serve(script, listener, Arc::clone(&passed)));
    let credentials = Credentials::new("viewer", "geheim");
    let options: CameraOptions = quick(&url)
        .with_credentials(Some(credentials))
        .with_transport(Transport::Tcp);
    let mut camera = Camera::connect(options);
    let wanted = |key: &str| {
        let mut parts = expect.split("; ").filter_map(|part| part.split_once(' '));
        parts
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.to_owned())
    };
    let number = |key: &str| wanted(key).map(|value| value.parse::<usize>().unwrap());
    let (mut pictures, mut keyframes, mut audio_units, mut error) = (0, 0, 0, None);
    let done = |pictures: usize, audio_units: usize, error: &Option<String>| match wanted("error") {
        Some(_) => error.is_some(),
        None => {
            pictures >= number("pictures").unwrap_or(0) && audio_units >= number("audio_units").unwrap_or(0)
        }
    };
    while !done(pictures, audio_units, &error) {
        let event = timeout(PATIENCE, camera.next()).await;
        match event.unwrap_or_else(|_| panic!("{name}: {pictures} pictures of {expect}")) {
            Some(CameraEvent::Unit(unit)) if unit.media == lva_rtsp::MediaKind::Video => {
                pictures += 1;
                keyframes += usize::from(unit.keyframe);
            }
            Some(CameraEvent::Unit(_)) => audio_units += 1,
            Some(CameraEvent::Lost { error: lost }) => error = Some(lost.to_string()),
            Some(_) => {}
            None => panic!("{name}: the camera stopped"),
        }
    }
    if wanted("error").is_none() {
        assert!(
            !another_picture(&mut camera).await,
            "{name}: more than {pictures} pictures"
        );
        assert_eq!(error, None, "{name}");
        assert_eq!(keyframes, number("keyframes").unwrap_or(1), "{name}");
    } else if let Some(text) = wanted("error") {
        let error = error.unwrap();
        assert!(error.contains(&text), "{name}: {error}");
        assert!(!error.contains("geheim"), "{name}: {error}");
    }
    if wanted("error").is_none() {
        timeout(PATIENCE, passed.notified())
            .await
            .unwrap_or_else(|_| panic!("{name}: the client is stuck"));
        let expected = wanted("repairs").unwrap_or_default();
        // A keep-alive comes after a second.
        let what = format!("{name}: {expected}, not {}", repaired(&camera));
        until(&what, || repaired(&camera) == expected).await;
    }
    camera.close().await;
    serving.abort();
}

/// What was repaired and how often, but for the fence, and for keep-alives, which go on.
fn repaired(camera: &Camera) -> String {
    let counters = camera.counters();
    let counts = counters.repairs.iter().filter_map(|(repair, count)| {
        let count = match repair {
            Repair::CameraRequest => count - 1,
            Repair::KeepAlive => 1,
            _ => count,
        };
        match count {
            0 => None,
            1 => Some(repair.code().to_owned()),
            count => Some(format!("{} {count}", repair.code())),
        }
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// Whether another picture comes within a quarter of a second: one that was not sent.
async fn another_picture(camera: &mut Camera) -> bool {
    let picture = async {
        while let Some(event) = camera.next().await {
            if matches!(event, CameraEvent::Unit(unit) if unit.media == lva_rtsp::MediaKind::Video) {
                return;
            }
        }
    };
    timeout(Duration::from_millis(250), picture).await.is_ok()
}

fn names() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .collect();
    names.sort();
    names
}

macro_rules! quirks {
    ($($name:ident)+) => {
        const TESTED: &[&str] = &[$(stringify!($name)),+];

        $(
            #[tokio::test]
            async fn $name() {
                play(stringify!($name)).await;
            }
        )+
    };
}

quirks! {
    aac_cut_off
    aac_in_latm
    aac_in_latm_with_configuration
    aac_with_headers
    aac_without_marker
    asked_tcp_answered_udp
    audio_is_refused
    base_without_scheme
    blank_before_colon
    broken_rtcp
    broken_rtp
    camera_asks
    channel_that_nobody_set_up
    channels_changed_places
    content_type_in_another_case
    cseq_of_the_request_before
    description_longer_than_its_length
    description_of_media_only
    description_with_nonsense
    description_without_length
    every_second_number
    filler_behind_the_marker
    folded_header
    fragment_without_end
    garbage_between_packets
    good_camera
    header_in_another_encoding
    headers_without_value
    keep_alive_is_refused
    lines_end_with_lf
    marker_on_each_packet
    marker_on_each_slice
    no_cseq
    no_description
    no_reason
    no_transport
    nonce_is_renewed
    number_for_each_picture
    numbered_units_of_h265
    numbers_stand_still
    numbers_with_words
    one_count_for_all_streams
    other_channels
    other_numbers_and_sources
    other_payload_type
    packet_twice
    packets_on_another_channel
    packets_swapped
    parameters_on_two_lines
    parameters_under_another_number
    payload_type_is_missing
    payload_type_that_nobody_described
    random_numbers
    refusal_without_challenge
    rtp_and_rtcp_changed_places
    session_id_changes
    session_of_zero_seconds
    session_with_blanks
    ssrc_changes
    start_code_in_the_first_fragment
    start_codes_inside
    talk_back_is_not_set_up
    time_runs_backwards
    transport_without_channels
    two_streams_on_one_channel
    unit_of_reserved_type
    units_in_another_order
    usable_format_is_not_the_first
}

#[test]
fn every_fixture_has_a_test_and_every_repair_a_fixture() {
    assert_eq!(names(), TESTED);
    let expectations: Vec<_> = TESTED.iter().map(|name| Script::read(name).expect).collect();
    let shown: BTreeSet<&str> = expectations
        .iter()
        .filter_map(|expect| expect.split("; ").find_map(|part| part.strip_prefix("repairs ")))
        .flat_map(|repairs| repairs.split(", "))
        .filter_map(|repair| repair.split(' ').next())
        .collect();
    for repair in Repair::ALL {
        // More than this crate keeps takes megabytes: the unit tests have it.
        let elsewhere = matches!(repair, Repair::TooLarge);
        assert!(
            elsewhere || shown.contains(repair.code()),
            "no fixture shows {repair}"
        );
    }
}

#[test]
fn the_table_in_the_readme_is_that_of_the_fixtures() {
    let mut table = String::from("| what a camera does | other players | this crate |\n|---|---|---|\n");
    for name in names() {
        let script = Script::read(&name);
        writeln!(table, "| {} | {} | {} |", script.quirk, script.peers, script.here).unwrap();
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("<!-- quirks -->\n")
        .expect("the beginning of the table");
    let (own, _) = rest
        .split_once("<!-- end of quirks -->")
        .expect("the end of the table");
    assert!(own == table, "the table of the README should be:\n{table}");
}
