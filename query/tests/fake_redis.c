/* One poll loop over all connections; hiredis' own parser reads the commands. Trouble with the
 * test's own machine ends the test. */
#include "query/tests/fake_redis.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 8
#define WAIT_S          10

struct connection {
    int fd;
    redisReader *reader;
};

struct fake_redis {
    int listen_fd, stop_fd;
    char address[32];
    pthread_t thread;
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;

    pthread_mutex_t mutex; /* guards what follows; `changed` is signalled with it */
    pthread_cond_t changed;
    bool mute;
    fake_redis_entry_t entries[FAKE_REDIS_ENTRIES_MAX];
    size_t entry_count, set_count;
    size_t newest;
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void say(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the client has gone */
        bytes += n;
        len -= (size_t)n;
    }
}

static fake_redis_entry_t *find(fake_redis_t *redis, const char *key)
{
    for (size_t i = 0; i < redis->entry_count; i++) {
        if (strcmp(redis->entries[i].key, key) == 0)
            return &redis->entries[i];
    }
    return NULL;
}

static void answer_get(fake_redis_t *redis, int fd, const char *key)
{
    char head[32];
    const fake_redis_entry_t *entry = find(redis, key);
    if (redis->mute)
        return;
    if (entry == NULL) {
        say(fd, "$-1\r\n", 5);
        return;
    }
    int len = snprintf(head, sizeof(head), "$%zu\r\n", entry->len);
    say(fd, head, (size_t)len);
    say(fd, entry->value, entry->len);
    say(fd, "\r\n", 2);
}

static void answer_left(fake_redis_t *redis, int fd, const char *key)
{
    char text[32];
    const fake_redis_entry_t *entry = find(redis, key);
    if (redis->mute)
        return;
    int len =
        snprintf(text, sizeof(text), ":%lld\r\n", entry == NULL ? -2LL : (long long)entry->ttl_ms);
    say(fd, text, (size_t)len);
}

static void set_value(fake_redis_entry_t *entry, const char *bytes, size_t len)
{
    free(entry->value);
    entry->value = malloc(len + 1);
    must(entry->value != NULL);
    memcpy(entry->value, bytes, len);
    entry->len = len;
}

static void take_set(fake_redis_t *redis, int fd, redisReply *const *words)
{
    fake_redis_entry_t *entry = find(redis, words[1]->str);
    if (entry == NULL) {
        must(redis->entry_count < FAKE_REDIS_ENTRIES_MAX);
        entry = &redis->entries[redis->entry_count++];
        entry->key = strdup(words[1]->str);
    }
    set_value(entry, words[2]->str, (size_t)words[2]->len);
    must(strcasecmp(words[3]->str, "PX") == 0);
    entry->ttl_ms = strtoull(words[4]->str, NULL, 10);
    redis->set_count++;
    redis->newest = (size_t)(entry - redis->entries);
    pthread_cond_broadcast(&redis->changed);
    say(fd, "+OK\r\n", 5);
}

static void obey(fake_redis_t *redis, int fd, const redisReply *command)
{
    must(command->type == REDIS_REPLY_ARRAY && command->elements >= 1);
    redisReply *const *words = command->element;
    pthread_mutex_lock(&redis->mutex);
    if (strcasecmp(words[0]->str, "PING") == 0)
        say(fd, "+PONG\r\n", 7);
    else if (strcasecmp(words[0]->str, "GET") == 0 && command->elements == 2)
        answer_get(redis, fd, words[1]->str);
    else if (strcasecmp(words[0]->str, "PTTL") == 0 && command->elements == 2)
        answer_left(redis, fd, words[1]->str);
    else if (strcasecmp(words[0]->str, "SET") == 0 && command->elements == 5)
        take_set(redis, fd, words);
    else
        must(false);
    pthread_mutex_unlock(&redis->mutex);
}

/* false when the client has gone. */
static bool read_commands(fake_redis_t *redis, struct connection *connection)
{
    char bytes[16384];
    ssize_t n = recv(connection->fd, bytes, sizeof(bytes), 0);
    if (n <= 0)
        return false;
    must(redisReaderFeed(connection->reader, bytes, (size_t)n) == REDIS_OK);
    void *command = NULL;
    while (redisReaderGetReply(connection->reader, &command) == REDIS_OK && command != NULL) {
        obey(redis, connection->fd, command);
        freeReplyObject(command);
    }
    return true;
}

