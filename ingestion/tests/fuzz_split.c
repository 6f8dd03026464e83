/* Any bytes as a batch body: the items lie inside it, in order, and are never empty. */
#include "ingestion/body/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tg_status_t on_item(void *arg, tg_str_t item)
{
    tg_str_t *rest = arg;
    assert(item.len > 0);
    assert(item.ptr >= rest->ptr && item.ptr + item.len <= rest->ptr + rest->len);
    size_t used = (size_t)(item.ptr + item.len - rest->ptr);
    *rest = (tg_str_t){rest->ptr + used, rest->len - used};
    return TG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_str_t body = {(const char *)data, size}, rest = body;
    tg_error_t error;
    if (tg_split_array(body, on_item, &rest, &error) == TG_INVALID)
        assert(error.text[0] != '\0');
    rest = body;
    tg_status_t status = tg_split_lines(body, on_item, &rest);
    assert(status == TG_OK);
    return 0;
}
