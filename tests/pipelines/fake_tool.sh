#!/bin/bash
# Stands in for cva, az and python: writes down how it was called and answers what the test says (fake_tools.py), in
# bash because a script calls it often. `az storage blob` works on a folder that stands for one container.
set -euo pipefail
call="${0##*/} $*"
mode=
if [[ -n ${CVA_SIGNING_KEY_FILE:-} ]]; then mode=$(stat -c %a "$CVA_SIGNING_KEY_FILE"); fi
printf '%s\t%s\t%s\n' "$call" "$mode" "${CVA_SIGNING_KEY_FILE:-}" >>"$FAKE_CALLS"
mapfile -t calls <"$FAKE_CALLS"
if ((${#calls[@]} == FAKE_FAIL_AT)); then
  echo "this call was told to fail" >&2
  exit 9
fi

# option NAME…: the value that follows it on the command line.
words=("$@")
option() {
  local i
  for i in "${!words[@]}"; do
    if [[ ${words[i]} == "$1" ]]; then printf '%s' "${words[i + 1]}"; fi
  done
}

for rule in "$FAKE_RULES"/*; do
  said=
  if [[ -d $rule ]]; then IFS= read -r said <"$rule/words" || true; fi # no newline at its end
  if [[ -n $said && $call == *"$said"* ]]; then
    if [[ -f $rule/run ]]; then exec "$(<"$rule/run")" "$@"; fi
    for file in "$rule"/writes/*; do
      if [[ -d $file ]]; then cp -r "$file/." "$(option "${file##*/}")"; fi
      if [[ -f $file ]]; then cp "$file" "$(option "${file##*/}")"; fi
    done
    cat "$rule/out"
    cat "$rule/err" >&2
    exit 0
  fi
done
if [[ $call != "az storage blob "* ]]; then exit 0; fi

if [[ $(option --auth-mode) != login ]]; then exit 8; fi
blob=$FAKE_BLOBS/$(option --name)
etag() { if [[ -f $blob ]]; then sha256sum <"$blob"; fi; }
case $3 in
  exists) if [[ -f $blob ]]; then echo true; else echo false; fi ;;
  show) etag ;;
  download)
    if [[ $(option --if-match) != "$(etag)" ]]; then exit 3; fi
    cp "$blob" "$(option --file)"
    ;;
  download-batch)
    pattern=$(option --pattern)
    folder=$(option --destination)/${pattern%/\*}
    mkdir -p "$folder"
    cp -r "$FAKE_BLOBS/${pattern%/\*}/." "$folder"
    ;;
  upload-batch)
    folder=$FAKE_BLOBS/$(option --destination-path)
    mkdir -p "$folder"
    cp -r "$(option --source)/." "$folder"
    ;;
  upload)
    if [[ $(option --if-match) != "$(etag)" ]]; then exit 3; fi
    cp "$(option --file)" "$blob"
    ;;
  *) exit 7 ;;
esac
