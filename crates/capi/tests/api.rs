//! The C functions, called as C calls them: every way to finish a job, every order that is not
//! allowed, and every pointer that leads nowhere.

#![expect(unsafe_code, reason = "the functions under test are unsafe")]
// UNSAFETY: The wrappers below keep what the header asks for: handles are open, and closed once;
// pointers are NULL or lead to what their type says.

use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::mem::{ManuallyDrop, zeroed};
use std::ptr::{null, null_mut, with_exposed_provenance_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use framelane::{fl_status::*, *};
use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{Policy, Record, RingConfig, SegmentName, Source};

const LONG_MS: u32 = 20_000;

/// What C gets from `= {0}`.
fn zero<T>() -> T {
    // SAFETY: only used for the structs of the API, whose fields are all valid when they are 0.
    unsafe { zeroed() }
}

struct Rings {
    from: String,
    to: String,
    source: Source,
}

impl Rings {
    fn new(test: &str) -> Self {
        let from = format!("capi-{}-{test}.in", std::process::id());
        let to = from.replace(".in", ".out");
        let config = RingConfig {
            slots: 4,
            payload_capacity: 64,
            meta_capacity: 16,
            policy: Policy::DropOldest,
        };
        let name = SegmentName::new(&from).expect("a good name");
        Self { from, to, source: Source::attach(&name, &config).expect("made") }
    }

    fn publish(&mut self, fill: u8) {
        let wait = Duration::from_millis(LONG_MS.into());
        let geometry = Geometry::new(3, 2, PixelFormat::Rgb24).expect("valid");
        let mut grant = self.source.acquire(wait).expect("healthy").expect("a slot");
        grant.bytes_mut()[..18].fill(fill);
        grant.meta_mut()[..2].copy_from_slice(&[fill, 9]);
        grant.commit(Record { meta_bytes: 2, ..Record::of_picture(geometry, 7) }).expect("done");
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        for ring in [&self.from, &self.to] {
            // It may be over and gone already, or never have been made.
            let _ = SegmentName::new(ring).map(|name| fs::remove_file(name.path()));
        }
    }
}

struct Worker(*mut fl_worker);

impl Worker {
    fn open(
        from: *const c_char,
        to: *const c_char,
        group: *const c_char,
    ) -> Result<Self, fl_status> {
        let options = fl_worker_options { from, to, group, ..zero() };
        let mut worker = null_mut();
        // SAFETY: as the header asks.
        match unsafe { fl_worker_open(&raw const options, 0, &raw mut worker) } {
            FL_OK => Ok(Self(worker)),
            status => {
                assert!(worker.is_null());
                Err(status)
            }
        }
    }

    fn of(rings: &Rings) -> Self {
        let (from, to) = (c(&rings.from), c(&rings.to));
        Self::open(from.as_ptr(), to.as_ptr(), null()).unwrap_or_else(|_| panic!("{}", error()))
    }

    fn claim(&self, timeout_ms: u32) -> (fl_status, *mut fl_job, fl_frame) {
        let (mut job, mut frame) = (null_mut(), zero());
        // SAFETY: as the header asks.
        let status = unsafe { fl_worker_claim(self.0, timeout_ms, &raw mut job, &raw mut frame) };
        (status, job, frame)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: it is open, and not used again.
        unsafe { fl_worker_close(self.0) };
    }
}

struct Reader(*mut fl_reader);

impl Reader {
    fn open(ring: &str) -> Self {
        Self::taking(ring, 0)
    }

    fn taking(ring: &str, take: u32) -> Self {
        let ring = c(ring);
        let options = fl_reader_options { ring: ring.as_ptr(), take, ..zero() };
        let mut reader = null_mut();
        // SAFETY: as the header asks.
        let status = unsafe { fl_reader_open(&raw const options, LONG_MS, &raw mut reader) };
        assert_eq!(status, FL_OK, "{}", error());
        Self(reader)
    }

    fn claim(&self, timeout_ms: u32) -> (fl_status, fl_frame) {
        let mut frame = zero();
        // SAFETY: as the header asks.
        let status = unsafe { fl_reader_claim(self.0, timeout_ms, &raw mut frame) };
        (status, frame)
    }

    fn release(&self) -> fl_status {
        // SAFETY: it is open.
        unsafe { fl_reader_release(self.0) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: it is open, and not used again.
        unsafe { fl_reader_close(self.0) };
    }
}

fn acquire(job: *mut fl_job) -> (fl_status, fl_output) {
    let mut output = zero();
    // SAFETY: the worker is open.
    let status = unsafe { fl_job_acquire(job, LONG_MS, &raw mut output) };
    (status, output)
}

fn publish(job: *mut fl_job, meta_len: usize) -> fl_status {
    // SAFETY: the worker is open.
    unsafe { fl_job_publish(job, meta_len) }
}

fn forward(job: *mut fl_job) -> fl_status {
    // SAFETY: the worker is open.
    unsafe { fl_job_forward(job, LONG_MS) }
}

fn skip(job: *mut fl_job) -> fl_status {
    // SAFETY: the worker is open.
    unsafe { fl_job_skip(job) }
}

fn give_back(job: *mut fl_job) -> fl_status {
    // SAFETY: the worker is open.
    unsafe { fl_job_give_back(job) }
}

fn fail(job: *mut fl_job) -> fl_status {
    // SAFETY: the worker is open.
    unsafe { fl_job_fail(job) }
}

fn bytes(frame: &fl_frame) -> (&[u8], &[u8]) {
    // SAFETY: the frame is held by the caller.
    unsafe {
        (
            std::slice::from_raw_parts(frame.data, frame.len),
            std::slice::from_raw_parts(frame.meta, frame.meta_len),
        )
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no zero")
}

fn error() -> String {
    // SAFETY: never NULL, and copied at once.
    unsafe { CStr::from_ptr(fl_last_error()) }.to_string_lossy().into_owned()
}

#[test]
fn readers_take_frames_in_order_or_the_newest() {
    let mut rings = Rings::new("take");
    let [ordered, newest] =
        [FL_TAKE_ORDERED, FL_TAKE_NEWEST].map(|take| Reader::taking(&rings.from, take));
    rings.publish(1);
    rings.publish(2);
    for (reader, expected) in [(&newest, 2), (&ordered, 1), (&ordered, 2)] {
        let (status, frame) = reader.claim(LONG_MS);
        assert_eq!((status, bytes(&frame).0), (FL_OK, &[expected; 18][..]), "{}", error());
        assert_eq!(reader.release(), FL_OK);
    }
    assert_eq!([newest.claim(0).0, ordered.claim(0).0], [FL_TIMED_OUT; 2]);
    let ring = c(&rings.from);
    let options = fl_reader_options { ring: ring.as_ptr(), take: 3, ..zero() };
    let mut reader = null_mut();
    // SAFETY: as the header asks.
    let status = unsafe { fl_reader_open(&raw const options, 0, &raw mut reader) };
    assert_eq!((status, reader.is_null()), (FL_BAD_ARGUMENT, true));
    assert!(error().contains("options.take is 3"), "{}", error());
}

#[test]
fn a_frame_goes_through_a_worker_to_a_reader() {
    let mut rings = Rings::new("through");
    let worker = Worker::of(&rings);
    let reader = Reader::open(&rings.to);
    assert_eq!(worker.claim(0).0, FL_TIMED_OUT);
    rings.publish(5);
    let (status, job, frame) = worker.claim(LONG_MS);
    assert_eq!(status, FL_OK, "{}", error());
    assert_eq!((frame.width, frame.height, frame.format), (3, 2, fl_pixel_format::FL_RGB24));
    assert_eq!((frame.plane_count, frame.planes[0].stride, frame.planes[0].rows), (1, 9, 2));
    assert_eq!((frame.seq, frame.pts_ns, frame.age_ns), (0, 7, FL_AGE_UNKNOWN));
    assert_eq!(bytes(&frame), (&[5; 18][..], &[5, 9][..]));
    let (status, output) = acquire(job);
    assert_eq!((status, output.len, output.meta_capacity), (FL_OK, 18, 16));
    assert_eq!(acquire(job).1.data, output.data, "the same slot again");
    // SAFETY: the slot is held, and as long as it says.
    unsafe { output.data.write_bytes(6, output.len) };
    // SAFETY: as above.
    unsafe { output.meta.write(8) };
    assert_eq!(publish(job, 17), FL_TOO_LARGE);
    assert_eq!(publish(job, 1), FL_OK);
    let (status, frame) = reader.claim(LONG_MS);
    assert_eq!((status, bytes(&frame)), (FL_OK, (&[6; 18][..], &[8][..])));
    assert_eq!((frame.seq, frame.pts_ns, frame.unprocessed), (0, 7, false));
    assert_eq!(reader.release(), FL_OK);
    rings.source.end();
    assert_eq!(worker.claim(LONG_MS).0, FL_ENDED);
    assert_eq!(reader.claim(LONG_MS).0, FL_ENDED);
}

#[test]
fn a_job_can_be_forwarded_skipped_and_given_back() {
    let mut rings = Rings::new("ways");
    let worker = Worker::of(&rings);
    let reader = Reader::open(&rings.to);
    (1..=3).for_each(|fill| rings.publish(fill));
    let (_, job, _) = worker.claim(LONG_MS);
    assert_eq!(acquire(job).0, FL_OK);
    assert_eq!(give_back(job), FL_OK);
    let (_, job, frame) = worker.claim(LONG_MS);
    assert_eq!(frame.seq, 0, "the same again");
    assert_eq!((acquire(job).0, forward(job)), (FL_OK, FL_OK));
    let (_, job, _) = worker.claim(LONG_MS);
    assert_eq!(skip(job), FL_OK);
    // Closing the worker gives its last job back to the next one.
    let (_, job, frame) = worker.claim(LONG_MS);
    assert_eq!((frame.seq, acquire(job).0), (2, FL_OK));
    let other = Worker::of(&rings);
    assert_eq!(other.claim(0).0, FL_TIMED_OUT);
    drop(worker);
    let (_, job, frame) = other.claim(LONG_MS);
    assert_eq!((frame.seq, forward(job)), (2, FL_OK));
    for (seq, fill) in [(0, 1), (2, 3)] {
        let (_, frame) = reader.claim(LONG_MS);
        assert_eq!((frame.seq, frame.unprocessed), (seq, true));
        assert_eq!(bytes(&frame), (&[fill; 18][..], &[fill, 9][..]));
        assert_eq!(reader.release(), FL_OK);
    }
}

#[test]
fn a_frame_that_fails_three_times_does_not_come_again() {
    let mut rings = Rings::new("fails");
    let worker = Worker::of(&rings);
    (1..=2).for_each(|fill| rings.publish(fill));
    for end in [give_back, fail, give_back, fail, fail] {
        let (_, job, frame) = worker.claim(LONG_MS);
        assert_eq!((frame.seq, end(job)), (0, FL_OK), "giving back is no failure");
    }
    let (_, job, frame) = worker.claim(LONG_MS);
    assert_eq!((frame.seq, skip(job)), (1, FL_OK));
}

#[test]
fn who_waits_for_room_in_rings_that_are_drained_is_told() {
    let mut rings = Rings::new("drained");
    let worker = Worker::of(&rings);
    let readers: Vec<_> = (0..4).map(|_| Reader::open(&rings.to)).collect();
    for reader in &readers {
        rings.publish(1);
        let (_, job, _) = worker.claim(LONG_MS);
        assert_eq!(forward(job), FL_OK);
        assert_eq!(reader.claim(LONG_MS).0, FL_OK, "and holds a slot from now on");
    }
    rings.publish(2);
    let (_, job, _) = worker.claim(LONG_MS);
    rings.source.ring().set_draining(true).expect("a flag");
    assert_eq!((acquire(job).0, forward(job)), (FL_ENDED, FL_ENDED));
    assert_eq!(readers[0].release(), FL_OK);
    assert_eq!(
        (acquire(job).0, publish(job, 0)),
        (FL_OK, FL_OK),
        "what is in hand may be finished"
    );
}

#[test]
fn what_is_out_of_turn_is_refused() {
    let mut rings = Rings::new("turn");
    let worker = Worker::of(&rings);
    let reader = Reader::open(&rings.from);
    rings.publish(1);
    let (_, job, _) = worker.claim(LONG_MS);
    assert_eq!(publish(job, 0), FL_OUT_OF_TURN);
    assert!(error().contains("acquire one before"), "{}", error());
    assert_eq!(worker.claim(0).0, FL_OUT_OF_TURN);
    assert_eq!(skip(job), FL_OK);
    for finished in [skip, forward, give_back, fail] {
        assert_eq!(finished(job), FL_OUT_OF_TURN);
    }
    assert_eq!((publish(job, 0), acquire(job).0), (FL_OUT_OF_TURN, FL_OUT_OF_TURN));
    assert_eq!(reader.release(), FL_OUT_OF_TURN);
    assert_eq!(reader.claim(LONG_MS).0, FL_OK);
    assert_eq!(reader.claim(0).0, FL_OUT_OF_TURN);
    assert_eq!(reader.release(), FL_OK);
}

#[test]
fn two_threads_in_one_worker_are_refused() {
    let rings = Rings::new("busy");
    let worker = Worker::of(&rings);
    let address = worker.0.expose_provenance();
    let seen = Arc::new(AtomicBool::new(false));
    let is_seen = Arc::clone(&seen);
    let waiting = thread::spawn(move || {
        // The other thread closes it.
        let worker = ManuallyDrop::new(Worker(with_exposed_provenance_mut(address)));
        while !is_seen.load(Ordering::Relaxed) {
            worker.claim(100);
        }
    });
    while worker.claim(0).0 != FL_BUSY {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(error().contains("another thread"), "{}", error());
    seen.store(true, Ordering::Relaxed);
    waiting.join().expect("no panic");
    assert_eq!(worker.claim(0).0, FL_TIMED_OUT);
}

#[test]
fn bad_arguments_are_told_and_never_crash() {
    let rings = Rings::new("bad");
    let (from, to) = (c(&rings.from), c(&rings.to));
    let open = |from, to, group| Worker::open(from, to, group).err();
    let bad = Some(FL_BAD_ARGUMENT);
    assert_eq!(open(null(), to.as_ptr(), null()), bad);
    assert_eq!(error(), "options.from is NULL");
    assert_eq!(open(from.as_ptr(), from.as_ptr(), null()), bad);
    assert_eq!(open(c"a/b".as_ptr(), to.as_ptr(), null()), bad);
    assert_eq!(open(from.as_ptr(), to.as_ptr(), c"a b".as_ptr()), bad);
    assert_eq!(open(from.as_ptr(), c"\xff".as_ptr(), null()), bad);
    assert_eq!(error(), "options.to is not UTF-8");
    assert_eq!(open(c"capi-no-such-ring".as_ptr(), to.as_ptr(), null()), Some(FL_TIMED_OUT));
    let shapes = [(1, 0, 9), (99, 2, 2), (u32::MAX, 1, 1), (0, 4, 4), (1, u32::MAX, 2)];
    for (output_format, output_width, output_height) in shapes {
        let (from, to) = (from.as_ptr(), to.as_ptr());
        let options =
            fl_worker_options { from, to, output_format, output_width, output_height, ..zero() };
        let mut worker = null_mut();
        // SAFETY: as the header asks.
        let status = unsafe { fl_worker_open(&raw const options, 0, &raw mut worker) };
        assert_eq!(status, FL_BAD_ARGUMENT, "{output_format} {output_width} {output_height}");
    }
    let mut frame = zero();
    let none = null_mut();
    // SAFETY: NULL is allowed everywhere.
    let statuses = unsafe {
        fl_worker_close(null_mut());
        fl_reader_close(null_mut());
        [
            fl_worker_open(null(), 0, null_mut()),
            fl_worker_open(null(), 0, &raw mut *Box::leak(Box::new(null_mut()))),
            fl_reader_open(null(), 0, null_mut()),
            fl_worker_claim(null_mut(), 0, null_mut(), &raw mut frame),
            fl_reader_claim(null_mut(), 0, &raw mut frame),
            fl_reader_release(null_mut()),
            fl_job_acquire(none, 0, null_mut()),
            fl_job_publish(none, 0),
            fl_job_forward(none, 0),
            fl_job_skip(none),
            fl_job_give_back(none),
            fl_job_fail(none),
            fl_reader_fail(null_mut()),
        ]
    };
    assert_eq!(statuses, [FL_BAD_ARGUMENT; 13]);
}

#[test]
fn an_output_may_have_a_shape_of_its_own() {
    let mut rings = Rings::new("shape");
    let (from, to) = (c(&rings.from), c(&rings.to));
    let options = fl_worker_options {
        from: from.as_ptr(),
        to: to.as_ptr(),
        output_format: 3,
        output_width: 100,
        output_height: 2,
        ..zero()
    };
    let mut worker = null_mut();
    // SAFETY: as the header asks.
    let status = unsafe { fl_worker_open(&raw const options, 0, &raw mut worker) };
    assert_eq!(status, FL_OK, "{}", error());
    let worker = Worker(worker);
    let reader = Reader::open(&rings.to);
    rings.publish(1);
    let (_, job, _) = worker.claim(LONG_MS);
    let (_, output) = acquire(job);
    assert_eq!((output.len, output.width, output.height), (200, 100, 2));
    assert_eq!(publish(job, 0), FL_OK, "{}", error());
    let (_, frame) = reader.claim(LONG_MS);
    assert_eq!((frame.format, frame.len), (fl_pixel_format::FL_GRAY, 200));
}
