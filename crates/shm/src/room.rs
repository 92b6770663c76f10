//! Room for segments: asked for before anything is made, and reserved before the first touch, so
//! that a full file system is an error and not a SIGBUS.

#![expect(unsafe_code, reason = "posix_fallocate has no safe form in rustix or nix")]
// UNSAFETY: One call, with an open descriptor and two numbers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::ShmError;
use crate::name::SHM_FOLDER;

const MIB: u64 = 1 << 20;

/// Refuses before anything is made when the file system plainly has no room.
pub(crate) fn check_room(bytes: usize) -> Result<(), ShmError> {
    let free = free_bytes()?;
    if bytes as u64 > free { Err(too_small(bytes, free)) } else { Ok(()) }
}

/// Reserves every page of the file.
pub(crate) fn reserve(file: &File, bytes: usize) -> Result<(), ShmError> {
    let length = libc::off_t::try_from(bytes)
        .map_err(|_| ShmError::os("reserving shared memory")(io::ErrorKind::FileTooLarge.into()))?;
    loop {
        // SAFETY: an open descriptor and two numbers.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
            0 => return Ok(()),
            libc::EINTR => {}
            libc::ENOSPC => return Err(too_small(bytes, free_bytes()?)),
            errno => {
                let source = io::Error::from_raw_os_error(errno);
                return Err(ShmError::os(format!("reserving {bytes} bytes of shared memory"))(
                    source,
                ));
            }
        }
    }
}

fn free_bytes() -> Result<u64, ShmError> {
    let space = nix::sys::statvfs::statvfs(SHM_FOLDER)
        .map_err(|errno| ShmError::os(format!("asking {SHM_FOLDER} for its size"))(errno.into()))?;
    Ok(space.blocks_available().saturating_mul(space.fragment_size()))
}

fn too_small(bytes: usize, free: u64) -> ShmError {
    let needed_mib = (bytes as u64).div_ceil(MIB);
    let total = nix::sys::statvfs::statvfs(SHM_FOLDER)
        .map_or(0, |space| space.blocks().saturating_mul(space.fragment_size()));
    let used_mib = total.saturating_sub(free).div_ceil(MIB);
    let free_mib = free / MIB;
    ShmError::TooSmall {
        needed_mib,
        free_mib,
        wanted_mib: used_mib + needed_mib,
        folder: SHM_FOLDER,
    }
}
