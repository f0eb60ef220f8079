//! Records inside a batch: the walk that checks uncompressed ones, and the streaming walk that time lookups use.

use std::io::{self, Read};

use super::batch::{BatchError, Codec, HEADER_BYTES, Header};

/// A few compressed bytes can claim gigabytes; a time lookup gives up past this.
const MAX_DECOMPRESSED_BYTES: u64 = 1 << 30;
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// Snappy's densest element makes 64 bytes of three.
const SNAPPY_MAX_RATIO: usize = 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordStamp {
    pub offset: i64,
    pub timestamp_ms: i64,
}

/// Every length adds up, every offset delta is the next one.
pub(super) fn check(mut rest: &[u8], record_count: i32) -> Result<(), BatchError> {
    for expected_delta in 0..record_count {
        let length = length(&mut rest).ok_or(WRONG_LENGTH)?;
        let mut record = take(&mut rest, length).ok_or(WRONG_LENGTH)?;
        let delta = check_record(&mut record).ok_or(WRONG_LENGTH)?;
        if delta != i64::from(expected_delta) {
            return Err(BatchError::InvalidRecord(
                "the offset deltas of the records do not count up from zero",
            ));
        }
        if !record.is_empty() {
            return Err(WRONG_LENGTH);
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(BatchError::InvalidRecord(
            "bytes are left over after the last record",
        ))
    }
}

const WRONG_LENGTH: BatchError =
    BatchError::InvalidRecord("a record's lengths do not add up to the batch");

fn check_record(record: &mut &[u8]) -> Option<i64> {
    take(record, 1)?;
    varint(record)?;
    let offset_delta = varint(record)?;
    for _key_then_value in 0..2 {
        skip_nullable(record)?;
    }
    for _header in 0..length(record)? {
        let key_bytes = length(record)?;
        take(record, key_bytes)?;
        skip_nullable(record)?;
    }
    Some(offset_delta)
}

fn skip_nullable(record: &mut &[u8]) -> Option<()> {
    match varint(record)? {
        -1 => Some(()),
        bytes => take(record, usize::try_from(bytes).ok()?).map(|_skipped| ()),
    }
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(varint(bytes)?).ok()
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    bytes.split_off(..count)
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    read_varint(bytes).ok()
}

fn read_varint(from: &mut impl Read) -> io::Result<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f).unbounded_shl(shift);
        if byte[0] & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "a number in the batch is longer than ten bytes",
    ))
}

/// The first record of `batch` that `wanted` accepts; decompresses as it goes, holding no whole record.
pub(super) fn find(
    header: &Header,
    batch: &[u8],
    wanted: impl Fn(RecordStamp) -> bool,
) -> io::Result<Option<RecordStamp>> {
    let mut stream = open(header, &batch[HEADER_BYTES..])?.take(MAX_DECOMPRESSED_BYTES);
    for _record in 0..header.record_count {
        let length = read_varint(&mut stream)?;
        let length = u64::try_from(length).map_err(|_cause| wrong_data())?;
        let mut record = stream.by_ref().take(length);
        let mut attributes = [0];
        record.read_exact(&mut attributes)?;
        let timestamp_delta_ms = read_varint(&mut record)?;
        let offset_delta = read_varint(&mut record)?;
        let stamp = RecordStamp {
            offset: header.base_offset.wrapping_add(offset_delta),
            timestamp_ms: header.base_timestamp_ms.wrapping_add(timestamp_delta_ms),
        };
        if wanted(stamp) {
            return Ok(Some(stamp));
        }
        io::copy(&mut record, &mut io::sink())?;
    }
    Ok(None)
}

fn open<'a>(header: &Header, body: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match header.codec().ok_or_else(wrong_data)? {
        Codec::None => Box::new(body),
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
        Codec::Lz4 => Box::new(lz4::Decoder::new(body)?),
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(body)?),
        Codec::Snappy if body.starts_with(XERIAL_MAGIC) => {
            let blocks = body.get(XERIAL_HEADER_BYTES..).ok_or_else(wrong_data)?;
            Box::new(SnappyBlocks {
                blocks,
                open: io::Cursor::new(Vec::new()),
            })
        }
        Codec::Snappy => Box::new(io::Cursor::new(unpack_snappy(body)?)),
    })
}

/// The framing of snappy-java, which Kafka's clients use: blocks, each after its length.
struct SnappyBlocks<'a> {
    blocks: &'a [u8],
    open: io::Cursor<Vec<u8>>,
}

impl Read for SnappyBlocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.open.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.blocks.is_empty() {
                return Ok(count);
            }
            let mut length = [0; 4];
            self.blocks.read_exact(&mut length)?;
            let block = take(&mut self.blocks, u32::from_be_bytes(length) as usize)
                .ok_or_else(wrong_data)?;
            self.open = io::Cursor::new(unpack_snappy(block)?);
        }
    }
}

fn unpack_snappy(block: &[u8]) -> io::Result<Vec<u8>> {
    let claimed = snap::raw::decompress_len(block).map_err(io::Error::other)?;
    if claimed > block.len().saturating_mul(SNAPPY_MAX_RATIO) {
        return Err(wrong_data());
    }
    snap::raw::Decoder::new()
        .decompress_vec(block)
        .map_err(io::Error::other)
}

fn wrong_data() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the records of a batch cannot be decoded",
    )
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
