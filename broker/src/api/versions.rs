//! `ApiVersions`: which requests are taken, in which versions.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion,
    },
};

use crate::wire::{Answer, answer::EncodeError, header::Request, versions::SPOKEN};

/// The table of [`SPOKEN`].
pub(super) fn answer(_request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let api_keys = SPOKEN.map(|(key, versions)| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(versions.min)
            .with_max_version(versions.max)
    });
    ApiVersionsResponse::default().with_api_keys(api_keys.to_vec())
}

/// The answer to a client of the future: the oldest form, which every client reads.
pub(crate) fn oldest(correlation_id: i32) -> Result<Answer, EncodeError> {
    let request = Request {
        api: ApiKey::ApiVersions,
        version: 0,
        correlation_id,
        client_id: String::new(),
        body: bytes::Bytes::new(),
    };
    let response = answer(&ApiVersionsRequest::default())
        .with_error_code(ResponseError::UnsupportedVersion.code());
    Answer::to(&request, &response)
}
