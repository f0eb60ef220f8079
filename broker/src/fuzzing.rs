//! Entrances for the fuzz targets in `broker/fuzz`; built by cargo-fuzz alone.

use bytes::Bytes;
use kafka_protocol::messages::RequestKind;

use crate::{
    log::Batches,
    wire::{header::Request, shape},
};

/// Any bytes as one request, as far as a connection reads it before a handler sees it.
pub fn request(frame: &[u8]) {
    let Ok(mut request) = Request::parse(Bytes::copy_from_slice(frame)) else {
        return;
    };
    if shape::check(request.api, request.version, &request.body).is_ok() {
        drop(RequestKind::decode(
            request.api,
            &mut request.body,
            request.version,
        ));
    }
}

/// Any bytes as the records of a Produce request.
pub fn records(records: &[u8]) {
    drop(Batches::parse(
        Bytes::copy_from_slice(records),
        records.len(),
    ));
}
