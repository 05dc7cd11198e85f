/* SPDX-License-Identifier: MIT */
/* Function and context change together, under a lock. */
#include "encoder_hook.h"

#include <stddef.h>

#include "lock.h"

static bragg_lock hook_lock = BRAGG_LOCK_INIT;
static encoder_hook hook;

encoder_hook encoder_hook_get(void)
{
    lock_acquire(&hook_lock);
    const encoder_hook found = hook;
    lock_release(&hook_lock);
    return found;
}

void h5bragg_set_encoder(h5bragg_encoder *encode, void *context)
{
    lock_acquire(&hook_lock);
    hook = (encoder_hook){encode, context};
    lock_release(&hook_lock);
}
