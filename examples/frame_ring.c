/* SPDX-License-Identifier: MIT */
#include "frame_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int frame_ring_make(frame_ring *ring, size_t nslots, size_t frame_nbytes, size_t chunk_capacity)
{
    memset(ring, 0, sizeof(*ring));
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->changed, NULL);
    ring->chunk_capacity = chunk_capacity;
    ring->slots = calloc(nslots, sizeof(*ring->slots));
    if (ring->slots == NULL)
        return -1;
    ring->nslots = nslots;
    for (size_t k = 0; k < nslots; k++) {
        ring->slots[k].frame = malloc(frame_nbytes);
        ring->slots[k].chunk = malloc(chunk_capacity);
        if (ring->slots[k].frame == NULL || ring->slots[k].chunk == NULL)
            return -1;
    }
    return 0;
}

void frame_ring_free(frame_ring *ring)
{
    for (size_t k = 0; k < ring->nslots; k++) {
        free(ring->slots[k].frame);
        free(ring->slots[k].chunk);
    }
    free(ring->slots);
    pthread_cond_destroy(&ring->changed);
    pthread_mutex_destroy(&ring->lock);
}

ring_slot *frame_ring_slot(const frame_ring *ring, uint64_t number)
{
    return &ring->slots[number % ring->nslots];
}

/* Every change wakes everybody: threads are few, and a frame takes long compared with that. */
static void unlock_changed(frame_ring *ring)
{
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void *frame_ring_acquire(frame_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    if (ring->acquired == ring->written + ring->nslots)
        ring->nwaits++;
    while (ring->acquired == ring->written + ring->nslots && !ring->has_failed)
        pthread_cond_wait(&ring->changed, &ring->lock);
    void *frame = ring->has_failed ? NULL : frame_ring_slot(ring, ring->acquired)->frame;
    pthread_mutex_unlock(&ring->lock);
    return frame;
}

void frame_ring_filled(frame_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->acquired++;
    unlock_changed(ring);
}

void frame_ring_end(frame_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->is_ended = 1;
    unlock_changed(ring);
}

ring_slot *frame_ring_take(frame_ring *ring)
{
    ring_slot *slot = NULL;
    pthread_mutex_lock(&ring->lock);
    while (ring->taken == ring->acquired && !ring->is_ended && !ring->has_failed)
        pthread_cond_wait(&ring->changed, &ring->lock);
    if (ring->taken < ring->acquired && !ring->has_failed)
        slot = frame_ring_slot(ring, ring->taken++);
    pthread_mutex_unlock(&ring->lock);
    return slot;
}

void frame_ring_encoded(frame_ring *ring, ring_slot *slot)
{
    pthread_mutex_lock(&ring->lock);
    slot->is_encoded = 1;
    unlock_changed(ring);
}

/* How many chunks follow each other; the lock is held. */
static size_t count_ready(const frame_ring *ring)
{
    size_t count = 0;
    while (ring->written + count < ring->taken &&
           frame_ring_slot(ring, ring->written + count)->is_encoded)
        count++;
    return count;
}

size_t frame_ring_ready(frame_ring *ring)
{
    size_t count;
    pthread_mutex_lock(&ring->lock);
    while ((count = count_ready(ring)) == 0 && !ring->has_failed &&
           !(ring->is_ended && ring->written == ring->acquired))
        pthread_cond_wait(&ring->changed, &ring->lock);
    pthread_mutex_unlock(&ring->lock);
    return count;
}

void frame_ring_written(frame_ring *ring, size_t count)
{
    pthread_mutex_lock(&ring->lock);
    for (size_t k = 0; k < count; k++)
        frame_ring_slot(ring, ring->written++)->is_encoded = 0;
    unlock_changed(ring);
}

void frame_ring_fail(frame_ring *ring, const char *what, const char *reason)
{
    pthread_mutex_lock(&ring->lock);
    if (!ring->has_failed)
        snprintf(ring->reason, sizeof(ring->reason), "%s: %s", what, reason);
    ring->has_failed = 1;
    unlock_changed(ring);
}
