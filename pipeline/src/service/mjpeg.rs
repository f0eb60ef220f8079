//! A moving picture for everything that shows a JPEG: `multipart/x-mixed-replace`, a part per picture.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

/// Separates the parts; no JPEG contains it.
const BOUNDARY: &str = "kadr-frame";

/// An answer that shows one picture after the other until the stream ends or the client goes.
///
/// A picture is asked for when the one before it is on its way, so a stream that gives its newest
/// picture makes slow clients skip some instead of lagging behind. The bytes are not copied.
pub fn moving_picture(pictures: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let content_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    let opening = stream::iter([Bytes::from(format!("--{BOUNDARY}\r\n"))]);
    let parts = pictures.flat_map(|jpeg| stream::iter(part_of(jpeg)));
    let body = opening.chain(parts).map(Ok::<_, Infallible>);
    (
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(body),
    )
        .into_response()
}

/// The boundary comes after the picture: a browser shows it then, and not only when the next one comes.
fn part_of(jpeg: Bytes) -> [Bytes; 3] {
    let length = jpeg.len();
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    [head.into(), jpeg, format!("\r\n--{BOUNDARY}\r\n").into()]
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn every_picture_is_a_part_between_two_boundaries() {
        let pictures = ["one", "three"].map(|text| Bytes::from_static(text.as_bytes()));
        let response = moving_picture(stream::iter(pictures));
        let content_type = &response.headers()[header::CONTENT_TYPE];
        assert_eq!(
            content_type,
            "multipart/x-mixed-replace; boundary=kadr-frame"
        );
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let expected = "--kadr-frame\r\n\
            Content-Type: image/jpeg\r\nContent-Length: 3\r\n\r\none\r\n--kadr-frame\r\n\
            Content-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nthree\r\n--kadr-frame\r\n";
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn pictures_are_passed_on_and_not_copied() {
        let picture = Bytes::from(vec![7; 1000]);
        let start = picture.as_ptr();
        let response = moving_picture(stream::iter([picture]));
        let chunks: Vec<Bytes> = response
            .into_body()
            .into_data_stream()
            .map(|chunk| chunk.unwrap())
            .collect()
            .await;
        assert!(chunks.iter().any(|chunk| chunk.as_ptr() == start));
    }
}
