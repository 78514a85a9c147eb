#!/bin/sh
# Sends one CloudEvent, structured mode, for each workspace named: ./send-cloudevent.sh acme ...
set -eu

event() { # workspace
  id="$(cat /proc/sys/kernel/random/uuid)"
  time="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '{"specversion":"1.0","type":"com.example.usage.v1","source":"/example/kcat","id":"%s",' "$id"
  printf '"time":"%s","subject":"nightly-report","partitionkey":"%s",' "$time" "$1"
  printf '"datacontenttype":"application/json","data":{"provider":"openai","model":"gpt-4o",'
  printf '"input_tokens":1200,"cache_read_tokens":1000,"output_tokens":350}}'
}

for workspace in "$@"; do
  printf '%s\t%s\n' "$workspace" "$(event "$workspace")"
done | kcat -P -b "$TOLLWAY_BROKERS" -t tollway.usage -K "$(printf '\t')" \
  -H "content-type=application/cloudevents+json; charset=UTF-8" \
  -X partitioner=murmur2_random -X enable.idempotence=true
