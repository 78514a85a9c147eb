#!/bin/sh
# Sends one usage event for each workspace named: TOLLWAY_BROKERS=host:port ./send.sh acme ...
set -eu

event() { # workspace
  id="$(cat /proc/sys/kernel/random/uuid)"
  time="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '{"source":"example-kcat","id":"%s","time":"%s",' "$id" "$time"
  printf '"workspace":"%s","agent":"nightly-report","provider":"openai","model":"gpt-4o",' "$1"
  # input_tokens holds the 1000 that came from the cache.
  printf '"input_tokens":1200,"cache_read_tokens":1000,"output_tokens":350}'
}

# A tab parts key and value. Without the partitioner, librdkafka's own (CRC32) would be used.
for workspace in "$@"; do
  printf '%s\t%s\n' "$workspace" "$(event "$workspace")"
done | kcat -P -b "$TOLLWAY_BROKERS" -t tollway.usage -K "$(printf '\t')" \
  -X partitioner=murmur2_random -X enable.idempotence=true
