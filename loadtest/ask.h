/* What the load tools send, request by request: questions or events, each with the next of the
 * keys.
 *
 * Limits: TG_ASK_BATCH_MAX events in a request. Threads: one. */
#ifndef TG_ASK_H
#define TG_ASK_H

#include "common/base/config.h"
#include "loadtest/sample.h"

#define TG_ASK_BATCH_MAX   10000
#define TG_ASK_REQUEST_MAX ((size_t)TG_ASK_BATCH_MAX * TG_SAMPLE_MAX + 2048)

typedef struct tg_ask_settings {
    char *target, *key, *keys, *type, *get, *path, *user;
    uint64_t batch, bytes;
} tg_ask_settings_t;

// clang-format off
#define TG_ASK_OPTIONS(S, m)                                                                                                              \
    {"load.target", TG_OPT_STR, offsetof(S, m.target), "127.0.0.1:8080", 3, 64, "IPv4 address and port."},                                \
    {"load.key", TG_OPT_STR, offsetof(S, m.key), "none", 1, 256, "API key."},                                                             \
    {"load.keys", TG_OPT_STR, offsetof(S, m.keys), "", 0, 4096, "File with an API key on each line, sent in turn instead."},              \
    {"load.type", TG_OPT_STR, offsetof(S, m.type), "order", 1, 64, "Event type: order or stream."},                                       \
    {"load.get", TG_OPT_STR, offsetof(S, m.get), "", 0, 1024, "Ask for this path instead; {n} in it is another number from 1000 to 4999 each time."}, \
    {"load.path", TG_OPT_STR, offsetof(S, m.path), "", 0, 1024, "Send events to this path; empty: where their type or a batch belongs."}, \
    {"load.user", TG_OPT_STR, offsetof(S, m.user), "", 0, 512, "Authorization header to send instead of the API key, as \"Basic …\"."},   \
    {"load.batch", TG_OPT_UINT, offsetof(S, m.batch), "0", 0, TG_ASK_BATCH_MAX, "Events per request to /v2/events; 0: single events to /v1/events/TYPE."}, \
    {"load.bytes", TG_OPT_UINT, offsetof(S, m.bytes), "0", 0, TG_SAMPLE_MAX, "Pad a single event to so many bytes, with spaces behind it."}
// clang-format on

typedef struct tg_ask {
    const tg_ask_settings_t *settings;
    tg_sample_fn sample;
    uint64_t run;
    uint64_t requests, events; /* made so far */
    tg_buf_t body, text;       /* of one request; of all keys */
    tg_str_t *keys;
    size_t key_count;
} tg_ask_t;

/* False with a text for the user when there is no such type or no keys; dispose() in every case. */
bool tg_ask_init(tg_ask_t *ask, const tg_ask_settings_t *settings, const char **out_why);
void tg_ask_dispose(tg_ask_t *ask);

/* Writes the next request over what `out` holds. */
void tg_ask_write(tg_ask_t *ask, tg_buf_t *out);

#endif