static void drop(fake_redis_t *redis, size_t index)
{
    close(redis->connections[index].fd);
    redisReaderFree(redis->connections[index].reader);
    redis->connections[index] = redis->connections[--redis->connection_count];
}

static void accept_one(fake_redis_t *redis)
{
    int fd = accept(redis->listen_fd, NULL, NULL);
    must(fd >= 0 && redis->connection_count < CONNECTIONS_MAX);
    redis->connections[redis->connection_count++] =
        (struct connection){.fd = fd, .reader = redisReaderCreate()};
}

static void *fake_main(void *arg)
{
    fake_redis_t *redis = arg;
    for (;;) {
        struct pollfd waits[2 + CONNECTIONS_MAX] = {{.fd = redis->stop_fd, .events = POLLIN},
                                                    {.fd = redis->listen_fd, .events = POLLIN}};
        size_t count = redis->connection_count;
        for (size_t i = 0; i < count; i++)
            waits[2 + i] = (struct pollfd){.fd = redis->connections[i].fd, .events = POLLIN};
        must(poll(waits, 2 + count, -1) > 0);
        if (waits[0].revents != 0)
            break;
        for (size_t i = count; i > 0; i--) { /* backwards: the last takes a dropped one's place */
            if (waits[1 + i].revents != 0 && !read_commands(redis, &redis->connections[i - 1]))
                drop(redis, i - 1);
        }
        if (waits[1].revents != 0)
            accept_one(redis);
    }
    while (redis->connection_count > 0)
        drop(redis, 0);
    return NULL;
}

fake_redis_t *fake_redis_start(void)
{
    fake_redis_t *redis = calloc(1, sizeof(*redis));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    must(redis != NULL);
    redis->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    redis->stop_fd = eventfd(0, EFD_CLOEXEC);
    must(bind(redis->listen_fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    must(listen(redis->listen_fd, CONNECTIONS_MAX) == 0);
    must(getsockname(redis->listen_fd, (struct sockaddr *)&at, &len) == 0);
    (void)snprintf(redis->address, sizeof(redis->address), "127.0.0.1:%u", ntohs(at.sin_port));
    pthread_mutex_init(&redis->mutex, NULL);
    pthread_cond_init(&redis->changed, NULL);
    must(pthread_create(&redis->thread, NULL, fake_main, redis) == 0);
    return redis;
}

void fake_redis_stop(fake_redis_t *redis)
{
    if (redis == NULL)
        return;
    must(eventfd_write(redis->stop_fd, 1) == 0);
    pthread_join(redis->thread, NULL);
    close(redis->listen_fd);
    close(redis->stop_fd);
    for (size_t i = 0; i < redis->entry_count; i++) {
        free(redis->entries[i].key);
        free(redis->entries[i].value);
    }
    pthread_mutex_destroy(&redis->mutex);
    pthread_cond_destroy(&redis->changed);
    free(redis);
}

const char *fake_redis_address(const fake_redis_t *redis)
{
    return redis->address;
}

void fake_redis_mute(fake_redis_t *redis, bool mute)
{
    pthread_mutex_lock(&redis->mutex);
    redis->mute = mute;
    pthread_mutex_unlock(&redis->mutex);
}

const fake_redis_entry_t *fake_redis_wait(fake_redis_t *redis, size_t count)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    int code = 0;
    pthread_mutex_lock(&redis->mutex);
    while (redis->set_count < count && code == 0)
        code = pthread_cond_timedwait(&redis->changed, &redis->mutex, &end);
    const fake_redis_entry_t *entry =
        redis->set_count == count ? &redis->entries[redis->newest] : NULL;
    pthread_mutex_unlock(&redis->mutex);
    return entry;
}

void fake_redis_put(fake_redis_t *redis, const fake_redis_entry_t *entry, tg_str_t value)
{
    pthread_mutex_lock(&redis->mutex);
    set_value(&redis->entries[entry - redis->entries], value.ptr, value.len);
    pthread_mutex_unlock(&redis->mutex);
}

void fake_redis_age(fake_redis_t *redis, const fake_redis_entry_t *entry, uint64_t left_ms)
{
    pthread_mutex_lock(&redis->mutex);
    redis->entries[entry - redis->entries].ttl_ms = left_ms;
    pthread_mutex_unlock(&redis->mutex);
}
