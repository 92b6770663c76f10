//! `libav.h` in Rust.

#![expect(unsafe_code, reason = "declares functions of C")]
// UNSAFETY: these are the declarations of libav.h, in the same order.

use std::ffi::{c_char, c_int, c_void};

/// Planes that a picture may have.
pub(super) const PLANES: usize = 4;

/// An input, of which only the C files know what is in it.
#[repr(C)]
pub(super) struct Input {
    _private: [u8; 0],
}

/// Room for a name: UTF-8, and a 0 at its end.
pub(super) type Name = [u8; NAME_BYTES];
pub(super) const NAME_BYTES: usize = 48;

#[repr(C)]
pub(super) struct Description {
    pub(super) codec_specific: *const u8,
    pub(super) video_codec: Name,
    pub(super) pixel_format: Name,
    pub(super) range: Name,
    pub(super) matrix: Name,
    pub(super) primaries: Name,
    pub(super) transfer: Name,
    pub(super) audio_codec: Name,
    pub(super) rotation: f64,
    pub(super) display_matrix: [i32; 9],
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) interlaced: i32,
    pub(super) frame_rate: [i32; 2],
    pub(super) sample_aspect: [i32; 2],
    pub(super) sample_rate: i32,
    pub(super) channels: i32,
    pub(super) codec_specific_bytes: i32,
    pub(super) audio_tag: u32,
}

pub(super) const PICTURE: c_int = 1;
pub(super) const AUDIO: c_int = 2;

#[derive(Debug)]
#[repr(C)]
pub(super) struct Event {
    pub(super) data: [*const u8; PLANES],
    pub(super) pts_ns: i64,
    pub(super) pixel_format: Name,
    pub(super) stride: [i32; PLANES],
    pub(super) bytes: i32,
    pub(super) error: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) sample_aspect: [i32; 2],
}

unsafe extern "C" {
    pub(super) fn framelane_log_to(fd: c_int);
    pub(super) fn framelane_open(
        out: *mut *mut Input,
        url: *const c_char,
        options: *const *const c_char,
        interrupt: extern "C" fn(*mut c_void) -> c_int,
        interrupted: *mut c_void,
    ) -> c_int;
    pub(super) fn framelane_close(input: *mut Input);
    pub(super) fn framelane_describe(input: *mut Input, out: *mut Description);
    pub(super) fn framelane_audio_codec(input: *mut Input, out: *mut Name);
    pub(super) fn framelane_start(
        input: *mut Input,
        filters: *const c_char,
        with_audio: c_int,
    ) -> c_int;
    pub(super) fn framelane_next(input: *mut Input, out: *mut Event) -> c_int;

    /// libavformat's own: the version, as major << 16 | minor << 8 | micro.
    pub(super) fn avformat_version() -> u32;
}
