//! What must hold of the records on the topics, whatever happened to the services.

use std::collections::{BTreeMap, HashMap, HashSet};

use pipeline::frame::{FrameId, Lane, SourceId};

use super::recorder::Recorder;

/// What became of the frames of the durable lane.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Frames with a result.
    pub results: HashSet<FrameId>,
    /// Frames that ended as a dead letter.
    pub dead: HashSet<FrameId>,
    /// Frames whose result is on the topic more than once: readers show one of them.
    pub repeated: Vec<FrameId>,
}

/// Every frame of the durable lane ended, in one way, and nothing ended that was never sent; every
/// result has its annotated picture under the same id.
///
/// Dead letters are matched by the place they came from, as their records may have no id.
pub fn every_durable_frame_ended(recorder: &Recorder) -> Outcomes {
    let lane = recorder.topics().of_lane(Lane::Durable);
    let mut sent = HashMap::new();
    for frame in recorder.frames(Lane::Durable) {
        sent.insert((frame.place.partition, frame.place.offset), frame.value.id);
    }
    let ids: HashSet<FrameId> = sent.values().copied().collect();
    let mut outcomes = Outcomes::default();
    for result in recorder.results() {
        if ids.contains(&result.value.id) && !outcomes.results.insert(result.value.id) {
            outcomes.repeated.push(result.value.id);
        }
    }
    for letter in recorder.dead() {
        let letter = letter.value;
        if letter.topic == lane {
            outcomes
                .dead
                .extend(sent.get(&(letter.partition, letter.offset)));
        }
    }
    let both: Vec<_> = outcomes.results.intersection(&outcomes.dead).collect();
    assert!(both.is_empty(), "both a result and a dead letter: {both:?}");
    let ended: HashSet<FrameId> = outcomes.results.union(&outcomes.dead).copied().collect();
    let lost: Vec<_> = ids.difference(&ended).collect();
    assert!(
        lost.is_empty(),
        "{} of {} frames are lost: {lost:?}",
        lost.len(),
        ids.len()
    );
    outcomes
}

/// Each result says where its annotated picture stands, and there it is, with the same id, source and
/// time.
pub fn every_result_has_its_picture(recorder: &Recorder) {
    let pictures: HashMap<_, _> = recorder
        .annotated()
        .into_iter()
        .map(|picture| {
            (
                (picture.place.partition, picture.place.offset),
                picture.value,
            )
        })
        .collect();
    for result in recorder.results() {
        let result = result.value;
        let place = result.annotated.as_ref().expect("every frame is drawn");
        assert_eq!(place.topic, recorder.topics().annotated());
        let picture = pictures
            .get(&(place.partition, place.offset))
            .unwrap_or_else(|| panic!("no picture at {place:?}"));
        let of_result = (result.id, &result.source, result.captured_at);
        assert_eq!(
            (picture.id, &picture.source, picture.captured_at),
            of_result
        );
    }
}

/// Results and pictures of a source come in the order of its frames. A repeated one counts where it
/// came first.
pub fn order_is_kept(recorder: &Recorder) -> BTreeMap<SourceId, usize> {
    let mut sent = HashMap::new();
    for lane in [Lane::Durable, Lane::Live] {
        for frame in recorder.frames(lane) {
            sent.insert(frame.value.id, frame.place.offset);
        }
    }
    let results = recorder.results().into_iter();
    let results = results.map(|result| (result.value.source, result.value.id));
    let counted = in_order("results", results, &sent);
    let pictures = recorder.annotated().into_iter();
    let pictures = pictures.map(|picture| (picture.value.source, picture.value.id));
    in_order("annotated pictures", pictures, &sent);
    counted
}

/// How many outputs each source has, after checking their order.
fn in_order(
    what: &str,
    outputs: impl Iterator<Item = (SourceId, FrameId)>,
    sent: &HashMap<FrameId, i64>,
) -> BTreeMap<SourceId, usize> {
    let mut last: HashMap<SourceId, i64> = HashMap::new();
    let mut known = HashSet::new();
    let mut counts = BTreeMap::new();
    for (source, id) in outputs {
        if !known.insert(id) {
            continue;
        }
        let offset = *sent
            .get(&id)
            .unwrap_or_else(|| panic!("{what}: {id} was never sent"));
        let before = last.insert(source.clone(), offset);
        assert!(
            before.is_none_or(|before| before < offset),
            "{what} of {source}: frame at {offset} after the one at {before:?}"
        );
        *counts.entry(source).or_insert(0) += 1;
    }
    counts
}
