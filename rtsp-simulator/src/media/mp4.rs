//! MP4 files, plain or fragmented.
//!
//! `re_mp4` reads the boxes. Its own sample list is not used because it indexes tables without bounds checks; the
//! code here checks them.

use std::io::Seek;

use bytes::Bytes;
use re_mp4::{BoxHeader, BoxType, MoofBox, MoovBox, ReadBox, StblBox, StsdBoxContent, TrakBox, skip_box};

use super::fragments::fragment_samples;
use super::reader::BoundedReader;
use super::{Clip, MAX_SAMPLES, MediaError, Sample, Track, TrackKind, aac, h264, h265};

/// Reads the samples of all usable tracks.
pub(super) fn read(data: Bytes) -> Result<Clip, MediaError> {
    let (moov, fragments) = movie(&data)?;
    let mut tracks: Vec<Track> = Vec::new();
    for trak in &moov.traks {
        let Some(kind) = kind(trak) else { continue };
        // One of each, as a camera offers.
        if tracks.iter().any(|t| t.is_video() == kind.is_video()) {
            continue;
        }
        let timescale = trak.mdia.mdhd.timescale;
        if timescale == 0 {
            return Err(MediaError::Malformed("a track has no time scale"));
        }
        let mut found = samples(&trak.mdia.minf.stbl, data.len())?;
        if let Some(mvex) = &moov.mvex {
            found = fragment_samples(found, &fragments, mvex, trak.tkhd.track_id, data.len())?;
        }
        let (samples, duration) = found;
        if !samples.is_empty() {
            tracks.push(Track {
                kind,
                timescale,
                samples,
                duration: duration.max(1),
            });
        }
    }
    if tracks.is_empty() {
        return Err(MediaError::NoUsableTrack);
    }
    tracks.sort_by_key(|track| !track.is_video());
    Ok(Clip::new(data, tracks))
}

/// The movie box and the movie fragments.
fn movie(data: &[u8]) -> Result<(MoovBox, Vec<MoofBox>), MediaError> {
    let mut reader = BoundedReader::new(data);
    let end = data.len() as u64;
    let (mut movie, mut fragments) = (None, Vec::new());
    let mut in_runs = 0;
    loop {
        let at = reader.stream_position()?;
        if at.saturating_add(8) > end {
            let movie = movie.ok_or(MediaError::Malformed("it has no movie box"))?;
            return Ok((movie, fragments));
        }
        let header = BoxHeader::read(&mut reader)?;
        if header.size < 8 || header.size > end - at {
            // A truncated recording: what precedes is playable.
            if let (Some(movie), false) = (movie, fragments.is_empty()) {
                return Ok((movie, fragments));
            }
            return Err(MediaError::Malformed("a box is longer than the file"));
        }
        match header.name {
            BoxType::MoovBox if movie.is_none() => {
                let read = MoovBox::read_box(&mut reader, header.size)?;
                if read.mvex.is_none() {
                    return Ok((read, fragments));
                }
                movie = Some(read);
            }
            BoxType::MoofBox => {
                let here = usize::try_from(at).ok().and_then(|at| data.get(at..));
                if let Some((_, fragment)) = here.and_then(|here| boxes(here).next()) {
                    check_runs(fragment, &mut in_runs)?;
                }
                fragments.push(MoofBox::read_box(&mut reader, header.size)?);
            }
            _ => skip_box(&mut reader, header.size)?,
        }
    }
}

/// Counts the samples of a fragment's runs, and refuses too many: their reader counts them one by one, up to four billion in
/// a run of a few bytes.
fn check_runs(fragment: &[u8], seen: &mut usize) -> Result<(), MediaError> {
    let tracks = boxes(fragment).filter(|(name, _)| name == b"traf");
    for (_, run) in tracks
        .flat_map(|(_, track)| boxes(track))
        .filter(|(name, _)| name == b"trun")
    {
        let count = run.get(4..).and_then(|rest| rest.first_chunk());
        *seen = seen.saturating_add(count.map_or(0, |count| u32::from_be_bytes(*count) as usize));
        if *seen > 4 * MAX_SAMPLES {
            return Err(MediaError::Malformed("a track has too many samples"));
        }
    }
    Ok(())
}

