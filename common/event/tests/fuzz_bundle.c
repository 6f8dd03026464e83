/* Any bytes as a bundle, and as an answer to one: views stay within them, and what was read is
 * written back as it was. */
#include <stdlib.h>

#include "common/event/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void events(tg_str_t rest, tg_buf_t *back)
{
    tg_bundle_event_t event;
    while (rest.len > 0) {
        tg_str_t before = rest;
        if (tg_bundle_take_event(&rest, &event) != TG_OK)
            return;
        assert(rest.ptr + rest.len == before.ptr + before.len);
        if (event.idempotency_key.len > TG_BUNDLE_KEY_MAX || event.body.len > TG_BUNDLE_BODY_MAX)
            return;
        tg_buf_clear(back);
        tg_bundle_put_event(&event, back);
        assert(back->len == before.len - rest.len);
        assert(back->len == tg_bundle_event_size(&event));
    }
}

static void outcomes(tg_str_t rest, tg_buf_t *back)
{
    tg_bundle_outcome_t outcome;
    while (rest.len > 0) {
        tg_str_t before = rest;
        if (tg_bundle_take_outcome(&rest, &outcome) != TG_OK)
            return;
        tg_buf_clear(back);
        tg_bundle_put_outcome(&outcome, back);
        assert(back->len == before.len - rest.len);
        assert(memcmp(back->data, before.ptr, back->len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_buf_t back = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    tg_str_t bytes = {(const char *)data, size};
    if (size > 0 && size < TG_BUNDLE_BYTES_MAX) {
        events(bytes, &back);
        outcomes(bytes, &back);
    }
    tg_buf_dispose(&back);
    return 0;
}
