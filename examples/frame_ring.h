/* SPDX-License-Identifier: MIT */
/*
 * frame_ring.h - a ring of buffers between a detector, threads that encode, and one that writes.
 *
 * Frame n lives in slot n modulo the number of slots, from the moment the detector fills it until
 * its chunk is in the file.  Three numbers tell where everybody is, and never overtake each other:
 *
 *     written  <=  taken  <=  acquired  <=  written + nslots
 *
 * Frames in [taken, acquired) wait for an encoder.  Those in [written, taken) are being encoded, or
 * are encoded and wait for the writer, which takes them in order.  Memory is bounded: with all
 * slots in use the detector waits.  One lock guards the numbers, and nobody holds it while he works
 * on a slot.
 *
 * Any thread may call frame_ring_fail(); then all waiting ends, and all find out.
 */
#ifndef FRAME_RING_H
#define FRAME_RING_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ring_slot {
    void *frame;
    void *chunk; /* what has become of it */
    size_t chunk_nbytes;
    int is_encoded;
} ring_slot;

typedef struct frame_ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ring_slot *slots;
    size_t nslots;
    size_t chunk_capacity;
    uint64_t acquired;
    uint64_t taken;
    uint64_t written;
    uint64_t nwaits; /* how often the detector found no free slot */
    int is_ended;    /* no more frames will come */
    int has_failed;
    char reason[512]; /* of the first failure */
} frame_ring;

/* Returns 0, or -1 if there is no memory; frame_ring_free() is for both. */
int frame_ring_make(frame_ring *ring, size_t nslots, size_t frame_nbytes, size_t chunk_capacity);
void frame_ring_free(frame_ring *ring);

/* Detector: a buffer for the next frame, or NULL after a failure; then that it is filled. */
void *frame_ring_acquire(frame_ring *ring);
void frame_ring_filled(frame_ring *ring);
/* Detector: that was the last one. */
void frame_ring_end(frame_ring *ring);

/* Encoders: the next frame, or NULL if there will be none; then that its chunk is there. */
ring_slot *frame_ring_take(frame_ring *ring);
void frame_ring_encoded(frame_ring *ring, ring_slot *slot);

/*
 * Writer: waits for chunks and returns how many follow each other from number ring->written on; 0
 * if there will be none.  Then that it has done with that many.
 */
size_t frame_ring_ready(frame_ring *ring);
void frame_ring_written(frame_ring *ring, size_t count);

ring_slot *frame_ring_slot(const frame_ring *ring, uint64_t number);

/* "%s: %s" */
void frame_ring_fail(frame_ring *ring, const char *what, const char *reason);

#endif
