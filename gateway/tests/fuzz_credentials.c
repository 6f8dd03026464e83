/* libFuzzer: any two header values through tg_auth_extract and tg_key_parse. */
#include "common/auth/key.h"
#include "gateway/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t split = data[0] < size - 1 ? data[0] : size - 1;
    const char *text = (const char *)data + 1;
    tg_credentials_t credentials = {{text, split}, {text + split, size - 1 - split}};
    char buffer[TG_AUTH_TEXT_MAX];
    tg_str_t key;
    tg_key_t parsed;

    if (tg_auth_extract(&credentials, buffer, &key) == TG_OK && tg_key_parse(key, &parsed) == TG_OK)
        assert(key.len == TG_KEY_LEN);
    return 0;
}
