//! What viewers see while processed frames don't come: the stream must not freeze into silence, or
//! the server drops it and the viewers go.
//!
//! A stand-in takes its pictures from the rings as an observer, so it holds up nobody. Its times
//! are on the source's timeline; processed frames that come back later than a stand-in for them was
//! sent are dropped, so that the stream never steps back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framelane_frame::Geometry;
use framelane_ring::{Observer, Policy, ReadGrant, Record, Ring, RingError, Seq, monotonic_ns};

/// How often a starving stream looks for something to show.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The brightness of a slate, of 255.
const SLATE_LUMA: u8 = 40;

/// The chroma value that means "no colour".
const NEUTRAL: u8 = 128;

/// What to send while processed frames don't come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnStarve {
    /// The frames as the source sent them, before the workers; the last one again when it is the
    /// source that is silent.
    Original,
    /// The last frame again.
    Hold,
    /// A dark picture.
    Slate,
    /// Nothing.
    None,
}

/// A picture that stands in for a processed frame.
pub(crate) struct StandIn {
    /// Its times; on the same timeline as those of frames.
    pub(crate) record: Record,
    pixels: Pixels,
}

enum Pixels {
    Slot(ReadGrant),
    Made(Vec<u8>),
    Kept(Arc<[u8]>),
}

impl StandIn {
    /// The payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Slot(grant) => grant.bytes(),
            Pixels::Made(bytes) => bytes,
            Pixels::Kept(bytes) => bytes,
        }
    }
}

/// The last picture that was sent.
#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    pts_ns: i64,
    geometry: Geometry,
}

/// Watches for a stream that starves, and feeds it.
pub(crate) struct Starvation {
    remedy: OnStarve,
    after: Duration,
    last: Option<Last>,
    /// When the last processed frame was sent.
    processed_at: Option<Instant>,
    /// Which one it was.
    processed: Option<Seq>,
    /// When the last picture was sent that was not sent before.
    new_at: Option<Instant>,
    /// Stand-ins since then.
    stand_ins: u64,
    originals: Option<Observer>,
    newest_original: Option<Seq>,
    /// Its pixels, from the first stand-in that shows them on.
    held: Option<Arc<[u8]>>,
}

impl Starvation {
    /// A remedy that is applied when no processed frame was sent for `after`.
    pub(crate) fn new(remedy: OnStarve, after: Duration) -> Self {
        Self {
            remedy,
            after,
            last: None,
            processed_at: None,
            processed: None,
            new_at: None,
            stand_ins: 0,
            originals: None,
            newest_original: None,
            held: None,
        }
    }

    /// Takes up where an earlier pusher stopped: its viewers wait for pictures, also when the workers
    /// are silent by now.
    ///
    /// # Errors
    /// What observing the ring can meet.
    pub(crate) fn resume(&mut self, ring: &Ring) -> Result<(), RingError> {
        if self.remedy == OnStarve::None || ring.policy() == Policy::Block {
            return Ok(());
        }
        if let Some(frame) = Observer::join(ring.reopen()?)?.newest(None)? {
            let record = *frame.record();
            // The source's time has gone on since.
            let passed_ns = match record.received_ns {
                0 => 0,
                received_ns => monotonic_ns().saturating_sub(received_ns),
            };
            let pts_ns = record.pts_ns.saturating_add_unsigned(passed_ns);
            self.note_sent(&Record { pts_ns, ..record }, Some(frame.seq()));
        }
        Ok(())
    }

    /// Notes that a picture was sent: which frame of the ring, unless it was a stand-in.
    pub(crate) fn note_sent(&mut self, record: &Record, processed: Option<Seq>) {
        let Some(geometry) = record.geometry else { return };
        let at = Instant::now();
        self.last = Some(Last { at, pts_ns: record.pts_ns, geometry });
        if processed.is_none() {
            self.stand_ins += 1;
            return;
        }
        self.processed = processed;
        (self.processed_at, self.new_at) = (Some(at), Some(at));
        if self.stand_ins > 0 {
            tracing::info!(stand_ins = self.stand_ins, "processed frames are back");
            self.stand_ins = 0;
            self.originals = None;
            self.held = None;
        }
    }

    /// Whether a stand-in for this frame, or for a later one, was sent already. Even so the
    /// workers are back, and their frames will soon be new ones: stand-ins pause.
    pub(crate) fn is_too_late(&mut self, record: &Record) -> bool {
        let late = self.stand_ins > 0 && self.last.is_some_and(|last| record.pts_ns <= last.pts_ns);
        if late {
            self.processed_at = Some(Instant::now());
        }
        late
    }

