//! Answers ready to be sent: a few pieces of bytes, so that records are never copied together.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, ResponseHeader},
    protocol::{Encodable, HeaderVersion},
};
use tokio::sync::OwnedSemaphorePermit;

use super::header::Request;

/// One answer on its way out.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The length prefix and all that follows it, in order.
    pub(crate) pieces: Vec<Bytes>,
    /// Room taken by the records in it, given back once they are sent.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// A response that cannot be put into bytes: a fault of this broker, never of the client.
#[derive(Debug, thiserror::Error)]
#[error("the answer to {api:?} in version {version} cannot be encoded: {cause}")]
pub(crate) struct EncodeError {
    api: ApiKey,
    version: i16,
    cause: String,
}

impl Answer {
    /// The answer to `request`, in the same version.
    pub(crate) fn to<R: Encodable + HeaderVersion>(
        request: &Request,
        response: &R,
    ) -> Result<Self, EncodeError> {
        let version = request.version;
        let failed = |cause: &dyn ToString| EncodeError {
            api: request.api,
            version,
            cause: cause.to_string(),
        };
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        ResponseHeader::default()
            .with_correlation_id(request.correlation_id)
            .encode(&mut bytes, R::header_version(version))
            .map_err(|cause| failed(&cause))?;
        response
            .encode(&mut bytes, version)
            .map_err(|cause| failed(&cause))?;
        Ok(Self::from_pieces(bytes, Vec::new()))
    }

    /// An answer of several pieces; `head` begins with four bytes for the length, which is filled in.
    pub(crate) fn from_pieces(mut head: BytesMut, rest: Vec<Bytes>) -> Self {
        let length = head.len() - 4 + rest.iter().map(Bytes::len).sum::<usize>();
        let length = i32::try_from(length).expect("answers are bounded far below 2 GiB");
        head[..4].copy_from_slice(&length.to_be_bytes());
        let mut pieces = rest;
        pieces.insert(0, head.freeze());
        Self { pieces, room: None }
    }
}
