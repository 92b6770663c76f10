//! The life of a ring's name: who may join, who may make a ring, and who may take its name away.
//!
//! A name leads newcomers to a ring. One rule keeps them from being led astray: **who joins locks
//! its id, and who removes the name does so, under the life lock alone, and only while the name
//! leads to this very ring.** So whoever has an id is in a ring that others find, and whoever removes
//! a name has seen that nobody has an id. Makers need no lock: `link(2)` fails where the name is
//! taken. Who cleans up after the dead locks their ids without joining, and so may keep the last one
//! out from taking the name: it tries to take it afterwards.
//!
//! | who takes the name, once nobody has an id | when |
//! |---|---|
//! | the last one out, or who cleans up after it, or waits for the next stream | the ring is over, its readers have seen it, and its workers have handed the end on; or all were asked to stop, and nothing is lost |
//! | who makes the next stream's ring | it is over |
//! | who finds that it was made in vain, best its maker | nobody has read or ended it, and nothing is in it |
//! | `framelane gc` | always |
//!
//! Who is killed in here has either done it or left it to the next one: the kernel drops the lock.
//! What a killed maker leaves is a ring that the next one opens, or a private name, which `framelane
//! gc` removes. A ring whose last user was killed keeps its name until somebody asks for it.
//!
//! The life lock is taken before an id and before the tables lock. Whether a ring is over is asked
//! upstream too, under it; that looks at other rings and locks nothing there.

use std::thread;
use std::time::Duration;

use framelane_shm::{LockFile, Segment, SegmentName, ShmError};

use crate::claim::SEATS;
use crate::failpoint::failpoint;
use crate::layout::{Header, LIFE_BYTE};
use crate::ring::{PATIENCE, Ring};
use crate::{Policy, RingConfig, RingError};

/// How often somebody who waits for a ring looks whether it is there.
const APPEARANCE_POLL: Duration = Duration::from_millis(20);

/// Who wants to take a ring's name away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    /// Who leaves last, or finds that all have left.
    LastOut,
    /// Who makes the ring of the next stream.
    NextStream,
    /// Who finds that it was made in vain.
    Maker,
    /// Who knows that the ring is not wanted any more.
    Operator,
}

