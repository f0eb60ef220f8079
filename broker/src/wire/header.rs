//! The header of a request: what is asked, in which version, by whom.

use bytes::{Buf, Bytes};
use kafka_protocol::{
    messages::{ApiKey, RequestHeader},
    protocol::Decodable,
};

use super::versions::speaks;

/// A request that this broker speaks; its body is still to be read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: String,
    pub(crate) body: Bytes,
}

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("a request of {0} bytes has no header")]
    Short(usize),
    #[error("no such request: key {0}")]
    UnknownKey(i16),
    #[error("{api:?} in version {version} is not spoken here")]
    Version { api: ApiKey, version: i16 },
    /// The one request that is answered all the same, so that client and broker find a version.
    #[error("ApiVersions in version {version} is not spoken here")]
    ApiVersions { version: i16, correlation_id: i32 },
    #[error("malformed header: {0}")]
    Malformed(String),
}

/// Bytes of key, version and correlation id, which begin every request.
const FIXED_BYTES: usize = 8;

impl Request {
    /// Reads the header off the front of a request.
    pub(crate) fn parse(mut frame: Bytes) -> Result<Self, HeaderError> {
        if frame.len() < FIXED_BYTES {
            return Err(HeaderError::Short(frame.len()));
        }
        let mut fixed = &frame[..FIXED_BYTES];
        let (key, version, correlation_id) = (fixed.get_i16(), fixed.get_i16(), fixed.get_i32());
        let api = ApiKey::try_from(key).map_err(|()| HeaderError::UnknownKey(key))?;
        if !speaks(api, version) {
            return Err(match api {
                ApiKey::ApiVersions => HeaderError::ApiVersions {
                    version,
                    correlation_id,
                },
                _ => HeaderError::Version { api, version },
            });
        }
        let header = RequestHeader::decode(&mut frame, api.request_header_version(version))
            .map_err(|cause| HeaderError::Malformed(cause.to_string()))?;
        Ok(Self {
            api,
            version,
            correlation_id,
            client_id: header
                .client_id
                .map(|client_id| client_id.to_string())
                .unwrap_or_default(),
            body: frame,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    fn frame(key: i16, version: i16, header_version: i16) -> Bytes {
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(StrBytes::from_static_str("kcat")))
            .encode(&mut frame, header_version)
            .expect("a header");
        frame.put_slice(b"body");
        frame.freeze()
    }

    #[test]
    fn both_forms_of_the_header_leave_the_body() {
        for (version, header_version) in [(8, 1), (9, 2)] {
            let frame = frame(ApiKey::Produce as i16, version, header_version);
            let request = Request::parse(frame).expect("a request");
            assert_eq!(request.api, ApiKey::Produce);
            assert_eq!(request.version, version);
            assert_eq!(request.correlation_id, 7);
            assert_eq!(request.client_id, "kcat");
            assert_eq!(&request.body[..], b"body");
        }
    }

    #[test]
    fn every_truncated_header_is_an_error() {
        let whole = frame(ApiKey::Produce as i16, 9, 2);
        for length in 0..whole.len() - b"body".len() {
            assert!(Request::parse(whole.slice(..length)).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_not_spoken_is_named() {
        let unknown = Request::parse(frame(999, 0, 1)).expect_err("no such key");
        assert!(matches!(unknown, HeaderError::UnknownKey(999)));
        let newer = Request::parse(frame(ApiKey::Fetch as i16, 17, 2)).expect_err("too new");
        assert!(matches!(newer, HeaderError::Version { version: 17, .. }));
        let versions = Request::parse(frame(ApiKey::ApiVersions as i16, 99, 2));
        assert!(matches!(
            versions,
            Err(HeaderError::ApiVersions {
                version: 99,
                correlation_id: 7
            })
        ));
    }
}
