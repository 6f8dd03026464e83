/* Sums are 128-bit counts of millionths: exact for any number of events. */
#include "loadtest/simulator/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/table.h"
#include "common/base/time.h"
#include "loadtest/simulator/generator.h"

#define SUMS_MAX    4096
#define KEY_MAX     600                /* bytes of a type, NUL and a kind */
#define PENDING_MAX ((size_t)64 << 20) /* bytes of lines not written yet */
#define OTHER       "~other"
#define MILLION     1000000

struct sum {
    uint64_t count;
    __int128 total;      /* millionths */
    tg_str_t type, kind; /* of its own key */
    size_t key_len;
    char key[]; /* type, NUL, kind */
};

struct tg_ledger {
    int fd; /* -1: none */
    tg_buf_t key_part;
    tg_buf_t lines;
    tg_table_t *sums;
    tg_ledger_counts_t counts;
};

/* --- life --- */

tg_status_t tg_ledger_open(const char *path, const char *key_id, tg_ledger_t **out_ledger,
                           tg_error_t *error)
{
    assert(path != NULL && key_id != NULL && out_ledger != NULL);
    tg_ledger_t *ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    ledger->fd = -1;
    ledger->lines = tg_buf_make(PENDING_MAX);
    ledger->key_part = tg_buf_make(1024);
    tg_buf_str(&ledger->key_part, TG_STR(",\"key\":"));
    tg_buf_json_string(&ledger->key_part, tg_str_from(key_id));
    tg_buf_str(&ledger->key_part, TG_STR("}\n"));
    ledger->sums = tg_table_create(SUMS_MAX + 1, free);
    tg_status_t status = TG_OK;
    if (ledger->sums == NULL || ledger->key_part.failed)
        status = tg_error_set(error, TG_NOMEM, "out of memory");
    if (status == TG_OK && path[0] != '\0') {
        ledger->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (ledger->fd < 0)
            status = tg_error_set(error, TG_UNAVAILABLE, "cannot write the ledger %s: %s", path,
                                  strerror(errno));
    }
    if (status != TG_OK) {
        tg_ledger_close(ledger);
        return status;
    }
    *out_ledger = ledger;
    return TG_OK;
}

void tg_ledger_close(tg_ledger_t *ledger)
{
    if (ledger == NULL)
        return;
    if (ledger->fd >= 0)
        (void)close(ledger->fd);
    tg_table_destroy(ledger->sums);
    tg_buf_dispose(&ledger->key_part);
    tg_buf_dispose(&ledger->lines);
    free(ledger);
}

/* --- sums --- */

static size_t sum_key(tg_str_t type, tg_str_t kind, char out[KEY_MAX])
{
    assert(type.len + kind.len < KEY_MAX);
    memcpy(out, type.ptr, type.len);
    out[type.len] = '\0';
    if (kind.len > 0)
        memcpy(out + type.len + 1, kind.ptr, kind.len);
    return type.len + 1 + kind.len;
}

static struct sum *sum_add(tg_ledger_t *ledger, tg_str_t key, size_t type_len)
{
    struct sum *sum = calloc(1, sizeof(*sum) + key.len);
    if (sum == NULL)
        return NULL;
    memcpy(sum->key, key.ptr, key.len);
    sum->key_len = key.len;
    sum->type = (tg_str_t){sum->key, type_len};
    sum->kind = (tg_str_t){sum->key + type_len + 1, key.len - type_len - 1};
    if (tg_table_put(ledger->sums, key, sum) == TG_OK)
        return sum;
    free(sum);
    return NULL;
}

/* NULL only when out of memory. */
static struct sum *sum_of(tg_ledger_t *ledger, tg_str_t type, tg_str_t kind)
{
    char bytes[KEY_MAX];
    bool fits = type.len + kind.len < KEY_MAX;
    if (fits) {
        tg_str_t key = {bytes, sum_key(type, kind, bytes)};
        struct sum *sum = tg_table_get(ledger->sums, key);
        if (sum != NULL)
            return sum;
        if (tg_table_len(ledger->sums) < SUMS_MAX)
            return sum_add(ledger, key, type.len);
    }
    tg_str_t key = {bytes, sum_key(TG_STR(OTHER), TG_STR(OTHER), bytes)};
    struct sum *sum = tg_table_get(ledger->sums, key);
    return sum != NULL ? sum : sum_add(ledger, key, strlen(OTHER));
}

static void put_total(tg_buf_t *out, __int128 total)
{
    unsigned __int128 size = total < 0 ? -(unsigned __int128)total : (unsigned __int128)total;
    char digits[48];
    size_t len = 0;
    for (unsigned __int128 whole = size / MILLION; len == 0 || whole > 0; whole /= 10)
        digits[len++] = (char)('0' + (int)(whole % 10));
    if (total < 0)
        tg_buf_byte(out, '-');
    while (len > 0)
        tg_buf_byte(out, digits[--len]);
    unsigned rest = (unsigned)(size % MILLION);
    if (rest > 0)
        tg_buf_byte(out, '.');
    for (unsigned weight = MILLION / 10; rest > 0; weight /= 10) {
        tg_buf_byte(out, (char)('0' + rest / weight));
        rest %= weight;
    }
}

