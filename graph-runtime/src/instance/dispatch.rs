//! Gives each unit of the camera to the recorders and the decoder, within the memory budget.

use lva_rtsp::AccessUnit;

use crate::budget::Budget;
use crate::decode::DecoderInput;
use crate::flow::RecorderInput;

/// Gives a unit to everything that wants it, as far as memory allows: to recorders before analysis.
pub(super) fn dispatch(
    budget: &Budget,
    mut unit: AccessUnit,
    recorders: &mut [RecorderInput],
    decoder: Option<(&mut DecoderInput, u64)>,
) {
    let (stream, media) = (unit.stream, unit.media);
    let wanted = |recorder: &&mut RecorderInput| recorder.wants(stream, media);
    let recorders = recorders.iter_mut().filter(wanted);
    let Some(data) = budget.reserve(unit.data) else {
        recorders.for_each(RecorderInput::drop_over_budget);
        if let Some((decoder, _)) = decoder {
            decoder.drop_over_budget();
        }
        return;
    };
    unit.data = data;
    for recorder in recorders {
        recorder.unit(&unit);
    }
    match decoder {
        Some((decoder, _)) if budget.is_high() => decoder.drop_over_budget(),
        Some((decoder, epoch)) => decoder.unit(unit, epoch),
        None => {}
    }
}

#[cfg(test)]
mod tests;
