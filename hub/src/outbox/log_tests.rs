use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const DAY_MS: u64 = 86_400_000;

/// A moment so many milliseconds after the test's first.
fn at(elapsed_ms: u64) -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now {
        unix_ms: 1_800_000_000_000 + elapsed_ms,
        monotonic: *START + Duration::from_millis(elapsed_ms),
    }
}

fn options(segment: usize) -> OutboxOptions {
    OutboxOptions::default().with_segment_bytes(segment)
}

fn open(directory: &TempDir, options: OutboxOptions) -> (Log, Counters) {
    let counters = Counters::default();
    let log = Log::open(directory.path(), options, &counters).unwrap();
    (log, counters)
}

fn event(name: &str) -> OutputMessage {
    OutputMessage::json("out", format!(r#"{{"name":"{name}"}}"#)).with_message_id(name)
}

fn push(log: &mut Log, counters: &Counters, names: impl IntoIterator<Item = u64>) {
    for name in names {
        log.append(event(&name.to_string()), at(0), counters).unwrap();
    }
}

fn take(log: &mut Log, counters: &Counters) -> Option<(u64, u64)> {
    let stored = log.take_next(at(0), counters).unwrap()?;
    let id = stored.event.message_id.unwrap().parse().unwrap();
    Some((stored.sequence, id))
}

fn take_all(log: &mut Log, counters: &Counters) -> Vec<u64> {
    std::iter::from_fn(|| take(log, counters))
        .map(|(_, id)| id)
        .collect()
}

fn dropped(counters: &Counters, reason: OutboxDropReason) -> u64 {
    counters.snapshot().dropped_for(reason)
}

fn files(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".log"))
        .collect();
    names.sort();
    names
}

#[test]
fn events_come_in_order_over_many_files_and_restarts() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1000));
    push(&mut log, &counters, 0..50);
    assert!(files(&directory).len() > 3);
    for expected in 0..20 {
        let (sequence, id) = take(&mut log, &counters).unwrap();
        assert_eq!(id, expected);
        log.acknowledge(sequence).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let (mut log, counters) = open(&directory, options(1000));
    push(&mut log, &counters, 50..60);
    assert_eq!(log.waiting(), 40);
    assert_eq!(take_all(&mut log, &counters), (20..60).collect::<Vec<_>>());
    assert_eq!(counters.snapshot().dropped_total(), 0);
}

#[test]
fn what_was_not_acknowledged_comes_again_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1000));
    push(&mut log, &counters, 0..5);
    assert_eq!(take_all(&mut log, &counters), [0, 1, 2, 3, 4]);
    // Out of order: 0 is missing, so the cursor stays.
    for sequence in [1, 3] {
        log.acknowledge(sequence).unwrap();
    }
    assert_eq!(log.waiting(), 5);
    log.acknowledge(0).unwrap();
    assert_eq!(log.waiting(), 3);
    log.sync().unwrap();
    drop(log);
    let (mut log, counters) = open(&directory, options(1000));
    assert_eq!(take_all(&mut log, &counters), [2, 3, 4]);
}

#[test]
fn delivered_files_are_removed() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1000));
    push(&mut log, &counters, 0..50);
    while let Some((sequence, _)) = take(&mut log, &counters) {
        log.acknowledge(sequence).unwrap();
    }
    assert_eq!(files(&directory).len(), 1);
    assert_eq!(log.waiting(), 0);
    push(&mut log, &counters, 50..100);
    assert_eq!(take_all(&mut log, &counters), (50..100).collect::<Vec<_>>());
}

