/*
 * A timer that becomes a callback when it is due. It is in the heap or in the ready queue, never in both,
 * and so one place serves for both.
 */
#ifndef ASY_CORE_DUE_H
#define ASY_CORE_DUE_H

#include "core/ready.h"
#include "core/timer.h"

union due {
    struct timer timer;       /* until then */
    struct callback callback; /* from then on */
};

#endif
