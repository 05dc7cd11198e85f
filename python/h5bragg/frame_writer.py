# SPDX-License-Identifier: MIT
"""FrameWriter: frames go into an HDF5 dataset as fast as a GPU, or all CPUs, can encode them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .chunk_sink import Batch, ChunkSink
from .encoders import open_encoder
from .errors import H5braggError, ParameterError
from .geometry import Geometry
from .params import SparsifyParams
from .peaks import EncodedChunk, PeakParams
from .pixels import check_shape
from .stages import Stages
from .staging import Staging
from .written_dataset import frames_per_chunk

# Batches that may wait to be encoded; and chunks of so many more to be written, for each batch that
# is being encoded: one that takes longer than others must not keep the encoder waiting.
_MOST_WAITING, _UNWRITTEN_SHARE = 2, 2

_open_writers: weakref.WeakSet[FrameWriter] = weakref.WeakSet()


def _close_all() -> None:
    """Write what is left: Python's end would wait for ever for the thread of an open writer."""
    with ExitStack() as stack:  # all of them, whatever goes wrong with one
        for writer in _open_writers:
            stack.callback(writer.close)


# Not atexit, which comes after that wait; and before thread pools, imported above, take no more.
threading._register_atexit(_close_all)  # type: ignore[attr-defined]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_writers.clear)  # a child has none of the threads


