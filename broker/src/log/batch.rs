//! One record batch as it travels: its header, and the checks it must pass before it may enter a log.

use bytes::Bytes;

use super::records;

pub(super) const HEADER_BYTES: usize = 61;
/// Base offset and length stand before what the length counts.
const LENGTH_COUNTS_FROM: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_COVERS_FROM: usize = 21;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("the record batch is damaged ({0}): send it again")]
    Corrupt(&'static str),
    #[error("message format {0} is too old: use a client that writes record batches (format 2)")]
    OldFormat(i8),
    #[error("{0}")]
    InvalidRecord(&'static str),
    #[error(
        "the record batch has {bytes} bytes and the topic takes {limit}: raise its max.message.bytes or send less"
    )]
    TooLarge { bytes: usize, limit: usize },
    #[error("compression type {0} is unknown: use gzip, snappy, lz4 or zstd")]
    UnsupportedCompression(i16),
    #[error("transactions are not supported here: use Apache Kafka for them")]
    Transactional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub base_offset: i64,
    /// All of the batch, its base offset and length included.
    pub bytes: usize,
    pub leader_epoch: i32,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl Header {
    /// `None` where the bytes cannot be the start of a batch.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        if header[MAGIC_AT] != 2 {
            return None;
        }
        let length = usize::try_from(i32::from_be_bytes(field(header, 8))).ok()?;
        let read = Self {
            base_offset: i64::from_be_bytes(field(header, 0)),
            bytes: length + LENGTH_COUNTS_FROM,
            leader_epoch: i32::from_be_bytes(field(header, 12)),
            crc: u32::from_be_bytes(field(header, 17)),
            attributes: i16::from_be_bytes(field(header, 21)),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            producer_id: i64::from_be_bytes(field(header, 43)),
            producer_epoch: i16::from_be_bytes(field(header, 51)),
            base_sequence: i32::from_be_bytes(field(header, 53)),
            record_count: i32::from_be_bytes(field(header, 57)),
        };
        (read.bytes >= HEADER_BYTES && read.last_offset_delta >= 0).then_some(read)
    }

    pub(super) fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    pub(super) fn codec(&self) -> Option<Codec> {
        match self.attributes & 7 {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    /// The checksum of `batch`, to hold against `crc`.
    pub(super) fn crc_of(batch: &[u8]) -> u32 {
        crc32c::crc32c(&batch[CRC_COVERS_FROM..])
    }
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *header[at..]
        .first_chunk()
        .expect("every field lies within the header")
}

/// What one produce request brings for one partition: exactly one checked batch, as Kafka asks since Produce 3.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    pub(super) header: Header,
    pub(super) body: Bytes,
}

impl Batches {
    pub(crate) fn parse(records: Bytes, max_batch_bytes: usize) -> Result<Self, BatchError> {
        let header = checked_frame(&records, max_batch_bytes)?;
        check_header(&header)?;
        let codec = header
            .codec()
            .ok_or(BatchError::UnsupportedCompression(header.attributes & 7))?;
        if codec == Codec::None {
            records::check(&records[HEADER_BYTES..], header.record_count)?;
        }
        Ok(Self {
            header,
            body: records,
        })
    }

    /// The time of the newest record in it.
    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.header.max_timestamp_ms
    }

    /// The first 16 bytes as they are stored: both changed fields lie outside the checksum.
    pub(super) fn stored_prefix(&self, base_offset: i64, leader_epoch: i32) -> [u8; 16] {
        let mut prefix = *self
            .body
            .first_chunk::<16>()
            .expect("a checked batch has a whole header");
        prefix[..8].copy_from_slice(&base_offset.to_be_bytes());
        prefix[12..].copy_from_slice(&leader_epoch.to_be_bytes());
        prefix
    }
}

fn checked_frame(records: &[u8], max_batch_bytes: usize) -> Result<Header, BatchError> {
    let Some(&magic) = records.get(MAGIC_AT) else {
        return Err(BatchError::InvalidRecord("there is no whole record batch"));
    };
    if magic.cast_signed() < 2 {
        return Err(BatchError::OldFormat(magic.cast_signed()));
    }
    let header = Header::read(records).ok_or(BatchError::Corrupt("impossible header"))?;
    if header.bytes > records.len() {
        return Err(BatchError::InvalidRecord(
            "the record batch is shorter than its length says",
        ));
    }
    if header.bytes < records.len() {
        return Err(BatchError::InvalidRecord(
            "a produce request holds exactly one record batch for each partition",
        ));
    }
    if header.bytes > max_batch_bytes {
        return Err(BatchError::TooLarge {
            bytes: header.bytes,
            limit: max_batch_bytes,
        });
    }
    if Header::crc_of(records) != header.crc {
        return Err(BatchError::Corrupt("checksum differs"));
    }
    Ok(header)
}

fn check_header(header: &Header) -> Result<(), BatchError> {
    if header.base_offset != 0 {
        return Err(BatchError::InvalidRecord(
            "the offsets of a batch that is sent begin at 0",
        ));
    }
    if header.attributes & CONTROL != 0 {
        return Err(BatchError::InvalidRecord(
            "clients may not write control batches",
        ));
    }
    if header.attributes & TRANSACTIONAL != 0 {
        return Err(BatchError::Transactional);
    }
    if header.attributes & LOG_APPEND_TIME != 0 {
        return Err(BatchError::InvalidRecord(
            "clients may not set the log append time",
        ));
    }
    if header.record_count <= 0
        || i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1
    {
        return Err(BatchError::InvalidRecord(
            "the record count and the last offset delta disagree",
        ));
    }
    if header.is_idempotent() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(BatchError::InvalidRecord(
            "an idempotent batch needs a sequence and an epoch",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
