# shellcheck shell=bash
# A Redis of the stack's own: on loopback, in memory only. It holds what may be lost (live state,
# cache, leases of limits), so when memory is short it drops the least used keys.

redis_start() {
  launch redis redis-server --bind 127.0.0.1 --port "${PORT[redis]}" --daemonize no \
    --save '' --appendonly no --dir / --databases 1 \
    --maxmemory 256mb --maxmemory-policy allkeys-lru
  await 10000 redis port_open "${PORT[redis]}"
}
