//! Processor time and memory of processes, read from `/proc`, and of a decoding ffmpeg.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

const KIB_IN_MIB: f64 = 1024.0;

/// Name of each thread of a process, and the nanoseconds that it ran, by its path in `/proc`. `process` is a number, or `self`.
///
/// # Errors
///
/// The process has ended, or the system keeps no such times.
pub fn cpu_by_thread(process: &str) -> anyhow::Result<BTreeMap<String, (String, u64)>> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path();
        // One may end meanwhile.
        let (Ok(name), Ok(times)) = (
            fs::read_to_string(path.join("comm")),
            fs::read_to_string(path.join("schedstat")),
        ) else {
            continue;
        };
        let ran = times.split_whitespace().next().and_then(|ran| ran.parse().ok());
        let ran = ran.context("/proc/PROCESS/task/N/schedstat has no times")?;
        threads.insert(path.display().to_string(), (name.trim().to_owned(), ran));
    }
    Ok(threads)
}

/// Resident memory of this process in MiB: total, and shared with others.
///
/// # Errors
///
/// The system does not report it.
pub fn resident_mib() -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let of = |label: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(label))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let mib = |label| Some(of(label)? / KIB_IN_MIB);
    let both = mib("VmRSS:").zip(mib("RssShmem:"));
    both.context("/proc/self/status has no memory figures")
}

/// CPU seconds that `ffmpeg -threads 1` takes to decode the video of a file and do nothing with it.
///
/// # Errors
///
/// The program is missing, or cannot decode the file.
pub fn ffmpeg_decode_seconds(video: &Path) -> anyhow::Result<f64> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-benchmark", "-threads", "1", "-i"])
        .arg(video)
        .args(["-map", "0:v:0", "-f", "null", "-"])
        .output()
        .context("cannot run the ffmpeg program: install it with `make packages`")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ffmpeg cannot decode {}: {log}",
        video.display()
    );
    benchmark_seconds(&log).context("ffmpeg printed no `bench:` line with its times")
}

/// The times of `bench: utime=1.204s stime=0.031s rtime=1.260s`, of the process and of the system for it.
fn benchmark_seconds(log: &str) -> Option<f64> {
    let line = log.lines().rev().find(|line| line.contains("bench: utime="))?;
    let of = |label: &str| -> Option<f64> {
        let (_, after) = line.split_once(label)?;
        after.split_once('s')?.0.parse().ok()
    };
    Some(of("utime=")? + of("stime=")?)
}

/// The middle of the values, by size; 0 without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpeg_s_times_are_those_of_process_and_system() {
        let log =
            "frame=  900 fps=0.0\nbench: utime=1.204s stime=0.031s rtime=1.260s\nbench: maxrss=40960KiB\n";
        assert!((benchmark_seconds(log).unwrap() - 1.235).abs() < 1e-9);
        assert_eq!(benchmark_seconds("bench: maxrss=40960KiB"), None);
    }

    #[test]
    fn a_median_is_the_middle_by_size() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[])), (2.0, 0.0));
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        assert!(!cpu_by_thread("self").unwrap().is_empty());
        assert!(resident_mib().unwrap().0 > 0.0);
    }
}
