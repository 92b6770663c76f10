//! A reader: a consumer of one ring that publishes nothing.

#![expect(unsafe_code, reason = "C passes pointers")]
// UNSAFETY: Pointers from C are handed to `argument` and `handle`, which say what they rely on; each
// function's `# Safety` says the same to C.

use std::ffi::c_char;
use std::ptr;

use framelane_ring::{FrameInHand, Reader, ReaderOptions, Reading, RingError, SegmentName, Take};

use crate::argument::{self, in_steps, patience, time_left};
use crate::frame::fl_frame;
use crate::handle::Handle;
use crate::status::{Failure, fl_status, guard};

/// The group of the readers, unless said otherwise.
const GROUP: &str = "reader";

/// A reader: a place in a ring, and the one frame that it may hold.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "these are the names that C sees")]
pub struct fl_reader {
    _is_a_handle: (),
}

/// How a reader takes part. Set all of it to zero, then what you need.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fl_reader_options {
    /// The ring to take frames from.
    pub ring: *const c_char,
    /// The readers that share the frames, each of which goes to one of them; NULL for "reader". The
    /// frames of a lossless ring wait for a group even when it has no reader any more, until
    /// `framelane forget RING GROUP`.
    pub group: *const c_char,
    /// Drops frames that are older than this, in milliseconds; 0 for none.
    pub max_age_ms: u32,
    /// Which frames it takes: 0 for those of its group as they come, which behind several workers is
    /// not in order, FL_TAKE_ORDERED or FL_TAKE_NEWEST.
    pub take: u32,
}

/// Every frame in order; the group has no other reader then.
pub const FL_TAKE_ORDERED: u32 = 1;

/// The newest frame, each once, without taking it from anybody: such a reader is in no group. What it
/// has in hand keeps its slot.
pub const FL_TAKE_NEWEST: u32 = 2;

/// What a reader's handle leads to. The frame goes before the place that it is held in.
struct Seat {
    frame: Option<FrameInHand>,
    reader: Reader,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            // Nobody is left to hear of a corrupt word; who looks at it next is.
            let _ = frame.give_back();
        }
    }
}

/// Takes a place as a reader, as soon as there is a ring. FL_TIMED_OUT: not yet, call again.
/// `*reader` is NULL unless it is FL_OK.
///
/// # Safety
/// `options` is NULL or leads to options, whose texts are NULL or end with a zero; `reader` is NULL
/// or leads to room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_open(
    options: *const fl_reader_options,
    timeout_ms: u32,
    reader: *mut *mut fl_reader,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let reader = unsafe { argument::out(reader, ptr::null_mut(), "reader") }?;
        // SAFETY: the caller's promise, here and for the two texts.
        let options = unsafe { argument::reference(options, "options") }?;
        // SAFETY: as above.
        let name = SegmentName::new(unsafe { argument::text(options.ring, "options.ring") }?)?;
        // SAFETY: as above.
        let group = unsafe { argument::optional_text(options.group, "options.group") }?;
        let group = group.unwrap_or(GROUP).parse()?;
        let max_age = Some(patience(options.max_age_ms)).filter(|age| !age.is_zero());
        let options = ReaderOptions { take: take(options.take)?, group, max_age };
        let Some(place) = Reader::wait(&name, &options, time_left(timeout_ms))? else {
            return Ok(fl_status::FL_TIMED_OUT);
        };
        *reader = Handle::give(Seat { frame: None, reader: place }).cast();
        Ok(fl_status::FL_OK)
    })
}

fn take(take: u32) -> Result<Take, Failure> {
    match take {
        0 => Ok(Take::Shared),
        FL_TAKE_ORDERED => Ok(Take::Ordered),
        FL_TAKE_NEWEST => Ok(Take::Newest),
        _ => {
            let message =
                format!("options.take is {take}: use 0, FL_TAKE_ORDERED or FL_TAKE_NEWEST");
            Err(Failure::new(fl_status::FL_BAD_ARGUMENT, message))
        }
    }
}

/// Claims the next of the frames that the reader takes, and shows it in `*frame`. A reader holds one
/// frame at a time.
///
/// # Safety
/// `reader` is NULL or an open reader; `frame` is NULL or leads to room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_claim(
    reader: *mut fl_reader,
    timeout_ms: u32,
    frame: *mut fl_frame,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let frame = unsafe { argument::out(frame, fl_frame::EMPTY, "frame") }?;
        // SAFETY: the caller's promise.
        let mut seat = unsafe { Handle::<Seat>::enter(reader.cast(), "reader") }?;
        if seat.frame.is_some() {
            let message = "the reader still holds a frame: release it before it claims another";
            return Err(Failure::new(fl_status::FL_OUT_OF_TURN, message));
        }
        let claimed = in_steps(timeout_ms, |patience| {
            let reading = seat.reader.claim(patience)?;
            Ok(Some(reading).filter(|reading| !matches!(reading, Reading::TimedOut)))
        })?;
        let Some(Reading::Frame(grant)) = claimed else {
            let ended = claimed.is_some();
            return Ok(if ended { fl_status::FL_ENDED } else { fl_status::FL_TIMED_OUT });
        };
        *frame =
            fl_frame::of(grant.seq(), grant.record(), grant.bytes(), grant.meta(), grant.age());
        seat.frame = Some(grant);
        Ok(fl_status::FL_OK)
    })
}

/// Ends a call that finishes the frame in hand.
///
/// # Safety
/// `reader` is NULL or an open reader.
unsafe fn finish(
    reader: *mut fl_reader,
    how: impl FnOnce(FrameInHand) -> Result<(), RingError>,
) -> fl_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let mut seat = unsafe { Handle::<Seat>::enter(reader.cast(), "reader") }?;
        let grant = seat.frame.take().ok_or_else(|| {
            Failure::new(fl_status::FL_OUT_OF_TURN, "the reader holds no frame: claim one")
        })?;
        how(grant)?;
        Ok(fl_status::FL_OK)
    })
}

/// Releases the frame in hand: this group is done with it.
///
/// # Safety
/// `reader` is NULL or an open reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_release(reader: *mut fl_reader) -> fl_status {
    // SAFETY: the caller's promise.
    unsafe { finish(reader, FrameInHand::release) }
}

/// Puts the frame in hand back for another reader of the group.
///
/// # Safety
/// `reader` is NULL or an open reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_give_back(reader: *mut fl_reader) -> fl_status {
    // SAFETY: the caller's promise.
    unsafe { finish(reader, FrameInHand::give_back) }
}

/// Puts the frame in hand back because it can't be processed here. One that has failed three times
/// is dropped.
///
/// # Safety
/// `reader` is NULL or an open reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_fail(reader: *mut fl_reader) -> fl_status {
    // SAFETY: the caller's promise.
    unsafe { finish(reader, FrameInHand::fail) }
}

/// Gives back the frame in hand, if there is one, leaves the ring, and frees the reader. NULL is
/// allowed.
///
/// # Safety
/// `reader` is NULL or an open reader that no other call is using; it may not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fl_reader_close(reader: *mut fl_reader) {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { Handle::<Seat>::take(reader.cast()) };
        Ok(fl_status::FL_OK)
    });
}
