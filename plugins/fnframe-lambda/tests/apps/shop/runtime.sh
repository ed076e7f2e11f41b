# A runtime in a shell: a loop over the Runtime API, with curl.
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers="$TMPDIR/headers.$$" event="$TMPDIR/event.$$" asks="$TMPDIR/asks.$$" count=0
while :; do
  : >"$asks"
  curl -sS -D "$headers" -o "$event" "$api/next" || exit 9
  id=$(sed -n 's/^lambda-runtime-aws-request-id: *\([^\r]*\).*/\1/ip' "$headers")
  count=$((count + 1))
  case "$1 $(head -c 100 "$event")" in
    *'"raise"'*) curl -sS -o /dev/null -d '{"errorType": "Shell.Error", "errorMessage": "no luck ü"}' "$api/$id/error"; continue ;;
    *'["exit"'*) exit "$(tr -cd 0-9 <"$event")" ;;
    *'["kill"'*) kill "-$(tr -cd 0-9 <"$event")" $$ ;;
    *'"sleep"'*) sleep 60 ;;
    *'"spin"'*) while :; do :; done ;;
    *'"count"'*) printf '[%s, "%s"]' $count "$AWS_LAMBDA_LOG_STREAM_NAME" >"$event" ;;
    *'["sized"'*) { printf '"'; head -c "$(tr -cd 0-9 <"$event")" /dev/zero | tr '\0' x; printf '"'; } >"$event.2"; mv "$event.2" "$event" ;;
    strays*) (sleep 0.01; echo stray) & sleep 0.05 ;;
    dies_idle*) rm "$asks"; (until [ -e "$asks" ]; do sleep 0.01; done; sleep 0.2; kill -9 $$) & ;;
    stubborn*)
      curl -sS -o "$TMPDIR/wrong" -w '%{http_code} ' -d 1 "$api/nonsense/response" >"$event"
      cat "$TMPDIR/wrong" >>"$event"
      curl -sS -o /dev/null --data-binary @"$event" "$api/$id/response"
      curl -sS -o "$TMPDIR/twice" -w 'twice: %{http_code} ' -d 1 "$api/$id/response"
      cat "$TMPDIR/twice"; echo
      continue ;;
  esac
  echo "got $(wc -c <"$event")"
  curl -sS -o /dev/null -H 'Content-Type: application/json' --data-binary @"$event" "$api/$id/response" || exit 9
done
