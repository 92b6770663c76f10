"""PyTorch: tensors on frames without a copy, and a DataLoader's forked workers do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import drain, feed, picture

import framelane as fl

torch = pytest.importorskip("torch")


def test_tensors_share_the_memory_of_frames_and_outputs(background):
    feeder, end = background(lambda: feed("cam.in", 4)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            with np.testing.suppress_warnings() as quiet:
                # torch has no read-only tensors, and says so.
                quiet.filter(UserWarning)
                tensor = torch.from_numpy(frame)
            assert tensor.data_ptr() == frame.__array_interface__["data"][0]
            target = torch.from_dlpack(out)
            assert target.data_ptr() == out.__array_interface__["data"][0]
            target.copy_(255 - tensor)
    feeder.join()
    assert all(np.array_equal(array, 255 - picture(seq)) for seq, _, array in end.join())
    assert not tensor.any(), "zeroes, when the claim has ended"


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return index


def test_a_data_loader_that_forks_leaves_the_worker_unharmed(background):
    feeder, end = background(lambda: feed("cam.in", 5)), background(lambda: drain("cam.out"))
    with fl.Worker("cam.in", "cam.out", timeout=30) as worker:
        for frame, out in worker:
            loader = torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=2)
            assert sum(int(batch.sum()) for batch in loader) == 28
            out[:] = frame
    feeder.join()
    frames = end.join()
    assert [seq for seq, _, _ in frames] == list(range(5))
    assert all(np.array_equal(array, picture(seq)) for seq, _, array in frames)
