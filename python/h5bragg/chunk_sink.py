# SPDX-License-Identifier: MIT
"""Chunks that are being encoded go into a dataset in the order of their frames, in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import h5py
from numpy.typing import NDArray

from .chunk_write import write_chunks
from .peaks import EncodedChunk
from .written_dataset import shrink


def _running() -> Future[None]:
    """Return a future that nobody can cancel."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


@dataclass
class Batch:
    """Frames on their way into the file; of those in `staged` the memory is to be used again.

    Parameters
    ----------
    start : int
        Number of the first frame.
    nframes : int
        Once they are on their way: without those that fill up the last chunk.
    frames, staged : list of ndarray
        Each of shape (slow, fast).
    written : Future
        Done when they are in the file.
    """

    start: int
    nframes: int = 0
    frames: list[NDArray[Any]] = field(default_factory=list)
    staged: list[NDArray[Any]] = field(default_factory=list)
    written: Future[None] = field(default_factory=_running)

    def split(self, nframes: int) -> Batch:
        """Take the first frames out; futures that were given stay those of the others."""
        head = Batch(self.start, frames=self.frames[:nframes])
        self.start += nframes
        self.frames = self.frames[nframes:]
        return head


class ChunkSink:
    """Writes the chunks of batches.

    Parameters
    ----------
    dataset : h5py.Dataset
        One that is too short grows.
    per_chunk : int
        Frames of a chunk.
    on_chunk : callable
        Called with each chunk once it is in the file, or left out.
    min_peaks : int
        Chunks whose frame has fewer peaks are left out; those behind them move up.
    most : int
        Batches that may be on their way.
    """

    def __init__(
        self,
        dataset: h5py.Dataset,
        per_chunk: int,
        *,
        on_chunk: Callable[[EncodedChunk], None],
        min_peaks: int,
        most: int,
    ) -> None:
        self._dataset, self._per_chunk, self._on_chunk = dataset, per_chunk, on_chunk
        self._min_peaks, self._nleft_out = min_peaks, 0
        self._room = threading.Semaphore(most)
        self._queue: queue.SimpleQueue[tuple[Batch, Future[list[EncodedChunk]]] | None] = (
            queue.SimpleQueue()
        )
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="h5bragg-writer")
        self._thread.start()

    def reserve(self) -> None:
        """Wait until one more batch may be on its way."""
        self._room.acquire()

    def put(self, batch: Batch, encoded: Future[list[EncodedChunk]]) -> None:
        """Take a batch, for which there is room, behind those before."""
        self._queue.put((batch, encoded))

    def close(self) -> None:
        """Wait until all is written."""
        self._queue.put(None)
        self._thread.join()

    def raise_error(self) -> None:
        """Raise what went wrong first, if anything did."""
        if self.error is not None:
            raise self.error

    def _write(self) -> None:
        """Write batches, until one fails: what the thread does."""
        while (item := self._queue.get()) is not None:
            batch, encoded = item
            try:
                chunks = encoded.result()
                if self.error is None:
                    self._write_batch(batch, chunks)
            except BaseException as error:
                self.error = self.error or error
            self._room.release()
            if self.error is None:
                batch.written.set_result(None)
            else:
                batch.written.set_exception(self.error)

    def _write_batch(self, batch: Batch, chunks: list[EncodedChunk]) -> None:
        """Write the chunks of a batch; a dataset that grew for one that fails shrinks again."""
        old = self._dataset.shape[0]
        start = batch.start - self._nleft_out
        kept = [chunk.data for chunk in chunks if self._is_kept(chunk)]
        self._nleft_out += len(chunks) - len(kept)
        end = batch.start + batch.nframes - self._nleft_out
        if end > old:
            self._dataset.resize(end, axis=0)
        nwritten = 0
        try:
            try:
                for n in write_chunks(self._dataset, start, self._per_chunk, kept):
                    nwritten = n
            finally:
                self._report(chunks, nwritten)
        except BaseException:
            shrink(self._dataset, max(old, min(start + nwritten * self._per_chunk, end)))
            raise

    def _report(self, chunks: list[EncodedChunk], nwritten: int) -> None:
        """Tell of chunks, up to the first that is neither left out nor among those written."""
        for chunk in chunks:
            if self._is_kept(chunk):
                if nwritten == 0:
                    return
                nwritten -= 1
            self._on_chunk(chunk)

    def _is_kept(self, chunk: EncodedChunk) -> bool:
        return not self._min_peaks or len(chunk.peaks[0]) >= self._min_peaks
