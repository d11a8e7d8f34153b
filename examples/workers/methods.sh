#!/bin/sh
# Serve it: rpcd serve -p 8089 -l 127.0.0.1 --worker 'sh methods.sh'. It needs jq.
while read -r call; do
  id=$(printf %s "$call" | jq .id)
  case $(printf %s "$call" | jq -r .method_name) in
    rpc.discover) res='[{"method_name":"uptime","method_args":[],"method_kwargs":{}},
                        {"method_name":"free_kib","method_args":[],"method_kwargs":{"path":"/"}}]' ;;
    uptime) res=$(cut -d ' ' -f 1 /proc/uptime) ;;
    free_kib) res=$(df -k "$(printf %s "$call" | jq -r '.method_args[0]')" | awk 'NR == 2 { print $4 }') ;;
    *) continue ;;
  esac
  printf '{"id":%s,"res":%s}\n' "$id" "$(printf %s "${res:-null}" | tr -d '\n')"
done