#[test]
fn at_the_bound_the_oldest_go_and_are_counted() {
    let directory = TempDir::new().unwrap();
    let bound = 1 << 20;
    let (mut log, counters) = open(
        &directory,
        OutboxOptions::default()
            .with_max_bytes(bound)
            .with_segment_bytes(64 << 10),
    );
    // Random bodies do not compress.
    let mut state = 1u64;
    let mut body = || -> Vec<u8> {
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..2000).map(step).collect()
    };
    let count = 1500;
    for id in 0..count {
        let event = OutputMessage {
            body: body().into(),
            ..event(&id.to_string())
        };
        log.append(event, at(0), &counters).unwrap();
        assert!(log.bytes() <= bound);
    }
    let left = take_all(&mut log, &counters);
    let evicted = dropped(&counters, OutboxDropReason::Full);
    assert_eq!(left, (evicted..count).collect::<Vec<_>>());
    assert!(left.len() > 400, "{} left", left.len());
}

#[test]
fn events_that_are_under_way_are_not_counted_as_dropped() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(500));
    push(&mut log, &counters, 0..20);
    let (first, _) = take(&mut log, &counters).unwrap();
    let in_front = log.segments[1].first;
    log.evict(OutboxDropReason::Full, &counters).unwrap();
    assert_eq!(dropped(&counters, OutboxDropReason::Full), in_front - 1);
    log.acknowledge(first).unwrap();
    assert_eq!(take_all(&mut log, &counters), (in_front..20).collect::<Vec<_>>());
}

#[test]
fn old_events_are_dropped_unless_the_clock_was_wrong() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(500).with_max_age(Duration::from_secs(86_400)));
    let unset = Now {
        unix_ms: 1000,
        ..at(0)
    };
    log.append(event("1"), unset, &counters).unwrap();
    push(&mut log, &counters, [2, 3]);
    log.append(event("4"), at(DAY_MS), &counters).unwrap();
    assert_eq!(take(&mut log, &counters).unwrap().1, 1);
    log.expire(at(DAY_MS + 1), &counters).unwrap();
    assert_eq!(dropped(&counters, OutboxDropReason::TooOld), 2);
    assert_eq!(take_all(&mut log, &counters), [4]);
}

#[test]
fn a_step_of_the_clock_drops_no_event() {
    let directory = TempDir::new().unwrap();
    let options = options(500).with_max_age(Duration::from_secs(86_400));
    let (mut log, counters) = open(&directory, options);
    push(&mut log, &counters, [0]);
    drop(log);
    let (mut log, counters) = open(&directory, options);
    log.observe_clock(at(1000));
    push(&mut log, &counters, [1, 2]);
    // Set forward by 40 days, while an hour passes.
    let stepped = |elapsed_ms| Now {
        unix_ms: at(elapsed_ms).unix_ms + 40 * DAY_MS,
        ..at(elapsed_ms)
    };
    let hour = 3_600_000;
    log.append(event("3"), stepped(hour), &counters).unwrap();
    log.expire(stepped(hour), &counters).unwrap();
    assert_eq!(log.waiting(), 4);
    let first = log.take_next(stepped(hour), &counters).unwrap().unwrap();
    assert_eq!(first.sequence, 0);
    assert_eq!(dropped(&counters, OutboxDropReason::TooOld), 0);
    // They age as time passes: after a day, all but the last.
    log.expire(stepped(DAY_MS + hour), &counters).unwrap();
    assert_eq!(dropped(&counters, OutboxDropReason::TooOld), 2);
    let left = log.take_next(stepped(DAY_MS + hour), &counters).unwrap().unwrap();
    assert_eq!(left.event.message_id.as_deref(), Some("3"));
}

#[test]
fn only_the_owner_may_read_the_files() {
    let parent = TempDir::new().unwrap();
    let path = parent.path().join("outbox");
    let counters = Counters::default();
    let mut log = Log::open(&path, options(500), &counters).unwrap();
    push(&mut log, &counters, 0..20);
    let (sequence, _) = take(&mut log, &counters).unwrap();
    log.acknowledge(sequence).unwrap();
    log.sync().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let mut kinds = BTreeSet::new();
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        kinds.insert(path.extension().map(|kind| kind.to_owned()));
    }
    assert_eq!(
        kinds.len(),
        3,
        "open, compressed, and without extension: {kinds:?}"
    );
}

