//! The way to Kafka, as the gateway needs it: a record goes in, an acknowledgement comes out.

use futures::future::BoxFuture;
use pipeline::{
    kafka::{Delivered, Link, Sink, SinkError},
    record::Record,
};

/// What takes records; tests have their own.
pub(crate) trait Outlet: Send + Sync {
    /// Hands the record over, or refuses it at once.
    fn send(
        &self,
        topic: &str,
        record: &Record,
    ) -> Result<BoxFuture<'static, Result<Delivered, SinkError>>, SinkError>;

    /// Why nothing can be sent now, if it is known.
    fn trouble(&self) -> Option<String>;

    /// The largest record, key and headers included.
    fn max_record_bytes(&self) -> usize;
}

impl Outlet for Sink {
    fn send(
        &self,
        topic: &str,
        record: &Record,
    ) -> Result<BoxFuture<'static, Result<Delivered, SinkError>>, SinkError> {
        Ok(Box::pin(Sink::send(self, topic, None, record)?))
    }

    fn trouble(&self) -> Option<String> {
        match &*self.link().borrow() {
            Link::Down(reason) => Some(reason.clone()),
            Link::Connecting | Link::Up => None,
        }
    }

    fn max_record_bytes(&self) -> usize {
        Sink::max_record_bytes(self)
    }
}