/// Name and content of the boxes in a box, up to the first that does not fit.
fn boxes(content: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let name = *rest.get(4..)?.first_chunk()?;
        let (size, header) = match u32::from_be_bytes(*rest.first_chunk()?) {
            1 => {
                let size = u64::from_be_bytes(*rest.get(8..)?.first_chunk()?);
                (usize::try_from(size).ok()?, 16)
            }
            size => (size as usize, 8),
        };
        let content = rest.get(header..size)?;
        rest = rest.get(size..)?;
        Some((name, content))
    })
}

fn kind(trak: &TrakBox) -> Option<TrackKind> {
    match &trak.mdia.minf.stbl.stsd.contents {
        StsdBoxContent::Avc1(avc1) => h264(avc1),
        StsdBoxContent::Hvc1(hevc) | StsdBoxContent::Hev1(hevc) => h265(hevc),
        StsdBoxContent::Mp4a(mp4a) => {
            let specific = &mp4a.esds.as_ref()?.es_desc.dec_config.dec_specific;
            aac(specific.profile, specific.freq_index, specific.chan_conf)
        }
        _ => None,
    }
}

/// The samples of a track and their total duration (ISO/IEC 14496-12 section 8.6 and 8.7).
fn samples(stbl: &StblBox, file_len: usize) -> Result<(Vec<Sample>, u64), MediaError> {
    const SHORT: MediaError = MediaError::Malformed("a sample table ends too early");
    let count = usize::try_from(stbl.stsz.sample_count).map_err(|_| SHORT)?;
    if count > MAX_SAMPLES {
        return Err(MediaError::Malformed("a track has too many samples"));
    }
    let mut durations = stbl
        .stts
        .entries
        .iter()
        .flat_map(|e| std::iter::repeat_n(e.sample_delta, e.sample_count as usize));
    let mut compositions = stbl
        .ctts
        .iter()
        .flat_map(|ctts| &ctts.entries)
        .flat_map(|e| std::iter::repeat_n(e.sample_offset, e.sample_count as usize));
    let syncs = stbl.stss.as_ref().map(|stss| {
        stss.entries
            .iter()
            .copied()
            .collect::<std::collections::HashSet<_>>()
    });
    let chunk_offset = |chunk: usize| -> Option<u64> {
        match (&stbl.stco, &stbl.co64) {
            (Some(stco), _) => stco.entries.get(chunk).copied().map(u64::from),
            (None, Some(co64)) => co64.entries.get(chunk).copied(),
            (None, None) => None,
        }
    };

    let mut list = Vec::new();
    let mut decode = 0_u64;
    let mut chunk = 0_usize;
    let mut runs = stbl.stsc.entries.iter().peekable();
    let mut per_chunk = 0_u32;
    while list.len() < count {
        if let Some(run) = runs.next_if(|run| run.first_chunk as usize <= chunk + 1) {
            per_chunk = run.samples_per_chunk;
        }
        let mut offset = chunk_offset(chunk).ok_or(SHORT)?;
        for _ in 0..per_chunk {
            let index = list.len();
            if index == count {
                break;
            }
            let len = match stbl.stsz.sample_size {
                0 => *stbl.stsz.sample_sizes.get(index).ok_or(SHORT)?,
                same => same,
            };
            let end = offset.saturating_add(u64::from(len));
            if end > file_len as u64 {
                return Err(MediaError::Malformed("a sample is outside of the file"));
            }
            list.push(Sample {
                offset: offset as usize,
                len: len as usize,
                decode,
                composition: compositions.next().unwrap_or(0),
                sync: syncs
                    .as_ref()
                    .is_none_or(|syncs| syncs.contains(&(index as u32 + 1))),
            });
            offset = end;
            decode = decode.saturating_add(u64::from(durations.next().ok_or(SHORT)?));
        }
        chunk += 1;
    }
    Ok((list, decode))
}
