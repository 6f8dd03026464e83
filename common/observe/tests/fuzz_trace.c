/* libFuzzer: what tg_trace_parse accepts is written back as its own first 55 bytes, version aside.
 */
#include <stdlib.h>

#include "common/observe/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_trace_t trace;
    char out[TG_TRACE_TEXT_LEN];
    if (tg_trace_parse((tg_str_t){(const char *)data, size}, &trace) != TG_OK)
        return 0;
    tg_trace_format(&trace, out);
    if (size < TG_TRACE_TEXT_LEN || memcmp(out + 2, data + 2, TG_TRACE_TEXT_LEN - 2) != 0)
        abort();
    return 0;
}
