#!/bin/sh
# A client of Later with no code at all: creates an instance, follows all changes, comes back when the
# server goes away, and aborts the instance once it has heard of one that is called "go-on".
#
#   sh client.sh 127.0.0.1:9081
#
# GRPCURL is the program, grpcurl unless it is said. No descriptors are needed: the server has them.
set -u
address=$1
service=later.v1.InstanceService
token=

grpc() { # METHOD REQUEST
  "${GRPCURL:-grpcurl}" -plaintext -d "$2" "$address" "$service/$1"
}

field() { # NAME LINE: the text of a field of pretty-printed JSON, nothing on any other line
  printf '%s\n' "$2" | sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p"
}

# A create carries an id: sent twice it is still one instance.
grpc CreateInstance '{"id": "from-sh", "task": "echo", "json": {"message": "hello"}, "delay": "3600s"}' \
  >/dev/null || exit 1

# The lines of a stream go through a pipe that has a name, so that the loop is not in a shell of its own.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/stream" || exit 1

while :; do
  grpc WatchInstances "{\"resume_token\": \"$token\"}" >"$folder/stream" 2>/dev/null &
  watch=$!
  while IFS= read -r line; do
    id=$(field id "$line")
    state=$(field state "$line")
    resume=$(field resume_token "$line")
    [ -n "$id" ] && current=$id
    [ -n "$resume" ] && [ -z "$token" ] && echo watching
    [ -n "$resume" ] && token=$resume
    if [ -n "$state" ]; then
      echo "$current $state"
      if [ "$current $state" = "go-on STATE_PENDING" ]; then
        grpc AbortInstance '{"id": "from-sh"}' >/dev/null || exit 1
      elif [ "$current $state" = "from-sh STATE_ABORTED" ]; then
        kill "$watch"
        exit 0
      fi
    fi
  done <"$folder/stream"
  echo broken
  sleep 0.5
done
