//! The samples of fragmented MP4 (ISO/IEC 14496-12 section 8.8), as recorders and browsers write it.

use re_mp4::{MoofBox, MvexBox, TrafBox};

use super::{MAX_SAMPLES, MediaError, Sample};

/// `sample_is_non_sync_sample` of section 8.8.3.1.
const NON_SYNC: u32 = 0x0001_0000;

/// The samples of a track, its first one at time 0, and their total duration: those that the movie box itself has, and
/// those of all fragments.
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
    for moof in fragments {
        // Without a base of its own, a run's offset counts from the fragment's first byte, and a run without offset
        // follows the one before it in the fragment, whichever track that was of.
        let mut place = moof.start;
        for traf in &moof.trafs {
            let ours = traf.tfhd.track_id == track_id;
            if let (true, Some(tfdt)) = (ours, &traf.tfdt) {
                let first = *first.get_or_insert(tfdt.base_media_decode_time);
                // Never back: a file that was put together badly is played in its own order.
                decode = decode.max(tfdt.base_media_decode_time.saturating_sub(first));
            }
            let mut run = Run {
                list: &mut list,
                decode: &mut decode,
                place: &mut place,
                file_len,
                ours,
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
    place: &'a mut u64,
    file_len: usize,
    ours: bool,
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
                *self.place = base.saturating_add_signed(i64::from(offset));
            }
            for index in 0..trun.sample_count as usize {
                let size = *trun.sample_sizes.get(index).unwrap_or(&default_size);
                let end = self.place.saturating_add(u64::from(size));
                if end > self.file_len as u64 {
                    // The last fragment of a recording that was cut off.
                    return Ok(());
                }
                if self.ours {
                    if self.list.len() >= MAX_SAMPLES {
                        return Err(MediaError::Malformed("a track has too many samples"));
                    }
                    let flags = match (trun.sample_flags.get(index), index, trun.first_sample_flags) {
                        (Some(flags), ..) => *flags,
                        (None, 0, Some(first)) => first,
                        (None, ..) => default_flags,
                    };
                    self.list.push(Sample {
                        offset: *self.place as usize,
                        len: size as usize,
                        decode: *self.decode,
                        // Signed in version 1 of the box, and small in version 0.
                        composition: trun.sample_cts.get(index).copied().unwrap_or(0) as i32,
                        sync: flags & NON_SYNC == 0,
                    });
                    let duration = *trun.sample_durations.get(index).unwrap_or(&default_duration);
                    *self.decode = self.decode.saturating_add(u64::from(duration));
                }
                *self.place = end;
            }
        }
        Ok(())
    }
}
