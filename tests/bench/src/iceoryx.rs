//! iceoryx2: zero-copy publish and subscribe, with an event to wait for. Full buffers make the
//! publisher wait, as the ring does.

use anyhow::{Result, anyhow};
use framelane_ring::monotonic_ns;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::transport::{self, DEPTH, age_ns};

/// The bytes of a message that tell when it was sent.
const STAMP: usize = 8;

type Frames =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u8], ()>;
type Events = iceoryx2::service::port_factory::event::PortFactory<ipc::Service>;

fn services(name: &str) -> Result<(Frames, Events)> {
    let node = NodeBuilder::new().create::<ipc::Service>().map_err(|e| anyhow!("{e:?}"))?;
    let service = ServiceName::new(name).map_err(|e| anyhow!("{e:?}"))?;
    let frames = node
        .service_builder(&service)
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(DEPTH as usize)
        .open_or_create()
        .map_err(|e| anyhow!("{e:?}"))?;
    let events = node.service_builder(&service).event().open_or_create();
    Ok((frames, events.map_err(|e| anyhow!("{e:?}"))?))
}

pub(crate) struct Sender {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Notifier<ipc::Service>,
    bytes: usize,
}

impl Sender {
    pub(crate) fn new(name: &str, bytes: usize) -> Result<Self> {
        let (frames, events) = services(name)?;
        let publisher = frames
            .publisher_builder()
            .initial_max_slice_len(bytes + STAMP)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .map_err(|e| anyhow!("{e:?}"))?;
        let notifier = events.notifier_builder().create().map_err(|e| anyhow!("{e:?}"))?;
        Ok(Self { publisher, notifier, bytes })
    }
}

impl transport::Sender for Sender {
    fn send(&mut self, frame: Option<&[u8]>) -> Result<()> {
        let mut sample =
            self.publisher.loan_slice_uninit(self.bytes + STAMP).map_err(|e| anyhow!("{e:?}"))?;
        let payload = sample.payload_mut();
        if let Some(frame) = frame {
            payload[STAMP..STAMP + frame.len()].write_copy_of_slice(frame);
        }
        payload[..STAMP].write_copy_of_slice(&monotonic_ns().to_ne_bytes());
        // SAFETY: the stamp is written; pixels that are not written are shared memory, which holds
        // some value, and are not read by a receiver that is not sent a frame.
        let sample = unsafe { sample.assume_init() };
        sample.send().map_err(|e| anyhow!("{e:?}"))?;
        self.notifier.notify().map_err(|e| anyhow!("{e:?}"))?;
        Ok(())
    }
}

pub(crate) struct Receiver {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Listener<ipc::Service>,
}

impl Receiver {
    pub(crate) fn new(name: &str, _bytes: usize) -> Result<Self> {
        let (frames, events) = services(name)?;
        let subscriber = frames.subscriber_builder().create().map_err(|e| anyhow!("{e:?}"))?;
        let listener = events.listener_builder().create().map_err(|e| anyhow!("{e:?}"))?;
        Ok(Self { subscriber, listener })
    }
}

impl transport::Receiver for Receiver {
    fn try_receive(&mut self, out: Option<&mut [u8]>) -> Result<Option<u64>> {
        let Some(sample) = self.subscriber.receive().map_err(|e| anyhow!("{e:?}"))? else {
            return Ok(None);
        };
        let (stamp, pixels) = sample.payload().split_at(STAMP);
        let age_ns = age_ns(u64::from_ne_bytes(stamp.try_into()?));
        if let Some(out) = out {
            out.copy_from_slice(&pixels[..out.len()]);
        }
        Ok(Some(age_ns))
    }

    fn wait(&mut self) -> Result<()> {
        self.listener.blocking_wait(|_| {}).map_err(|e| anyhow!("{e:?}"))?;
        Ok(())
    }
}