static int compare_sums(const void *a, const void *b)
{
    const struct sum *const *left = a, *const *right = b;
    return tg_str_cmp((tg_str_t){(*left)->key, (*left)->key_len},
                      (tg_str_t){(*right)->key, (*right)->key_len});
}

void tg_ledger_write_sums(const tg_ledger_t *ledger, tg_buf_t *out)
{
    size_t count = 0, cursor = 0;
    void *value = NULL;
    struct sum **sums = calloc(tg_table_len(ledger->sums) + 1, sizeof(struct sum *));
    if (sums == NULL) {
        out->failed = true;
        return;
    }
    while (tg_table_next(ledger->sums, &cursor, NULL, &value))
        sums[count++] = value;
    qsort(sums, count, sizeof(void *), compare_sums);
    tg_buf_str(out, TG_STR("\"acknowledged\":{"));
    for (size_t i = 0; i < count; i++) {
        bool same_type = i > 0 && tg_str_eq(sums[i]->type, sums[i - 1]->type);
        if (!same_type) {
            tg_buf_str(out, i == 0 ? TG_STR("") : TG_STR("},"));
            tg_buf_json_string(out, sums[i]->type);
        }
        tg_buf_str(out, same_type ? TG_STR(",") : TG_STR(":{"));
        tg_buf_json_string(out, sums[i]->kind);
        tg_buf_printf(out, ":{\"count\":%llu,\"sum\":\"", (unsigned long long)sums[i]->count);
        put_total(out, sums[i]->total);
        tg_buf_str(out, TG_STR("\"}"));
    }
    tg_buf_str(out, count == 0 ? TG_STR("}") : TG_STR("}}"));
    free(sums);
}

/* --- lines --- */

static void put_member(tg_buf_t *out, tg_str_t name, tg_str_t text)
{
    tg_buf_str(out, name);
    tg_buf_json_string(out, text);
}

static void put_time(tg_buf_t *out, int64_t us)
{
    char text[TG_TIME_TEXT_MAX];
    tg_buf_str(out, TG_STR(",\"occurred_at\":"));
    if (us == INT64_MIN) {
        tg_buf_str(out, TG_STR("null"));
        return;
    }
    tg_buf_byte(out, '"');
    size_t len = tg_time_format(us, text);
    tg_buf_append(out, text, len);
    tg_buf_byte(out, '"');
}

void tg_ledger_acknowledged(tg_ledger_t *ledger, const tg_ledger_entry_t *entry)
{
    struct sum *sum = sum_of(ledger, entry->type, entry->kind);
    ledger->counts.acknowledged++;
    if (sum != NULL) {
        sum->count++;
        sum->total += entry->has_value ? entry->value : 0;
    }
    if (ledger->fd < 0)
        return;
    tg_buf_t *out = &ledger->lines;
    put_member(out, TG_STR("{\"type\":"), entry->type);
    put_member(out, TG_STR(",\"event_id\":"), entry->event_id);
    put_time(out, entry->occurred_at);
    put_member(out, TG_STR(",\"kind\":"), entry->kind);
    put_member(out, TG_STR(",\"entity\":"), entry->entity);
    tg_buf_str(out, TG_STR(",\"value\":"));
    if (entry->has_value)
        tg_sim_put_value(out, entry->value);
    else
        tg_buf_str(out, TG_STR("null"));
    tg_buf_str(out, tg_buf_view(&ledger->key_part));
}

void tg_ledger_failed(tg_ledger_t *ledger, tg_ledger_outcome_t outcome, const char *reason,
                      const tg_ledger_entry_t *entry)
{
    bool given_up = outcome == TG_LEDGER_GIVEN_UP;
    ledger->counts.given_up += given_up;
    ledger->counts.refused += !given_up;
    if (ledger->fd < 0)
        return;
    tg_buf_t *out = &ledger->lines;
    put_member(out, given_up ? TG_STR("{\"given_up\":") : TG_STR("{\"refused\":"),
               tg_str_from(reason));
    put_member(out, TG_STR(",\"type\":"), entry->type);
    put_time(out, entry->occurred_at);
    tg_buf_str(out, TG_STR(",\"event\":"));
    tg_buf_str(out, entry->event);
    tg_buf_str(out, tg_buf_view(&ledger->key_part));
}

tg_status_t tg_ledger_flush(tg_ledger_t *ledger)
{
    size_t written = 0;
    bool complete = !ledger->lines.failed;
    while (written < ledger->lines.len) {
        ssize_t n = write(ledger->fd, ledger->lines.data + written, ledger->lines.len - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return TG_UNAVAILABLE;
        written += (size_t)n;
    }
    tg_buf_clear(&ledger->lines);
    return complete ? TG_OK : TG_UNAVAILABLE;
}

tg_ledger_counts_t tg_ledger_counts(const tg_ledger_t *ledger)
{
    return ledger->counts;
}