#[test]
fn seventy_two_hours_at_ten_a_second_fit_into_the_default_bound() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, OutboxOptions::default());
    let total: u64 = 72 * 3600 * 10;
    let sample = 20_000;
    for id in 0..sample {
        log.append(zone_event(id), at(0), &counters).unwrap();
    }
    let bytes_each = log.bytes() / sample;
    assert!(
        bytes_each * total < OutboxOptions::default().max_bytes(),
        "{bytes_each} bytes an event"
    );
    assert_eq!(counters.snapshot().dropped_total(), 0);
}

/// An event of a zone as the spatial-analysis operations send it, about 1.1 KB; ids, times and boxes differ from event to
/// event.
fn zone_event(id: u64) -> OutputMessage {
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = || {
        state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^ (state >> 32)
    };
    let mut uuid = || format!("{:016x}{:016x}", random(), random());
    let (entity, message, inference) = (uuid(), uuid(), uuid());
    let body = format!(
        r#"{{"timestamp":{},"inferences":[{{"type":"entity","subtype":"","inferenceId":"{entity}","relatedInferences":[],"entity":{{"tag":{{"value":"person","confidence":0.{}}},"attributes":[],"box":{{"l":0.{},"t":0.{},"w":0.{},"h":0.{}}}}},"extensions":{{"footprintX":"0.{}","footprintY":"0.{}"}}}},{{"type":"event","subtype":"","inferenceId":"{inference}","relatedInferences":["{entity}"],"event":{{"name":"personZoneEnterExitEvent","properties":{{"trackingId":"{entity}","status":"Enter","side":"1","zone":"queue","durationMs":"{}"}}}}}}]}}"#,
        143_039_375_044_290 + id * 9000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 1_000_000_000,
        random() % 10_000,
    );
    OutputMessage::json("inferenceOutput", body)
        .with_message_id(message)
        .with_property(
            "topic",
            "/subscriptions/x/resourceGroups/y/providers/microsoft.media/mediaservices/z",
        )
        .with_property(
            "subject",
            "/graphInstances/Sample-Graph-1/processors/inferenceClient",
        )
        .with_property("eventType", "Microsoft.Media.Graph.Analytics.Inference")
        .with_property(
            "eventTime",
            format!(
                "2027-01-15T08:{:02}:{:02}.{:03}Z",
                id / 600 % 60,
                id / 10 % 60,
                id % 10 * 100
            ),
        )
        .with_property("dataVersion", "1.0")
}

#[test]
fn a_tail_cut_at_any_byte_loses_only_the_events_behind_the_cut() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1 << 20));
    let mut ends = Vec::new();
    for id in 0..6 {
        push(&mut log, &counters, [id]);
        ends.push(log.bytes());
    }
    drop(log);
    let path = directory.path().join(files(&directory).remove(0));
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut log, counters) = open(&directory, options(1 << 20));
        let expected = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
        // New events follow without a gap.
        push(&mut log, &counters, [100]);
        log.sync().unwrap();
        drop(log);
        let (mut log, counters) = open(&directory, options(1 << 20));
        let mut ids: Vec<u64> = (0..expected).collect();
        ids.push(100);
        assert_eq!(take_all(&mut log, &counters), ids, "cut at {cut}");
        assert_eq!(counters.snapshot().dropped_total(), 0);
        drop(log);
        for name in files(&directory) {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
    }
}

#[test]
fn damage_in_the_middle_is_counted_and_the_other_files_are_read() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(600));
    push(&mut log, &counters, 0..40);
    let ranges: Vec<u64> = log.segments.iter().map(|file| file.first).collect();
    drop(log);
    let names = files(&directory);
    assert!(names.len() >= 4);
    let damaged = directory.path().join(&names[1]);
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&damaged, bytes).unwrap();
    fs::remove_file(directory.path().join(&names[2])).unwrap();
    let (mut log, counters) = open(&directory, options(600));
    let ids = take_all(&mut log, &counters);
    let lost = dropped(&counters, OutboxDropReason::Damaged);
    assert_eq!(ids.len() as u64 + lost, 40);
    assert!(ids.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
    let untouched: Vec<u64> = (0..ranges[1]).chain(ranges[3]..40).collect();
    assert!(untouched.iter().all(|id| ids.contains(id)), "{ids:?}");
}