    /// For how long to wait for a frame before looking here again.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        if self.is_starving() { LOOK_INTERVAL } else { usual }
    }

    fn is_starving(&self) -> bool {
        self.remedy != OnStarve::None
            && self.processed_at.is_some_and(|moment| moment.elapsed() >= self.after)
    }

    /// The picture to send now, if the stream starves and it is time for one. `ring` is the
    /// pusher's own, `interval` the time from frame to frame.
    ///
    /// # Errors
    /// What observing the rings can meet.
    pub(crate) fn next(
        &mut self,
        ring: &Ring,
        interval: Duration,
    ) -> Result<Option<StandIn>, RingError> {
        if !self.is_starving() || ring.policy() == Policy::Block {
            return Ok(None);
        }
        let Some(last) = self.last else { return Ok(None) };
        let picture = match self.remedy {
            OnStarve::Original => self.original(ring, last, interval)?,
            OnStarve::Hold => self.held(ring, last, interval)?,
            OnStarve::Slate if last.at.elapsed() >= interval => Some(slate(last)),
            OnStarve::Slate | OnStarve::None => None,
        };
        if picture.is_some() && self.stand_ins == 0 {
            let (after, remedy) = (self.after, self.remedy);
            tracing::warn!(?after, ?remedy, "processed frames don't come: something else is sent");
        }
        Ok(picture)
    }

    /// The newest frame of the ring that the workers read; the last frame again when there is
    /// nothing new there either.
    fn original(
        &mut self,
        ring: &Ring,
        last: Last,
        interval: Duration,
    ) -> Result<Option<StandIn>, RingError> {
        // Who looks at a ring that is being drained keeps others from starting anew.
        self.originals.take_if(|originals| originals.ring().is_draining());
        if self.originals.is_none() {
            let feed = ring.open_feed()?.filter(|feed| !feed.is_draining());
            self.originals = feed.map(Observer::join).transpose()?;
        }
        if let Some(originals) = &mut self.originals
            && let Some(grant) = originals.newest(self.newest_original)?
        {
            self.newest_original = Some(grant.seq());
            let record = *grant.record();
            if record.geometry == Some(last.geometry) && record.pts_ns > last.pts_ns {
                self.new_at = Some(Instant::now());
                return Ok(Some(StandIn { record, pixels: Pixels::Slot(grant) }));
            }
        }
        let silent = self.new_at.is_none_or(|moment| moment.elapsed() >= self.after)
            || self.originals.is_none();
        if silent { self.held(ring, last, interval) } else { Ok(None) }
    }

    /// The last frame that was sent from the ring, if it is time for another picture.
    fn held(
        &mut self,
        ring: &Ring,
        last: Last,
        interval: Duration,
    ) -> Result<Option<StandIn>, RingError> {
        if last.at.elapsed() < interval {
            return Ok(None);
        }
        if self.held.is_none() {
            self.held = self.copy_of_processed(ring, last.geometry)?;
        }
        let kept = self.held.clone();
        Ok(kept.map(|bytes| StandIn { record: now(last), pixels: Pixels::Kept(bytes) }))
    }

    /// A copy of the last processed frame: frames that come too late may take its slot. If one has
    /// it already, the newest frame.
    fn copy_of_processed(
        &self,
        ring: &Ring,
        geometry: Geometry,
    ) -> Result<Option<Arc<[u8]>>, RingError> {
        let mut observer = Observer::join(ring.reopen()?)?;
        let sent = match self.processed {
            Some(seq) => observer.numbered(seq.number())?,
            None => None,
        };
        let found = if sent.is_some() { sent } else { observer.newest(None)? };
        let fitting = found.filter(|grant| grant.record().geometry == Some(geometry));
        Ok(fitting.map(|grant| grant.bytes().into()))
    }
}

/// The record of a picture that is shown now.
fn now(last: Last) -> Record {
    let elapsed_ns = i64::try_from(last.at.elapsed().as_nanos()).unwrap_or(i64::MAX);
    let pts_ns = last.pts_ns.saturating_add(elapsed_ns);
    Record { received_ns: monotonic_ns(), ..Record::of_picture(last.geometry, pts_ns) }
}

fn slate(last: Last) -> StandIn {
    let mut bytes = vec![SLATE_LUMA; last.geometry.payload_bytes()];
    for plane in last.geometry.planes().iter().skip(1) {
        bytes[plane.range()].fill(NEUTRAL);
    }
    StandIn { record: now(last), pixels: Pixels::Made(bytes) }
}

#[cfg(test)]
mod tests {
    use framelane_frame::PixelFormat;

    use super::*;

    fn record(pts_ns: i64) -> Record {
        let geometry = Geometry::new(4, 2, PixelFormat::Yuv420p).expect("valid");
        Record::of_picture(geometry, pts_ns)
    }

    #[test]
    fn frames_older_than_a_stand_in_are_too_late_and_others_are_not() {
        let mut starvation = Starvation::new(OnStarve::Hold, Duration::ZERO);
        assert!(!starvation.is_too_late(&record(5)), "nothing was sent yet");
        starvation.note_sent(&record(10), Some(Seq::FIRST));
        assert!(!starvation.is_too_late(&record(5)), "the ring's own order is not ours to judge");
        starvation.note_sent(&record(20), None);
        assert!(starvation.is_too_late(&record(20)));
        assert!(!starvation.is_too_late(&record(21)));
        starvation.note_sent(&record(21), Some(Seq::FIRST));
        assert!(!starvation.is_too_late(&record(15)));
    }

    #[test]
    fn a_slate_is_dark_and_without_colour() {
        let geometry = record(0).geometry.expect("a picture");
        let last = Last { at: Instant::now(), pts_ns: 7, geometry };
        let slate = slate(last);
        assert_eq!(slate.bytes(), [[40; 8].as_slice(), &[128; 4]].concat());
        assert!(slate.record.pts_ns >= 7);
    }
}