impl Ring {
    /// Waits until there is a ring of this name, for as long as `go_on` says so. One whose users are
    /// asked to stop is waited out.
    ///
    /// # Errors
    /// As [`Ring::open`], but for there being none.
    pub fn wait(
        name: &SegmentName,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<Self>, RingError> {
        while go_on() {
            match Self::open(name) {
                Err(RingError::Shm(ShmError::NotFound(_))) => {}
                // What a killed run left behind is over: the ring that is waited for is a new one.
                Ok(ring) if ring.end().is_some() && ring.reap_and_take_name(Taker::LastOut)? => {}
                Ok(ring) if ring.is_draining() && ring.retire_drained()? => {}
                other => return other.map(Some),
            }
            thread::sleep(APPEARANCE_POLL);
        }
        Ok(None)
    }

    /// Makes the ring, or opens the one that is there, whatever its slots and policy, if it can
    /// hold frames of `config`'s size. `prepare` writes what the creator adds to a new ring's
    /// header before anybody sees it. A ring that has ended is opened only if it is `ours`; one that
    /// isn't there is made, and one that is there opened, only if it is `wanted` at that moment.
    ///
    /// # Errors
    /// [`ShmError::NotFound`] when there is none, and none is wanted;
    /// [`RingError::PayloadTooLarge`] when the existing ring's slots are too small, and
    /// [`RingError::Ended`] when its users have not finished yet, [`RingError::Draining`] when they are
    /// asked to stop and have not stopped; otherwise as [`Ring::open`] and for lack of memory.
    pub(crate) fn create_or_open(
        name: &SegmentName,
        config: &RingConfig,
        prepare: impl Fn(&Header),
        ours: impl Fn(&Self) -> bool,
        wanted: impl Fn(Option<&Self>) -> bool,
    ) -> Result<Self, RingError> {
        loop {
            match Self::open(name) {
                Ok(ring) if ring.end().is_some() && !ours(&ring) => {
                    let taken = ring.reap_and_take_name(Taker::NextStream)?;
                    if !taken && ring.segment().is_linked()? {
                        return Err(RingError::Ended(name.ring().to_owned()));
                    }
                }
                Ok(ring) if ring.is_draining() && ring.retire_drained()? => {
                    if ring.segment().is_linked()? {
                        return Err(RingError::Draining(name.ring().to_owned()));
                    }
                }
                Ok(ring) if !wanted(Some(&ring)) => {
                    ring.reap_and_take_name(Taker::Maker)?;
                    return Err(ShmError::NotFound(name.ring().to_owned()).into());
                }
                Ok(ring) if ring.payload_capacity() < config.payload_capacity => {
                    return Err(RingError::PayloadTooLarge {
                        ring: name.ring().to_owned(),
                        capacity: ring.payload_capacity(),
                        needed: config.payload_capacity,
                    });
                }
                Err(RingError::Shm(ShmError::NotFound(_))) if wanted(None) => {
                    match Self::create(name, config, &prepare) {
                        // The maker was slow, and the others have finished without it.
                        Ok(ring)
                            if !wanted(Some(&ring)) && ring.reap_and_take_name(Taker::Maker)? =>
                        {
                            return Err(ShmError::NotFound(name.ring().to_owned()).into());
                        }
                        Err(RingError::Shm(ShmError::Exists(_))) => {}
                        other => return other,
                    }
                }
                other => return other,
            }
        }
    }

    /// Takes the name of a ring that was drained, if all have stopped; a lossless one with frames in
    /// it stays for those who come next. Tells whether nobody may join it: it has lost its name, or
    /// somebody has yet to stop.
    pub(crate) fn retire_drained(&self) -> Result<bool, RingError> {
        let taken = self.reap_and_take_name(Taker::LastOut)?;
        Ok(taken || self.with_tool(|tool| self.is_in_use(tool))?)
    }

    /// Locks a free id through `own`, for who joins.
    pub(crate) fn lock_free_id(&self, own: &LockFile) -> Result<u8, RingError> {
        self.with_tool(|tool| {
            self.with_life(tool, || {
                if !self.segment().is_linked()? {
                    return Err(ShmError::NotFound(self.name().to_owned()).into());
                }
                // All who were asked to stop have stopped.
                if self.is_draining() && !self.is_in_use(tool)? {
                    self.set_draining(false)?;
                }
                for id in 0..SEATS {
                    if own.try_lock(u16::from(id))? {
                        return Ok(id);
                    }
                }
                Err(RingError::NoSeat(self.name().to_owned()))
            })
        })
    }

    /// Takes the ring's name if nobody is attached, and `who` may.
    pub(crate) fn take_name(&self, tool: &LockFile, who: Taker) -> Result<bool, RingError> {
        if !self.may_be_taken_by(who) {
            return Ok(false);
        }
        self.with_life(tool, || {
            let taken = !self.is_in_use(tool)?
                && self.may_be_taken_by(who)
                && self.segment().is_linked()?;
            if taken {
                self.segment().unlink()?;
                failpoint("end.unlinked");
            }
            Ok(taken)
        })
    }

    /// The same, once the dead are out of the way.
    pub(crate) fn reap_and_take_name(&self, who: Taker) -> Result<bool, RingError> {
        Ok(self.reap()? || self.with_tool(|tool| self.take_name(tool, who))?)
    }

    /// Removes a ring that is of no use any more: nobody is attached, and it has ended, or its users
    /// were asked to stop and have. A lossless one with frames in it stays.
    ///
    /// # Errors
    /// As [`Ring::remove_if_unused`].
    pub fn remove_if_finished(&self) -> Result<bool, RingError> {
        self.reap_and_take_name(Taker::LastOut)
    }

    /// Removes the ring if nobody uses it. Frames that are still in it are lost.
    ///
    /// # Errors
    /// [`RingError`] when the locks can't be asked or the name can't be removed.
    pub fn remove_if_unused(&self) -> Result<bool, RingError> {
        self.with_tool(|tool| self.take_name(tool, Taker::Operator))
    }

    /// Removes what has a ring's name and can't be opened as one, such as a ring of another layout
    /// version, if nobody has locked any of its bytes.
    ///
    /// # Errors
    /// [`ShmError`] when it can't be opened at all, locked or removed.
    pub fn remove_unreadable(name: &SegmentName) -> Result<bool, RingError> {
        let segment = Segment::open(name)?;
        let tool = segment.lock_file()?;
        // In every layout so far, who joins locks this byte first.
        let unused = tool.try_lock(LIFE_BYTE)? && !tool.any_held_elsewhere()?;
        let remove = unused && segment.is_linked()?;
        if remove {
            segment.unlink()?;
        }
        Ok(remove)
    }

    fn may_be_taken_by(&self, who: Taker) -> bool {
        match who {
            Taker::LastOut => self.is_over_for_all() || self.is_abandoned(),
            Taker::NextStream => self.is_over(),
            Taker::Maker => self.is_untouched(),
            Taker::Operator => true,
        }
    }

    /// Whether the ring is over, and whoever was to see the end has had a chance to. On a block
    /// ring that is so once there is a group; a stream without a frame may end before. A group that
    /// passes frames on has seen it when it has handed it on.
    fn is_over_for_all(&self) -> bool {
        let seen = self.policy() == Policy::DropOldest || self.has_groups();
        seen && !self.owes_end() && self.is_over()
    }

    /// Whether all were asked to stop, and take nothing along: a lossless ring keeps its frames for
    /// those who come next, and any ring an end that nobody has handed on.
    fn is_abandoned(&self) -> bool {
        let owes = self.end().is_some() && self.owes_end();
        self.is_draining() && !owes && (self.policy() == Policy::DropOldest || self.is_empty())
    }

    /// Whether nobody has joined to read from the ring, nothing is in it, and it has not ended.
    fn is_untouched(&self) -> bool {
        self.end().is_none() && !self.has_groups() && self.is_empty()
    }

    /// Whether any participant lives.
    pub(crate) fn is_in_use(&self, tool: &LockFile) -> Result<bool, RingError> {
        for id in 0..SEATS {
            if tool.held_elsewhere(u16::from(id))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether anybody is attached, or may still come.
    pub(crate) fn can_be_reached(&self) -> Result<bool, RingError> {
        Ok(self.segment().is_linked()? || self.with_tool(|tool| self.is_in_use(tool))?)
    }

    /// Runs `act` while nobody else joins or takes the name.
    fn with_life<T>(
        &self,
        tool: &LockFile,
        act: impl FnOnce() -> Result<T, RingError>,
    ) -> Result<T, RingError> {
        let holder = &self.header().life_holder;
        self.with_lock(tool, (LIFE_BYTE, "life"), PATIENCE, holder, act)
    }
}
