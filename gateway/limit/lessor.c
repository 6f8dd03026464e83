/* lease -> EVALSHA (EVAL where the server has forgotten the script) -> granted or failed. */
#include "gateway/limit/lessor.h"

#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/redis/client.h"
#include "gateway/metrics.h"

#define KEY_MAX    192
#define VALUES     7  /* of ARGV */
#define NUMBER_MAX 24 /* bytes of a decimal int64 */
#define SHA1_LEN   20

/* KEYS: the bucket. ARGV: units per period, µs of the period (0: never refilled), burst, want,
 * owed, joining, gateways. Answers {granted, left}. Lua's numbers are doubles, and its tostring
 * rounds to 14 digits, hence the formats.
 *
 * What a gateway spent alone came out of tokens that ran over meanwhile, if Redis was away for all:
 * those that ran over within the last 15 seconds (l, since lt) pay for it first, as the gateways
 * come back one after the other, within the 5 s after which a client connects again at the latest.
 * Of a bucket that is gone nobody knows; the first to come back speaks for the others. */
static const char script[] =
    "local t = redis.call('TIME') "
    "local now = t[1] * 1000000 + t[2] "
    "local units, period, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) "
    "local want, owed, joining = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1' "
    "local had = redis.call('HMGET', KEYS[1], 'n', 't', 'l', 'lt') "
    "local n, l, lt = joining and 0 or burst, joining and owed * ARGV[7] or 0, now "
    "if had[1] then "
    "  n, l, lt = tonumber(had[1]), tonumber(had[3]), tonumber(had[4]) "
    "  if period > 0 then n = n + math.max(0, now - tonumber(had[2])) * units / period end "
    "end "
    "if now - lt > 15000000 or now < lt then l, lt = 0, now end "
    "if n > burst then l, n = l + n - burst, burst end "
    "if joining and owed > 0 then "
    "  local free = math.min(l, owed) "
    "  l, owed = l - free, owed - free "
    "end "
    "n = math.min(burst, n - owed) "
    "local granted = math.max(0, math.min(want, math.floor(n))) "
    "n = n - granted "
    "redis.call('HSET', KEYS[1], 'n', string.format('%.6f', n), 't', string.format('%.0f', now), "
    "  'l', string.format('%.6f', l), 'lt', string.format('%.0f', lt)) "
    "local full = 172800000 "
    "if period > 0 then full = (burst - n) * period / units / 1000 + 10000 end "
    "redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(full, 172800000))) "
    "return {granted, math.floor(n)}";

struct tg_lessor {
    tg_lessor_config_t config;
    tg_redis_t *redis;      /* NULL: none configured */
    char sha[2 * SHA1_LEN]; /* by which Redis knows the script */
};

struct waiting {
    tg_lessor_t *lessor;
    tg_allowance_t *allowance;
    tg_limit_rate_t rate;
    tg_lease_t lease;
    bool whole; /* the script was sent as text */
    char key[KEY_MAX];
};

static int64_t now_ns(void)
{
    return (int64_t)tg_time_mono_us() * 1000;
}

static void finish(struct waiting *w, unsigned result, int64_t granted, int64_t left)
{
    if (result == GW_LEASE_FAILED)
        tg_allowance_lease_failed(w->allowance, &w->rate, w->lessor->config.shares, &w->lease,
                                  now_ns());
    else
        tg_allowance_lease_granted(w->allowance, &w->rate, w->lessor->config.shares, &w->lease,
                                   granted, left, now_ns());
    tg_metric_add(w->lessor->config.shard, GW_LEASES, result, 1);
    free(w);
}

static bool is_grant(const struct redisReply *reply, const tg_lease_t *lease)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_INTEGER &&
           reply->element[1]->type == REDIS_REPLY_INTEGER && reply->element[0]->integer >= 0 &&
           reply->element[0]->integer <= lease->want;
}

static void send_lease(struct waiting *w);

static void on_reply(void *arg, tg_status_t status, const struct redisReply *reply)
{
    struct waiting *w = arg;
    bool forgotten = status == TG_INTERNAL && reply != NULL && reply->str != NULL &&
                     strncmp(reply->str, "NOSCRIPT", 8) == 0;

    if (forgotten && !w->whole) {
        w->whole = true;
        send_lease(w);
    } else if (status != TG_OK || !is_grant(reply, &w->lease)) {
        finish(w, GW_LEASE_FAILED, 0, 0);
    } else {
        int64_t granted = reply->element[0]->integer;
        finish(w,
               granted == w->lease.want ? GW_LEASE_WHOLE
               : granted > 0            ? GW_LEASE_PART
                                        : GW_LEASE_NOTHING,
               granted, reply->element[1]->integer);
    }
}

