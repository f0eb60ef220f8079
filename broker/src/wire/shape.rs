//! Checks that a request is laid out as its table says, without allocating: the codec reserves
//! memory for as many elements as a request claims, so a request of twenty bytes could end the
//! process. Every count is held against the bytes that are left first.

use bytes::Buf;
use kafka_protocol::messages::ApiKey;

use super::tables::{Field, Kind, fields};

/// No request of an honest client names more things.
const MAX_ELEMENTS: usize = 100_000;

/// From this header version on, lengths are compact and structs end with tagged fields.
const FLEXIBLE_HEADER: i16 = 2;

/// How a request differs from its table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("it ends too early")]
    Short,
    #[error("a length of {0} is past its end")]
    Length(i64),
    #[error("a list of {0} is past its end")]
    Count(i64),
    #[error("it names more than {MAX_ELEMENTS} things")]
    TooMany,
    #[error("a length takes more than five bytes")]
    Varint,
    #[error("there is no table for it")]
    Unknown,
}

/// Walks the body of a request.
pub(crate) fn check(api: ApiKey, version: i16, body: &[u8]) -> Result<(), ShapeError> {
    let mut walk = Walk {
        rest: body,
        version,
        is_flexible: api.request_header_version(version) >= FLEXIBLE_HEADER,
        elements: 0,
    };
    // What follows is ignored, as Apache Kafka does: librdkafka sends a few bytes too many when it
    // asks for the metadata of all topics.
    walk.fields(fields(api).ok_or(ShapeError::Unknown)?)
}

/// What is left of the body, and how much was counted.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    /// A struct: its fields, and what is tagged on.
    fn fields(&mut self, fields: &[Field]) -> Result<(), ShapeError> {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.kind(&field.kind)?;
            }
        }
        if self.is_flexible {
            self.tagged_fields()?;
        }
        Ok(())
    }

    fn kind(&mut self, kind: &Kind) -> Result<(), ShapeError> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes as i64),
            Kind::Text => {
                let length = self.length(LengthOf::Text)?;
                self.skip(length)
            }
            Kind::Bytes => {
                let length = self.length(LengthOf::BytesOrList)?;
                self.skip(length)
            }
            Kind::Structs(fields) => {
                for _ in 0..self.count()? {
                    self.fields(fields)?;
                }
                Ok(())
            }
            Kind::List(element) => {
                for _ in 0..self.count()? {
                    self.kind(element)?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self) -> Result<i64, ShapeError> {
        let count = self.length(LengthOf::BytesOrList)?;
        self.counted(count)
    }

    /// Holds a count against what is left, and against what may be.
    fn counted(&mut self, count: i64) -> Result<i64, ShapeError> {
        // Whatever an element is, it takes a byte.
        if count > self.rest.len() as i64 {
            return Err(ShapeError::Count(count));
        }
        self.elements += count as usize;
        if self.elements > MAX_ELEMENTS {
            return Err(ShapeError::TooMany);
        }
        Ok(count)
    }

    fn tagged_fields(&mut self) -> Result<(), ShapeError> {
        let count = self.varint()?;
        for _ in 0..self.counted(count)? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Ok(())
    }

    /// A length; what is absent has none.
    fn length(&mut self, of: LengthOf) -> Result<i64, ShapeError> {
        let length = match of {
            _ if self.is_flexible => self.varint()? - 1,
            LengthOf::Text => i64::from(
                self.rest
                    .try_get_i16()
                    .map_err(|_short| ShapeError::Short)?,
            ),
            LengthOf::BytesOrList => i64::from(
                self.rest
                    .try_get_i32()
                    .map_err(|_short| ShapeError::Short)?,
            ),
        };
        match length {
            -1 => Ok(0),
            length if length < -1 => Err(ShapeError::Length(length)),
            length => Ok(length),
        }
    }

    fn varint(&mut self) -> Result<i64, ShapeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8().map_err(|_short| ShapeError::Short)?;
            value |= i64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ShapeError::Varint)
    }

    fn skip(&mut self, bytes: i64) -> Result<(), ShapeError> {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.rest.len() => {
                self.rest.advance(bytes);
                Ok(())
            }
            _ if self.rest.is_empty() => Err(ShapeError::Short),
            _ => Err(ShapeError::Length(bytes)),
        }
    }
}

#[derive(Clone, Copy)]
enum LengthOf {
    Text,
    BytesOrList,
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
