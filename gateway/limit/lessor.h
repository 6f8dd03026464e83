/* Gets blocks of shared limits from Redis, in the background of one thread's requests.
 *
 * The bucket in Redis is a number of tokens and the time of Redis at which it was true; one script
 * brings it up to now, takes what is owed and grants what is there. A clock that steps back gives
 * nothing, one that steps forward at most the burst. Keys: tg:{tenant}:limit:<name>, those of a
 * quota with the day; each expires once it would be full again.
 *
 * Limits: one lease per allowance and process at a time, TG_LESSOR_INFLIGHT_MAX per thread; what
 * does not fit counts as failed, like a Redis that does not answer within TG_LESSOR_TIMEOUT_MS.
 * Threads: belongs to its loop's thread. */
#ifndef TG_LIMIT_LESSOR_H
#define TG_LIMIT_LESSOR_H

#include "common/loop/loop.h"
#include "common/observe/metrics.h"
#include "gateway/limit/allowance.h"

#define TG_LESSOR_INFLIGHT_MAX 4096
#define TG_LESSOR_TIMEOUT_MS   200 /* credit bridges it; a busy machine must not look cut off */

typedef struct tg_lessor tg_lessor_t;

typedef struct tg_lessor_config {
    const char *address;  /* of Redis; "": none, each allowance is on its own from the start */
    const char *password; /* "": none */
    unsigned shares;      /* gateways that share the limits */
    tg_metrics_shard_t *shard;
} tg_lessor_config_t;

/* Connects in the background. */
TG_NODISCARD tg_status_t tg_lessor_open(tg_loop_t *loop, const tg_lessor_config_t *config,
                                        tg_lessor_t **out_lessor, tg_error_t *error);
void tg_lessor_close(tg_lessor_t *lessor); /* leases under way fail; NULL is allowed */

/* Asks for a block unless somebody does already. `tenant` and `name` are copied; the allowance must
 * live on until the lessor is closed; `rate` is copied. */
void tg_lessor_lease(tg_lessor_t *lessor, tg_str_t tenant, const char *name,
                     tg_allowance_t *allowance, const tg_limit_rate_t *rate);

unsigned tg_lessor_shares(const tg_lessor_t *lessor);
bool tg_lessor_connected(const tg_lessor_t *lessor);

#endif
