//! The gateway as one of its clients sees it.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use pipeline::detections::Detections;
use pipeline::frame::FrameId;
use serde_json::Value;

use super::http::{Answer, Http};
use super::service::Service;
use crate::kafka::within;

/// A gateway that runs.
pub struct Gateway {
    /// Its process.
    pub service: Service,
    /// Its web port.
    pub web: Http,
}

/// What the gateway says of an upload.
#[derive(Clone, Debug)]
pub struct Upload(pub Value);

impl Upload {
    /// The frame id.
    pub fn id(&self) -> FrameId {
        let id = self.0["id"].as_str().expect("an upload has an id");
        id.parse().expect("a frame id")
    }

    /// `queued`, `done` or `failed`.
    pub fn status(&self) -> &str {
        self.0["status"].as_str().expect("an upload has a status")
    }

    /// One of the links: `self`, `annotated`, `original`, `page`.
    pub fn link(&self, name: &str) -> &str {
        self.0["links"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no link {name} in {}", self.0))
    }

    /// The result, once it is done.
    pub fn result(&self) -> Detections {
        serde_json::from_value(self.0["result"].clone())
            .unwrap_or_else(|error| panic!("{error} in {}", self.0))
    }
}

impl Gateway {
    /// The gateway that a service, or `kadr up`, serves.
    pub async fn new(service: Service) -> Self {
        let web = service.web().await;
        Self { service, web }
    }

    /// Sends a picture, which must be accepted.
    pub async fn upload(&self, jpeg: &Bytes) -> Upload {
        let answer = self.post("/api/frames", jpeg).await;
        let upload = Upload(answer.expect(StatusCode::ACCEPTED).json());
        assert_eq!(upload.status(), "queued");
        upload
    }

    /// Sends a picture to a path with its query, and takes any answer.
    pub async fn post(&self, path: &str, jpeg: &Bytes) -> Answer {
        self.web
            .post_jpeg(path, "application/json", jpeg.clone())
            .await
    }

    /// What the gateway says now.
    pub async fn look(&self, id: FrameId) -> Answer {
        self.web.get(&format!("/api/frames/{id}")).await
    }

    /// Waits until an upload has ended, one way or the other.
    pub async fn outcome(&self, id: FrameId) -> Upload {
        let poll = async {
            loop {
                let upload = Upload(self.look(id).await.expect(StatusCode::OK).json());
                if upload.status() != "queued" {
                    return upload;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(&format!("the outcome of {id}"), poll).await
    }

    /// Waits until an upload is done.
    pub async fn done(&self, id: FrameId) -> Upload {
        let upload = self.outcome(id).await;
        assert_eq!(upload.status(), "done", "{}", upload.0);
        upload
    }
}
