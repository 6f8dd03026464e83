/* Any bytes go through the key parser; what it accepts must have a well-formed id and survive every
 * single changed byte as a refusal (the checksum's purpose). */
#include "common/auth/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tg_key_t key;
    if (tg_key_parse((tg_str_t){(const char *)data, size}, &key) != TG_OK)
        return 0;
    assert(size == TG_KEY_LEN);
    assert(tg_key_id_ok(tg_str_from(key.id)));

    char changed[TG_KEY_LEN];
    memcpy(changed, data, TG_KEY_LEN);
    for (size_t i = 0; i < TG_KEY_LEN; i++) {
        changed[i] = (char)(changed[i] ^ 1);
        assert(tg_key_parse((tg_str_t){changed, TG_KEY_LEN}, &key) == TG_INVALID);
        changed[i] = (char)(changed[i] ^ 1);
    }
    return 0;
}
