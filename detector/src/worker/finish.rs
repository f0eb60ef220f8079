//! From the model's answer to what is published: the annotated picture, as a JPEG.

use std::cell::RefCell;
use std::time::Instant;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use pipeline::record::FailureKind;
use pipeline::service::shutdown::describe;
use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
};

use super::job::{Failed, Finished, Outcome, Predicted, milliseconds};
use crate::annotate::Annotator;
use crate::image::{ImageError, RgbImage};
use crate::jpeg::JpegEncoder;

thread_local! {
    static ANNOTATOR: RefCell<Annotator> = RefCell::default();
    static ENCODER: RefCell<Option<JpegEncoder>> = const { RefCell::new(None) };
}

/// The stage.
#[derive(Debug)]
pub(crate) struct Finish {
    pub(crate) answers: mpsc::Receiver<Vec<Outcome<Predicted>>>,
    pub(crate) outcomes: mpsc::Sender<Outcome<Finished>>,
    pub(crate) quality: u8,
    /// Pictures drawn at the same time.
    pub(crate) width: usize,
}

impl Finish {
    /// Draws until the model thread has ended; pictures leave in the order of the answers.
    pub(crate) async fn run(self) -> Result<(), JoinError> {
        let quality = self.quality;
        let answers = received(self.answers).flat_map(stream::iter);
        let drawing = answers.map(|answer| spawn_blocking(move || finish(answer, quality)));
        let mut finished = drawing.buffered(self.width);
        while let Some(outcome) = finished.next().await {
            // Without a publisher the frame is not completed, and so comes again.
            drop(self.outcomes.send(outcome?).await);
        }
        Ok(())
    }
}

/// What a channel yields, as a stream.
pub(crate) fn received<T>(mut channel: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    stream::poll_fn(move |context| channel.poll_recv(context))
}

fn finish(answer: Outcome<Predicted>, quality: u8) -> Outcome<Finished> {
    answer.map(|predicted| predicted.and_then(|predicted| draw(predicted, quality)))
}

fn draw(predicted: Predicted, quality: u8) -> Result<Finished, Failed> {
    let Predicted {
        mut job,
        mut picture,
        prediction,
        model,
        drawing,
    } = predicted;
    let started = Instant::now();
    ANNOTATOR.with_borrow_mut(|annotator| annotator.draw(&mut picture, &prediction, drawing));
    let drawn = Instant::now();
    job.timings.annotate = milliseconds(drawn - started);
    match encode_jpeg(&picture, quality) {
        Ok(annotated) => {
            let encoded = Instant::now();
            job.timings.encode = milliseconds(encoded - drawn);
            job.origin.trace.stage("annotate", started, drawn);
            job.origin.trace.until("encode", encoded);
            Ok(Finished {
                job,
                width: picture.width(),
                height: picture.height(),
                prediction,
                model,
                annotated,
            })
        }
        // What was decoded is refused by its size alone: JPEG ends a little below what we allow.
        Err(error) => Err(job.origin.failed(FailureKind::TooBig, describe(&error))),
    }
}

/// Encodes with this thread's own encoder.
pub(crate) fn encode_jpeg(picture: &RgbImage, quality: u8) -> Result<Bytes, ImageError> {
    ENCODER.with_borrow_mut(|kept| match kept {
        Some(encoder) if encoder.quality() == quality => encoder.encode(picture),
        _ => kept.insert(JpegEncoder::new(quality)?).encode(picture),
    })
}

#[cfg(test)]
mod tests {
    use pipeline::detections::{Classification, ModelVersion};
    use pipeline::draw::Drawing;
    use pipeline::kafka::Received;

    use super::super::decode::decode_jpeg;
    use super::super::job::tests::job;
    use super::*;
    use crate::model::Prediction;

    fn predicted(source: &str, side: u32) -> Outcome<Predicted> {
        let class = Classification {
            label: "bolt".to_owned(),
            score: 0.9,
        };
        Received::untracked(Ok(Predicted {
            job: job(source, "parts", b"\xff\xd8"),
            picture: RgbImage::new(side, side, vec![200; (side * side * 3) as usize]).unwrap(),
            prediction: Prediction::Classes(vec![class]),
            model: ModelVersion {
                name: "part-kind".to_owned(),
                version: 1,
            },
            drawing: Drawing::default(),
        }))
    }

    #[tokio::test]
    async fn pictures_leave_drawn_on_and_in_order_failures_among_them() {
        let (answer, answers) = mpsc::channel(1);
        let (outcomes, mut finished) = mpsc::channel(8);
        let stage = Finish {
            answers,
            outcomes,
            quality: 90,
            width: 4,
        };
        let running = tokio::spawn(stage.run());
        let failed = job("b", "parts", b"\xff\xd8")
            .origin
            .failed(FailureKind::ModelFailed, "no".to_owned());
        // The first takes longest to draw.
        let batch = vec![
            predicted("a", 600),
            Received::untracked(Err(failed)),
            predicted("c", 30),
        ];
        answer.send(batch).await.unwrap();
        let first = finished.recv().await.unwrap().complete().unwrap();
        assert_eq!(first.job.frame.source.as_str(), "a");
        assert!(first.job.timings.annotate > 0.0 && first.job.timings.encode > 0.0);
        let picture = decode_jpeg(&first.annotated, 600 * 600).unwrap();
        assert_eq!((picture.width(), first.width), (600, 600));
        assert!(
            picture.pixels()[0] < 120,
            "the caption's box is in the corner"
        );
        assert!(
            picture.pixels()[600 * 600 * 3 - 1] > 190,
            "and not elsewhere"
        );
        let second = finished.recv().await.unwrap().complete().unwrap_err();
        assert_eq!(second.kind, FailureKind::ModelFailed);
        let third = finished.recv().await.unwrap().complete().unwrap();
        assert_eq!(third.job.frame.source.as_str(), "c");
        drop(answer);
        running.await.unwrap().unwrap();
    }
}
