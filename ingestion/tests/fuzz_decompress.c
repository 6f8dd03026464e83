/* Any bytes as gzip or zstd: never beyond the limit, never a crash, and the same twice. */
#include "ingestion/body/decompress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tg_decompress_limits_t limits = {.max_bytes = (size_t)2 << 20, .max_ratio = 50};
    if (size == 0)
        return 0;
    tg_coding_t coding = data[0] % 2 == 0 ? TG_CODING_GZIP : TG_CODING_ZSTD;
    tg_str_t packed = {(const char *)data + 1, size - 1};
    tg_buf_t out = tg_buf_make(limits.max_bytes + 1);
    tg_error_t error = {0};
    tg_status_t status = tg_decompress(coding, packed, &limits, &out, &error);
    assert(status != TG_OK || out.len <= limits.max_bytes);
    assert(status == TG_OK || error.text[0] != '\0');
    tg_buf_dispose(&out);
    tg_coding_t read;
    (void)tg_coding_read(packed, &read);
    return 0;
}
