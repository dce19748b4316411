# Sourced by bootstrap.sh and devops.sh: how they read the settings, ask Azure and Azure DevOps, and say what they do.
# Sets $scratch, a folder that is gone at the end; a script sets $organization, $project and $dry_run (yes or no).
set -euo pipefail
readonly DEVOPS=499b84ac-1321-427f-aa17-267ca6975798 # Azure DevOps, as Entra knows it
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v cva >/dev/null || PATH=$PATH:$ROOT/.venv-azure/bin # `make azure` put it there
scratch=$(mktemp -d)

say() { printf '%s\n' "$*" >&2; }
fail() { # code, message, hint
  say "error: $2"
  [[ $# -lt 3 ]] || say "hint: $3"
  exit "$1"
}

need_tools() {
  local tool
  for tool in az python3 cva; do
    command -v "$tool" >/dev/null || fail 2 "$tool is not on the PATH" "install it; cva: make azure"
  done
}

# Values of settings, a line each: names.
settings_of() {
  local answer
  answer=$(cva --json settings show 2>"$scratch/said") ||
    fail 2 "the settings can't be read: $(cat "$scratch/said")" "correct variable_template.yml"
  python3 -S -c '
import json, sys
settings = json.loads(sys.stdin.read())
for name in sys.argv[1:]:
    print(settings[name])
' "$@" <<<"$answer"
}

# A command as a person would type it.
typed() {
  local word
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=@-]+$ ]]; then printf ' %s' "$word"; else printf ' %s' "${word@Q}"; fi
  done
}

# An az command that only reads; its answer on stdout.
ask() {
  [[ $dry_run == no ]] || say "reads:     az$(typed "$@")"
  az "$@" --only-show-errors
}

# An az command that makes something: what stands for its answer in a dry run, and the command.
make() {
  local placeholder=$1
  shift
  printf 'x' >>"$scratch/made"
  if [[ $dry_run == yes ]]; then
    say "would run: az$(typed "$@")"
    printf '%s\n' "$placeholder"
    return
  fi
  say "runs:      az$(typed "$@")"
  az "$@" --only-show-errors
}

# One call of Azure DevOps: ask, or make and a placeholder; method, path, more arguments of az rest.
devops() {
  local how=("$1") url
  shift
  if [[ ${how[0]} == make ]]; then how+=("$1") && shift; fi
  url=https://dev.azure.com/${organization// /%20}/$2
  "${how[@]}" rest --method "$1" --resource "$DEVOPS" --url "$url" "${@:3}"
}

# Entra takes a moment to know a new application everywhere, and a call may come too early.
leave() {
  [[ $1 == 0 || ${dry_run:-} == yes || ! -s $scratch/made ]] ||
    say "stopped; what was made stays, and the next run goes on from there: wait a minute, then run the same command again"
  rm -rf "$scratch"
}
trap 'leave $?' EXIT
