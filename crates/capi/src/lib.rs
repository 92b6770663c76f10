//! The C ABI: what a program in C, C++, or anything that calls C needs to be a worker, or to read a
//! ring.
//!
//! It adds no logic: every function is one step of `framelane_ring`. What it does add is what C
//! can't check: a NULL pointer, text that is no UTF-8, a call out of turn or from two threads at
//! once is a status, never undefined behaviour, and no panic leaves a function. A frame's output is
//! published before its input is released because no other order can be said.
//!
//! `include/framelane.h` is made from this crate's items and their documentation, and
//! `include/framelane.hpp` is written by hand on top of it.

mod argument;
mod desk;
mod frame;
mod handle;
mod job;
mod reader;
mod status;
mod worker;

pub use frame::{FL_AGE_UNKNOWN, FL_MAX_PLANES, fl_frame, fl_output, fl_pixel_format, fl_plane};
pub use job::{
    fl_job, fl_job_acquire, fl_job_fail, fl_job_forward, fl_job_give_back, fl_job_publish,
    fl_job_skip,
};
pub use reader::{
    FL_TAKE_NEWEST, FL_TAKE_ORDERED, fl_reader, fl_reader_claim, fl_reader_close, fl_reader_fail,
    fl_reader_give_back, fl_reader_open, fl_reader_options, fl_reader_release,
};
pub use status::{fl_last_error, fl_status, fl_status_text, fl_version};
pub use worker::{fl_worker, fl_worker_claim, fl_worker_close, fl_worker_open, fl_worker_options};
