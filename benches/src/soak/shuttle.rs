//! Pictures to a detector and results back, as a foreign client of Kafka does it.

use std::{io, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::pictures::Picture;
use crate::brokers::client;

const FRAMES: &str = "kadr.frames";
const RESULTS: &str = "kadr.results";

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Shuttle {
    producer: ThreadedProducer<DefaultProducerContext>,
    consumer: BaseConsumer,
}

impl Shuttle {
    /// The topics must exist. What is seen after this returns comes back.
    pub(super) fn open(bootstrap: &str) -> io::Result<Self> {
        let mut config = client(bootstrap);
        config.set("partitioner", "murmur2_random");
        let producer = config.create().map_err(io::Error::other)?;
        let consumer: BaseConsumer = config.create().map_err(io::Error::other)?;
        let metadata = consumer.fetch_metadata(Some(RESULTS), PATIENCE);
        let metadata = metadata.map_err(io::Error::other)?;
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            // New topics: nothing is left out, and nothing is there from before.
            all.add_partition_offset(RESULTS, partition.id(), Offset::Beginning)
                .map_err(io::Error::other)?;
        }
        consumer.assign(&all).map_err(io::Error::other)?;
        Ok(Self { producer, consumer })
    }

    pub(super) fn send(&self, picture: &Picture<'_>) -> io::Result<()> {
        let mut record = BaseRecord::to(FRAMES)
            .key(&picture.source)
            .payload(picture.jpeg);
        while let Err((cause, refused)) = self.producer.send(record) {
            if cause != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(io::Error::other(cause));
            }
            std::thread::yield_now();
            record = refused;
        }
        Ok(())
    }

    /// The source of a result and the result, if one comes soon.
    pub(super) fn next(&self) -> io::Result<Option<(String, Vec<u8>)>> {
        let Some(record) = self.consumer.poll(Duration::from_millis(100)) else {
            return Ok(None);
        };
        let record = record.map_err(io::Error::other)?;
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into();
        let result = record.payload().unwrap_or_default().to_vec();
        Ok(Some((text(record.key()), result)))
    }
}