#[test]
fn a_cursor_that_cannot_be_read_leads_to_duplicates_only() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1 << 20));
    push(&mut log, &counters, 0..3);
    let (sequence, _) = take(&mut log, &counters).unwrap();
    log.acknowledge(sequence).unwrap();
    log.sync().unwrap();
    drop(log);
    fs::write(directory.path().join(CURSOR), b"damaged, twelve").unwrap();
    let (mut log, counters) = open(&directory, options(1 << 20));
    assert_eq!(take_all(&mut log, &counters), [0, 1, 2]);
}

#[test]
fn a_cursor_beyond_the_files_does_not_hide_new_events() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(1 << 20));
    push(&mut log, &counters, 0..3);
    drop(log);
    write_cursor(directory.path(), 100).unwrap();
    let (mut log, counters) = open(&directory, options(1 << 20));
    push(&mut log, &counters, [7]);
    drop(log);
    let (mut log, counters) = open(&directory, options(1 << 20));
    assert_eq!(take_all(&mut log, &counters), [7]);
}

#[test]
fn an_interrupted_compression_is_cleaned_up() {
    let directory = TempDir::new().unwrap();
    let (mut log, counters) = open(&directory, options(600));
    push(&mut log, &counters, 0..20);
    let first = log.segments[0].first;
    drop(log);
    // Between the rename and the removal of the original, and before the rename.
    fs::write(segment::open_path(directory.path(), first), MAGIC).unwrap();
    fs::write(directory.path().join("0000000000000001.tmp"), b"half").unwrap();
    let (mut log, counters) = open(&directory, options(600));
    assert_eq!(take_all(&mut log, &counters), (0..20).collect::<Vec<_>>());
    assert!(!directory.path().join("0000000000000001.tmp").exists());
}

#[test]
fn one_directory_has_one_owner() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(&directory, options(600));
    let second = Log::open(directory.path(), options(600), &Counters::default());
    assert!(matches!(second, Err(OutboxError::InUse { .. })));
    drop(log);
    open(&directory, options(600));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any order of steps, with a restart anywhere: nothing is lost, and order is kept.
    #[test]
    fn nothing_is_lost_whatever_happens_in_which_order(steps in proptest::collection::vec(0u8..8, 1..120)) {
        let directory = TempDir::new().unwrap();
        let (mut log, mut counters) = open(&directory, options(500));
        let mut pushed = 0;
        let mut delivered = 0;
        let mut under_way = VecDeque::new();
        for step in steps {
            match step {
                0..=3 => {
                    push(&mut log, &counters, [pushed]);
                    pushed += 1;
                }
                4 | 5 => under_way.extend(take(&mut log, &counters)),
                6 => if let Some((sequence, id)) = under_way.pop_front() {
                    prop_assert_eq!(id, delivered);
                    log.acknowledge(sequence).unwrap();
                    delivered += 1;
                },
                _ => {
                    log.sync().unwrap();
                    drop(log);
                    (log, counters) = open(&directory, options(500));
                    under_way.clear();
                }
            }
            prop_assert_eq!(log.waiting(), pushed - delivered);
        }
        drop(log);
        // The cursor may be older than the last acknowledgement: duplicates, never gaps.
        let (mut log, counters) = open(&directory, options(500));
        let left = take_all(&mut log, &counters);
        prop_assert_eq!(left.last().copied(), pushed.checked_sub(1).filter(|_| !left.is_empty()));
        prop_assert!(left.first().is_none_or(|first| *first <= delivered));
        prop_assert!(left.windows(2).all(|two| two[1] == two[0] + 1));
        prop_assert!(left.len() as u64 >= pushed - delivered);
        prop_assert_eq!(counters.snapshot().dropped_total(), 0);
    }
}
