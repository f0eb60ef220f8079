//! The answer to Fetch, laid out by hand: the records go from the log to the socket uncopied, where
//! the codec would gather everything in one buffer.

use bytes::{BufMut, Bytes, BytesMut};

use super::answer::Answer;

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;

/// What is answered for one partition.
#[derive(Debug, Default)]
pub(crate) struct FetchedPartition {
    pub(crate) index: i32,
    pub(crate) error_code: i16,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) records: Bytes,
}

/// What is answered for one topic.
#[derive(Debug)]
pub(crate) struct FetchedTopic {
    pub(crate) name: String,
    pub(crate) partitions: Vec<FetchedPartition>,
}

/// The whole answer; there are no fetch sessions, so the session is always 0.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) error_code: i16,
    pub(crate) topics: Vec<FetchedTopic>,
}

impl Fetched {
    /// Lays the answer out for one version of Fetch, 4 to 12.
    pub(crate) fn into_answer(self, version: i16, correlation_id: i32) -> Answer {
        let mut layout = Layout {
            version,
            pieces: Vec::new(),
            open: BytesMut::new(),
        };
        layout.open.put_i32(0); // the length, filled in at the end
        layout.open.put_i32(correlation_id);
        layout.end_struct();
        layout.open.put_i32(0); // throttle time
        if version >= 7 {
            layout.open.put_i16(self.error_code);
            layout.open.put_i32(0); // session
        }
        layout.count(self.topics.len());
        for topic in self.topics {
            layout.topic(topic);
        }
        layout.end_struct();
        layout.finish()
    }
}

/// Pieces written so far, and the one being written.
struct Layout {
    version: i16,
    pieces: Vec<Bytes>,
    open: BytesMut,
}

impl Layout {
    fn topic(&mut self, topic: FetchedTopic) {
        self.text(&topic.name);
        self.count(topic.partitions.len());
        for partition in topic.partitions {
            self.partition(partition);
        }
        self.end_struct();
    }

    fn partition(&mut self, partition: FetchedPartition) {
        self.open.put_i32(partition.index);
        self.open.put_i16(partition.error_code);
        self.open.put_i64(partition.high_watermark);
        self.open.put_i64(partition.high_watermark); // last stable offset: no transactions
        if self.version >= 5 {
            self.open.put_i64(partition.log_start);
        }
        self.count(0); // aborted transactions
        if self.version >= 11 {
            self.open.put_i32(-1); // preferred replica
        }
        if self.version >= FLEXIBLE {
            self.varint(partition.records.len() + 1);
        } else {
            self.open.put_i32(length(partition.records.len()));
        }
        if !partition.records.is_empty() {
            self.pieces.push(self.open.split().freeze());
            self.pieces.push(partition.records);
        }
        self.end_struct();
    }

    fn text(&mut self, text: &str) {
        if self.version >= FLEXIBLE {
            self.varint(text.len() + 1);
        } else {
            self.open
                .put_i16(i16::try_from(text.len()).expect("topic names are short"));
        }
        self.open.put_slice(text.as_bytes());
    }

    fn count(&mut self, items: usize) {
        if self.version >= FLEXIBLE {
            self.varint(items + 1);
        } else {
            self.open.put_i32(length(items));
        }
    }

    /// No tagged fields.
    fn end_struct(&mut self) {
        if self.version >= FLEXIBLE {
            self.open.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.open.put_u8((value as u8) | 0x80);
            value >>= 7;
        }
        self.open.put_u8(value as u8);
    }

    fn finish(mut self) -> Answer {
        self.pieces.push(self.open.freeze());
        let head = BytesMut::from(&self.pieces.remove(0)[..]);
        Answer::from_pieces(head, self.pieces)
    }
}

fn length(value: usize) -> i32 {
    i32::try_from(value).expect("answers are bounded far below 2 GiB")
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::{
            BrokerId, FetchResponse, ResponseHeader, TopicName,
            fetch_response::{FetchableTopicResponse, PartitionData},
        },
        protocol::{Encodable, HeaderVersion, StrBytes},
    };

    use super::*;

    fn fetched() -> Fetched {
        let partition = |index, records: &'static [u8]| FetchedPartition {
            index,
            error_code: i16::from(records.is_empty()),
            high_watermark: 1 << 40,
            log_start: 17,
            records: Bytes::from_static(records),
        };
        let topic = |name: &str, partitions| FetchedTopic {
            name: name.to_owned(),
            partitions,
        };
        Fetched {
            error_code: 0,
            topics: vec![
                topic(
                    "kadr.live",
                    vec![partition(0, &[7; 300]), partition(3, b"")],
                ),
                topic("kadr.frames", vec![partition(1, b"short")]),
            ],
        }
    }

    /// The same answer by the codec.
    fn by_the_codec(fetched: Fetched, version: i16) -> Vec<u8> {
        let topics = fetched.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| {
                PartitionData::default()
                    .with_partition_index(partition.index)
                    .with_error_code(partition.error_code)
                    .with_high_watermark(partition.high_watermark)
                    .with_last_stable_offset(partition.high_watermark)
                    .with_log_start_offset(if version >= 5 {
                        partition.log_start
                    } else {
                        -1
                    })
                    .with_aborted_transactions(Some(Vec::new()))
                    .with_preferred_read_replica(BrokerId(-1))
                    .with_records(Some(partition.records))
            });
            FetchableTopicResponse::default()
                .with_topic(TopicName(StrBytes::from_string(topic.name)))
                .with_partitions(partitions.collect())
        });
        let response = FetchResponse::default().with_responses(topics.collect());
        let mut bytes = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(99)
            .encode(&mut bytes, FetchResponse::header_version(version))
            .expect("a header");
        response.encode(&mut bytes, version).expect("a response");
        bytes.to_vec()
    }

    #[test]
    fn every_version_equals_the_codecs() {
        for version in 4..=12 {
            let answer = fetched().into_answer(version, 99);
            let bytes = answer.pieces.concat();
            assert_eq!(
                u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize,
                bytes.len() - 4
            );
            assert_eq!(
                bytes[4..],
                by_the_codec(fetched(), version),
                "version {version}"
            );
        }
    }

    #[test]
    fn records_are_not_copied() {
        let records = Bytes::from(vec![1; 5000]);
        let fetched = Fetched {
            error_code: 0,
            topics: vec![FetchedTopic {
                name: "t".to_owned(),
                partitions: vec![FetchedPartition {
                    records: records.clone(),
                    ..FetchedPartition::default()
                }],
            }],
        };
        let answer = fetched.into_answer(12, 1);
        assert!(
            answer
                .pieces
                .iter()
                .any(|piece| piece.as_ptr() == records.as_ptr())
        );
    }
}
