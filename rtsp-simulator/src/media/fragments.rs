//! The samples of fragmented MP4 files (ISO/IEC 14496-12 section 8.8), as recorders and browsers write them.

use re_mp4::{MoofBox, MvexBox, TrafBox};

use super::{MAX_SAMPLES, MediaError, Sample};

/// `sample_is_non_sync_sample` of section 8.8.3.1.
const NON_SYNC: u32 = 0x0001_0000;

/// The samples of a track, beginning at time 0, and their total duration: those of the movie box and those of all
/// fragments.
pub(crate) fn fragment_samples(
    (mut list, mut decode): (Vec<Sample>, u64),
    fragments: &[MoofBox],
    mvex: &MvexBox,
    track_id: u32,
    file_len: usize,
) -> Result<(Vec<Sample>, u64), MediaError> {
    let defaults = mvex.trexs.iter().find(|trex| trex.track_id == track_id);
    let defaults = Defaults {
        duration: defaults.map_or(0, |trex| trex.default_sample_duration),
        size: defaults.map_or(0, |trex| trex.default_sample_size),
        flags: defaults.map_or(0, |trex| trex.default_sample_flags),
    };
    let mut first = (!list.is_empty()).then_some(0);
    // Samples of all tracks together, those of size 0 too.
    let mut seen = 0;
    for moof in fragments {
        // Without its own base, a run's offset is relative to the fragment's first byte. A run without offset follows the
        // previous run of the fragment, whatever its track.
        let mut position = moof.start;
        for traf in &moof.trafs {
            let wanted = traf.tfhd.track_id == track_id;
            if let (true, Some(tfdt)) = (wanted, &traf.tfdt) {
                let first = *first.get_or_insert(tfdt.base_media_decode_time);
                // Never back: a badly assembled file plays in its own order.
                decode = decode.max(tfdt.base_media_decode_time.saturating_sub(first));
            }
            let mut run = Run {
                list: &mut list,
                decode: &mut decode,
                position: &mut position,
                seen: &mut seen,
                file_len,
                wanted,
            };
            run.fragment(traf, moof.start, &defaults)?;
        }
    }
    Ok((list, decode))
}

struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

struct Run<'a> {
    list: &'a mut Vec<Sample>,
    decode: &'a mut u64,
    position: &'a mut u64,
    seen: &'a mut usize,
    file_len: usize,
    wanted: bool,
}

impl Run<'_> {
    fn fragment(&mut self, traf: &TrafBox, start: u64, defaults: &Defaults) -> Result<(), MediaError> {
        let header = &traf.tfhd;
        let base = header.base_data_offset.unwrap_or(start);
        let default_duration = header.default_sample_duration.unwrap_or(defaults.duration);
        let default_size = header.default_sample_size.unwrap_or(defaults.size);
        let default_flags = header.default_sample_flags.unwrap_or(defaults.flags);
        for trun in &traf.truns {
            if let Some(offset) = trun.data_offset {
                *self.position = base.saturating_add_signed(i64::from(offset));
            }
            for index in 0..trun.sample_count as usize {
                let size = *trun.sample_sizes.get(index).unwrap_or(&default_size);
                let end = self.position.saturating_add(u64::from(size));
                if end > self.file_len as u64 {
                    // The last fragment of a truncated recording.
                    return Ok(());
                }
                *self.seen += 1;
                if *self.seen > 4 * MAX_SAMPLES || (self.wanted && self.list.len() >= MAX_SAMPLES) {
                    return Err(MediaError::Malformed("a track has too many samples"));
                }
                if self.wanted {
                    let flags = match (trun.sample_flags.get(index), index, trun.first_sample_flags) {
                        (Some(flags), ..) => *flags,
                        (None, 0, Some(first)) => first,
                        (None, ..) => default_flags,
                    };
                    self.list.push(Sample {
                        offset: *self.position as usize,
                        len: size as usize,
                        decode: *self.decode,
                        // Signed in version 1 of the box, and small in version 0.
                        composition: trun.sample_cts.get(index).copied().unwrap_or(0) as i32,
                        sync: flags & NON_SYNC == 0,
                    });
                    let duration = *trun.sample_durations.get(index).unwrap_or(&default_duration);
                    *self.decode = self.decode.saturating_add(u64::from(duration));
                }
                *self.position = end;
            }
        }
        Ok(())
    }
}