class FrameWriter:
    """Encodes frames and writes them to a dataset, one behind the other.

    Encoding and writing go on in the background, several frames at a time; chunks land in the order
    of the frames.  If encoding is slower than frames come in, `write` waits: memory stays bounded.

    Parameters
    ----------
    dataset : h5py.Dataset
        Shape (n, slow, fast), or (n, module, slow, fast) for stacks of modules, created with
        ``**Bragg(geometry, params)`` and chunks of whole frames.  One that can be resized grows.
    geometry : Geometry
        Detector of the frames.
    params : SparsifyParams or None
        None means the defaults, with the polarization that the geometry names.
    device : str
        Where to encode, see `encoders.open_encoder`: ``"auto"``, ``"cpu"``, ``"gpu"`` or
        ``"opencl:NAME"``.  The bytes in the file are the same.
    threads : int or None
        CPUs to use; None means all.
    start : int
        Number of the first frame; a multiple of the frames of a chunk.
    on_chunk : callable
        Called with each chunk once it is in the file, or left out.
    peaks : PeakParams or None
        Also find the peaks of all frames while encoding them: the chunks that `on_chunk` gets have
        them as `peaks`, one `Peaks` a frame.
    min_peaks : int
        Leave frames with fewer peaks out, so that those behind them move up; for chunks of one
        frame.

    Attributes
    ----------
    device_name : str
        What encodes.
    wants_copies : bool
        Whether copying a frame is faster than reading it where it is, unless it is in memory of
        `allocate`; so it is on a GPU.

    Raises
    ------
    ParameterError, GeometryError
        The dataset, the parameters or the geometry cannot be used.
    DeviceError
        There is no such device, or it fails; frames written before stay in the file.

    Examples
    --------
    >>> import h5py, h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> frames = np.random.default_rng(1).poisson(3, (5, 64, 80)).astype("uint16")
    >>> with h5py.File("frames.h5", "w", driver="core", backing_store=False) as file:
    ...     data = file.create_dataset("data", frames.shape, "uint16", chunks=(1, 64, 80),
    ...                                **h5bragg.Bragg(geometry))
    ...     with h5bragg.FrameWriter(data, geometry, device="cpu") as writer:
    ...         for frame in frames:
    ...             _ = writer.write(frame)
    ...     data.id.get_num_chunks()
    5
    """

    def __init__(
        self,
        dataset: h5py.Dataset,
        geometry: Geometry,
        params: SparsifyParams | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        start: int = 0,
        on_chunk: Callable[[EncodedChunk], None] = lambda _: None,
        peaks: PeakParams | None = None,
        min_peaks: int = 0,
    ) -> None:
        self._per_chunk = frames_per_chunk(dataset, geometry, start)
        if min_peaks and (peaks is None or self._per_chunk > 1):
            raise ParameterError(
                f"min_peaks={min_peaks} needs peaks, and chunks of one frame: give "
                "peaks=PeakParams() and create the dataset with such chunks"
            )
        self._dataset, self._geometry = dataset, geometry
        # These stay as they are, and asking h5py means to wait for the chunk that is being written.
        self._stack_shape, self._most = dataset.shape[1:], dataset.maxshape[0]
        self._dtype = dataset.dtype.newbyteorder("=")
        self._encoder = open_encoder(
            lambda: Stages.of(
                geometry, params, dataset.dtype, nframes=self._per_chunk, peaks=peaks
            ),
            device=device,
            threads=threads,
        )
        self.device_name = self._encoder.name
        self.wants_copies = self._encoder.wants_copies
        self._next = start
        self._batch = Batch(start)
        self._staging = Staging(self._encoder.allocate, self._encoder.staging_nframes)
        most = self._encoder.staging_nframes // self._encoder.batch_nframes + _MOST_WAITING
        self._to_encode = threading.Semaphore(most)
        self._sink = ChunkSink(
            dataset,
            self._per_chunk,
            on_chunk=on_chunk,
            min_peaks=min_peaks,
            most=(1 + _UNWRITTEN_SHARE) * most,
        )
        self._is_closed = False
        _open_writers.add(self)

    def allocate(self, nframes: int) -> NDArray[Any]:
        """Return memory for frames from which a device reads at full speed.

        Fill it, and `write` it with ``copy=False``.

        Returns
        -------
        ndarray
            Shape (nframes, slow, fast), of the dataset's type in native byte order, of anything.
        """
        return self._encoder.allocate(nframes)

    def write(self, frames: ArrayLike, *, copy: bool = True) -> Future[None]:
        """Write a frame or a stack of them behind those before.

        Parameters
        ----------
        frames : array_like
            Shape (slow, fast) or (n, slow, fast), or with the dataset's modules between; values
            must fit the dataset's type.
        copy : bool
            False spares a copy; then the array must stay as it is until the future is done.
            On a GPU that pays for memory of `allocate` alone: see `wants_copies`.

        Returns
        -------
        Future
            Done when the frames are in the file: see also `flush`.  A batch that is not full waits
            for more frames, `flush` or `close`.

        Raises
        ------
        GeometryError, ParameterError
            These frames do not fit; nothing is written of them.
        H5braggError, OSError
            Whatever went wrong with frames before.
        """
        self._check_open()
        stack = self._checked(frames)
        batch = self._batch
        for frame in stack:
            batch = self._add(frame, copy=copy)
        return batch.written

    def flush(self) -> None:
        """Wait until all frames are in the file, and flush the dataset.

        After that other processes read them from a file in HDF5's SWMR mode, even if this one is
        killed.  An incomplete chunk of several frames is written at `close` alone.

        Raises
        ------
        H5braggError, OSError
            Whatever went wrong.
        """
        self._check_open()
        nwhole = len(self._batch.frames) // self._per_chunk * self._per_chunk
        if nwhole == len(self._batch.frames):
            last = self._submit()
        else:
            last = self._submit(self._batch.split(nwhole))
        last.exception()
        self._sink.raise_error()
        try:
            self._dataset.flush()
        except RuntimeError as error:  # h5py's choice for some failures of the disk
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Write what is left, wait for it, and let go of the device.

        What is never closed is closed when Python ends.

        Raises
        ------
        H5braggError, OSError
            Whatever went wrong; frames written before are in the file.
        """
        if self._is_closed:
            return
        self._is_closed = True
        _open_writers.discard(self)
        try:
            if self._sink.error is None and self._batch.frames:
                self._fill_up()
                self._submit()
        finally:
            self._sink.close()
            self._encoder.close()
        self._sink.raise_error()

    def __enter__(self) -> FrameWriter:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; an error of the block goes before one of closing."""
        try:
            self.close()
        except (H5braggError, OSError):
            if error is None:
                raise

    def _checked(self, frames: ArrayLike) -> NDArray[Any]:
        """Return frames as a stack that the dataset can take."""
        array = np.asarray(frames)
        naxes = len(self._stack_shape)
        if array.shape[-naxes:] == self._stack_shape:
            array = array.reshape(*array.shape[:-naxes], *self._geometry.shape)
        check_shape(array, self._geometry)
        if array.dtype.newbyteorder("=") != self._dtype:
            raise ParameterError(
                f"frames of type {array.dtype} do not go into a dataset of type {self._dtype}: "
                f"convert them with frames.astype({self._dtype.name!r})"
            )
        stack = array if array.ndim == 3 else array[np.newaxis]
        end = self._next + len(stack)
        if self._most is not None and end > self._most:
            raise ParameterError(
                f"frame {end - 1} does not fit a dataset of {self._most} frames: create it larger, "
                "or with maxshape=(None, ...)"
            )
        return stack

    def _add(self, frame: NDArray[Any], *, copy: bool) -> Batch:
        """Put a frame into the batch; encode it when it is full."""
        batch = self._batch
        usable = frame.flags.c_contiguous and frame.dtype.isnative
        if copy or not usable:
            frame = self._staging.copy(frame)
            batch.staged.append(frame)
        batch.frames.append(frame)
        self._next += 1
        if len(batch.frames) == self._encoder.batch_nframes:
            self._submit()
        return batch

    def _give_back(self, staged: list[NDArray[Any]], _: Future[list[EncodedChunk]]) -> None:
        """Let memory of frames that are encoded be used again."""
        self._staging.give_back(staged)
        self._to_encode.release()

    def _fill_up(self) -> None:
        """Complete the last chunk with frames of zeros."""
        batch = self._batch
        missing = -len(batch.frames) % self._per_chunk
        zeros = np.zeros(self._geometry.shape, self._dtype)
        batch.frames += [zeros] * missing

    def _submit(self, batch: Batch | None = None) -> Future[None]:
        """Begin to encode a batch, by default the one at work; return when it is written."""
        self._to_encode.acquire()
        self._sink.reserve()
        if batch is None:
            batch, self._batch = self._batch, Batch(self._next)
        batch.nframes = min(len(batch.frames), self._next - batch.start)
        encoded: Future[list[EncodedChunk]] = Future()
        if batch.frames:
            encoded = self._encoder.submit(batch.frames)
        else:
            encoded.set_result([])
        encoded.add_done_callback(partial(self._give_back, batch.staged))
        batch.frames, batch.staged = [], []  # while the chunks wait nobody needs them
        self._sink.put(batch, encoded)
        return batch.written

    def _check_open(self) -> None:
        if self._is_closed:
            raise ParameterError("this FrameWriter is closed: open another one")
        self._sink.raise_error()
