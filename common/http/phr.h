/* The part of picohttpparser's binary interface that libh2o 2.2.5 exports without a header.
 *
 * Threads: any. */
#ifndef TG_HTTP_PHR_H
#define TG_HTTP_PHR_H

#include <stddef.h>
#include <sys/types.h>

struct phr_header {
    const char *name; /* NULL for a folded line */
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char hex_count;
    char state;
};

/* Bytes of the head, -2 when it is not complete, -1 when it is malformed. `headers` has room for
 * *num_headers; `last_len` is the length at the previous call on the same bytes. */
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len);
int phr_parse_response(const char *buf, size_t len, int *minor_version, int *status,
                       const char **msg, size_t *msg_len, struct phr_header *headers,
                       size_t *num_headers, size_t last_len);

/* Decodes in place: bytes left over behind the end, -2 when more is needed, -1 when malformed. */
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);

#endif
