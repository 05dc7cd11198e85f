/* SPDX-License-Identifier: MIT */
/* Function and context change together, under a lock. */
#include "encoder_hook.h"

#include <stddef.h>

#include "lock.h"

static encoder_hook hook;

encoder_hook encoder_hook_get(void)
{
    lock_acquire(LOCK_ENCODER_HOOK);
    const encoder_hook found = hook;
    lock_release(LOCK_ENCODER_HOOK);
    return found;
}

void h5bragg_set_encoder(h5bragg_encoder *encode, void *context)
{
    lock_acquire(LOCK_ENCODER_HOOK);
    hook = (encoder_hook){encode, context};
    lock_release(LOCK_ENCODER_HOOK);
}
