//! What a worker has before it: its places in both rings, and the one job that it may hold.

use framelane_frame::Geometry;
use framelane_ring::{Job, Record, Relay, WriteGrant};

/// What a worker's handle leads to. What is held goes before the places that it is held in.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) output: Option<WriteGrant>,
    pub(crate) job: Option<Job>,
    pub(crate) relay: Box<Relay>,
    pub(crate) shape: Option<Geometry>,
}

impl Desk {
    /// The record of a job's output.
    pub(crate) fn record_for(&self, job: &Job, meta_bytes: usize) -> Record {
        let like_input = Record { meta_bytes, ..*job.record() };
        self.shape.map_or(like_input, |geometry| Record {
            geometry: Some(geometry),
            payload_bytes: geometry.payload_bytes(),
            ..like_input
        })
    }
}