static void send_lease(struct waiting *w)
{
    const tg_limit_rate_t *rate = &w->rate;
    bool quota = rate->period_s != 1;
    const int64_t values[VALUES] = {
        rate->units,
        quota ? 0 : rate->period_s * TG_US_PER_SECOND,
        rate->burst,
        w->lease.want,
        w->lease.owed,
        w->lease.joining ? 1 : 0,
        w->lessor->config.shares,
    };
    char digits[VALUES][NUMBER_MAX];
    tg_str_t argv[4 + VALUES] = {
        w->whole ? TG_STR("EVAL") : TG_STR("EVALSHA"),
        w->whole ? TG_STR(script) : (tg_str_t){w->lessor->sha, sizeof(w->lessor->sha)},
        TG_STR("1"),
        tg_str_from(w->key),
    };
    for (size_t i = 0; i < VALUES; i++) {
        int len = snprintf(digits[i], NUMBER_MAX, "%lld", (long long)values[i]);
        argv[4 + i] = (tg_str_t){digits[i], (size_t)len};
    }
    if (tg_redis_command(w->lessor->redis, argv, TG_ARRAY_LEN(argv), TG_LESSOR_TIMEOUT_MS, on_reply,
                         w) == NULL)
        finish(w, GW_LEASE_FAILED, 0, 0);
}

/* The bucket's key; a quota has one for each day in UTC. */
static bool write_key(char out[KEY_MAX], tg_str_t tenant, const char *name, bool quota)
{
    char day[16] = "";
    if (quota)
        (void)snprintf(day, sizeof(day), ":%lld", (long long)(tg_time_now() / TG_US_PER_DAY));
    int len =
        snprintf(out, KEY_MAX, "tg:{" TG_STR_FMT "}:limit:%s%s", TG_STR_ARG(tenant), name, day);
    return len > 0 && len < KEY_MAX;
}

void tg_lessor_lease(tg_lessor_t *lessor, tg_str_t tenant, const char *name,
                     tg_allowance_t *allowance, const tg_limit_rate_t *rate)
{
    tg_lease_t lease;
    if (!tg_allowance_lease_begin(allowance, rate, now_ns(), &lease))
        return;
    struct waiting *w = malloc(sizeof(*w));
    if (w == NULL || lessor->redis == NULL ||
        !write_key(w->key, tenant, name, rate->period_s != 1)) {
        free(w);
        tg_allowance_lease_failed(allowance, rate, lessor->config.shares, &lease, now_ns());
        return;
    }
    w->lessor = lessor;
    w->allowance = allowance;
    w->rate = *rate;
    w->lease = lease;
    w->whole = false;
    send_lease(w);
}

tg_status_t tg_lessor_open(tg_loop_t *loop, const tg_lessor_config_t *config,
                           tg_lessor_t **out_lessor, tg_error_t *error)
{
    assert(config->shares >= 1);
    uint8_t digest[SHA1_LEN];
    tg_redis_config_t redis = {
        .address = config->address,
        .password = config->password,
        .max_inflight = TG_LESSOR_INFLIGHT_MAX,
        .connect_timeout_ms = 1000,
        .breaker = {5, 50, 20, 10000, 1000, 5000, 1},
    };
    tg_lessor_t *lessor = calloc(1, sizeof(*lessor));
    if (lessor == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    lessor->config = *config;
    if (EVP_Digest(script, sizeof(script) - 1, digest, NULL, EVP_sha1(), NULL) != 1) {
        free(lessor);
        return tg_error_set(error, TG_INTERNAL,
                            "OpenSSL has no SHA-1, by which Redis names scripts");
    }
    tg_hash_hex(digest, SHA1_LEN, lessor->sha);
    tg_status_t status =
        config->address[0] == '\0' ? TG_OK : tg_redis_open(loop, &redis, &lessor->redis, error);
    if (status != TG_OK) {
        free(lessor);
        return status;
    }
    *out_lessor = lessor;
    return TG_OK;
}

void tg_lessor_close(tg_lessor_t *lessor)
{
    if (lessor == NULL)
        return;
    tg_redis_close(lessor->redis);
    free(lessor);
}

unsigned tg_lessor_shares(const tg_lessor_t *lessor)
{
    return lessor->config.shares;
}

bool tg_lessor_connected(const tg_lessor_t *lessor)
{
    tg_redis_stats_t stats = {0};
    if (lessor->redis != NULL)
        tg_redis_get_stats(lessor->redis, &stats);
    return stats.connected;
}
