//! A Kafka client of one connection that sends what it is told, right or wrong, and reads the
//! answer.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kafka::within;

/// No answer of a test is larger.
const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;
/// The CRC covers a batch from here on.
const ATTRIBUTES_AT: usize = 21;
const CRC_AT: usize = 17;

/// A text as the protocol's structs want it.
pub fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    correlation: i32,
}

impl Client {
    /// Connects.
    pub async fn connect(address: &str) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_nodelay(true).expect("a TCP stream");
        Self {
            stream,
            correlation: 0,
        }
    }

    /// Connects; `None` when nobody is there.
    pub async fn try_connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self {
            stream,
            correlation: 0,
        })
    }

    /// Sends a request and returns its answer.
    pub async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let answer = self.try_call(version, request).await;
        answer
            .unwrap_or_else(|| panic!("{:?}: closed instead of answered", ApiKey::try_from(R::KEY)))
    }

    /// The same; `None` when the broker closed the connection instead.
    pub async fn try_call<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    /// Sends a request and waits for nothing.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let key = ApiKey::try_from(R::KEY).expect("a key of the protocol");
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text("conformance")));
        let mut frame = BytesMut::new();
        header
            .encode(&mut frame, key.request_header_version(version))
            .expect("a header");
        request
            .encode(&mut frame, version)
            .unwrap_or_else(|error| panic!("{key:?} cannot be sent: {error}"));
        self.send_frame(&frame).await;
    }

    /// Waits for the answer to the request sent last.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Option<R::Response> {
        let mut frame = self.receive_frame().await?;
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).expect("a header");
        assert_eq!(header.correlation_id, self.correlation);
        let response = R::Response::decode(&mut frame, version)
            .unwrap_or_else(|error| panic!("an answer that cannot be read: {error}"));
        let (key, rest) = (R::KEY, frame.len());
        assert!(frame.is_empty(), "{rest} bytes left over, api {key}");
        Some(response)
    }

    /// Sends a frame as it is, behind its length.
    pub async fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = BytesMut::with_capacity(frame.len() + 4);
        bytes.put_u32(u32::try_from(frame.len()).expect("a small frame"));
        bytes.put_slice(frame);
        // A broker that has closed the connection shows when the answer is read.
        drop(within("a request is sent", self.stream.write_all(&bytes)).await);
    }

    /// The next frame; `None` when the connection was closed.
    pub async fn receive_frame(&mut self) -> Option<Bytes> {
        let length = within("an answer", self.stream.read_u32()).await.ok()? as usize;
        assert!(length <= MAX_FRAME_BYTES, "an answer of {length} bytes");
        let mut frame = vec![0; length];
        within("an answer", self.stream.read_exact(&mut frame))
            .await
            .ok()?;
        Some(Bytes::from(frame))
    }
}

/// A batch of records to encode.
#[derive(Clone)]
pub struct Batch {
    records: Vec<(i64, Bytes)>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    compression: Compression,
    transactional: bool,
}

impl Batch {
    /// A batch without a producer id; each record has its time in milliseconds.
    pub fn at_times(records: &[(i64, &str)]) -> Self {
        let records = records.iter();
        let records = records.map(|(time, value)| (*time, Bytes::from((*value).to_owned())));
        Self {
            records: records.collect(),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            compression: Compression::None,
            transactional: false,
        }
    }

    /// The same with some time of day.
    pub fn of(values: &[&str]) -> Self {
        let now_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        let records: Vec<_> = values.iter().map(|value| (now_ms, *value)).collect();
        Self::at_times(&records)
    }

    /// From an idempotent producer.
    #[must_use]
    pub fn by(mut self, (producer_id, producer_epoch): (i64, i16), base_sequence: i32) -> Self {
        self.producer_id = producer_id;
        self.producer_epoch = producer_epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Compressed.
    #[must_use]
    pub fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// The batch as it goes over the wire.
    pub fn encode(&self) -> Bytes {
        let records = self.records.iter().enumerate();
        let records: Vec<Record> = records
            .map(|(at, record)| self.record(at, record))
            .collect();
        let options = RecordEncodeOptions {
            version: 2,
            compression: self.compression,
        };
        let mut bytes = BytesMut::new();
        RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("a batch");
        bytes.freeze()
    }

    fn record(&self, at: usize, (timestamp, value): &(i64, Bytes)) -> Record {
        let at = i32::try_from(at).expect("a small batch");
        let sequence = match self.base_sequence {
            -1 => at - 1,
            base => base.wrapping_add(at),
        };
        Record {
            transactional: self.transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(at),
            sequence,
            timestamp: *timestamp,
            key: None,
            value: Some(value.clone()),
            headers: std::iter::empty().collect(),
        }
    }
}

/// The batch with one byte changed and, if asked for, a CRC that covers the change.
pub fn tampered(batch: &Bytes, at: usize, byte: u8, with_right_crc: bool) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    bytes[at] = byte;
    if with_right_crc {
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    }
    bytes.freeze()
}

/// The base offset and the number of records of each whole batch.
pub fn batches_of(records: &Bytes) -> Vec<(i64, i32)> {
    let mut rest = records.clone();
    let mut batches = Vec::new();
    while rest.len() >= 61 {
        let base_offset = (&rest[0..8]).get_i64();
        let length = (&rest[8..12]).get_i32() as usize + 12;
        let count = (&rest[57..61]).get_i32();
        if rest.len() < length {
            break;
        }
        batches.push((base_offset, count));
        rest.advance(length);
    }
    batches
}
