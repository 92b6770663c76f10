//! A POSIX message queue: the kernel copies small messages. It carries stamps only.

use std::ffi::CString;

use anyhow::Result;
use framelane_ring::monotonic_ns;
use nix::errno::Errno;
use nix::mqueue::{
    MQ_OFlag, MqAttr, MqdT, mq_attr_member_t, mq_open, mq_receive, mq_send, mq_set_nonblock,
    mq_unlink,
};
use nix::sys::stat::Mode;

use crate::transport::{self, DEPTH, age_ns};

const BYTES: usize = 8;

fn path(name: &str) -> Result<CString> {
    Ok(CString::new(format!("/{name}"))?)
}

pub(crate) struct Sender {
    queue: MqdT,
    path: CString,
}

impl Sender {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = path(name)?;
        let attributes =
            MqAttr::new(0, mq_attr_member_t::from(DEPTH), BYTES as mq_attr_member_t, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_WRONLY;
        let queue =
            mq_open(path.as_c_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attributes))?;
        Ok(Self { queue, path })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = mq_unlink(self.path.as_c_str());
    }
}

impl transport::Sender for Sender {
    fn send(&mut self, _frame: Option<&[u8]>) -> Result<()> {
        Ok(mq_send(&self.queue, &monotonic_ns().to_ne_bytes(), 0)?)
    }
}

pub(crate) struct Receiver {
    queue: MqdT,
    next: Option<u64>,
}

impl Receiver {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let queue = mq_open(path(name)?.as_c_str(), MQ_OFlag::O_RDONLY, Mode::empty(), None)?;
        Ok(Self { queue, next: None })
    }

    fn receive(&mut self) -> nix::Result<u64> {
        let (mut bytes, mut priority) = ([0; BYTES], 0);
        mq_receive(&self.queue, &mut bytes, &mut priority)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl transport::Receiver for Receiver {
    fn try_receive(&mut self, _out: Option<&mut [u8]>) -> Result<Option<u64>> {
        if let Some(stamp) = self.next.take() {
            return Ok(Some(age_ns(stamp)));
        }
        mq_set_nonblock(&self.queue)?;
        let received = self.receive();
        nix::mqueue::mq_remove_nonblock(&self.queue)?;
        match received {
            Err(Errno::EAGAIN) => Ok(None),
            other => Ok(Some(age_ns(other?))),
        }
    }

    fn wait(&mut self) -> Result<()> {
        self.next = Some(self.receive()?);
        Ok(())
    }
}
