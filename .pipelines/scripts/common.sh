# Sourced by the scripts beside it: strict bash, the repository's root, usage, and how Azure Pipelines is spoken to.
# At home the same scripts only run commands and leave their files in $OUT (build/pipeline).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
command -v cva >/dev/null || PATH=$PATH:$PWD/.venv-azure/bin # at home: `make azure` put it there
OUT=${OUT:-${BUILD_ARTIFACTSTAGINGDIRECTORY:-$PWD/build/pipeline}}
mkdir -p "$OUT"

# The comment at the top of the script that was called.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$HERE/$(basename "$0")"; }

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  usage
  exit 0
fi

# need NAME…: each is set and not empty, or the usage and exit code 2.
need() {
  local name
  for name in "$@"; do
    if [[ -z ${!name:-} ]]; then
      printf '%s is not set\n\n%s\n' "$name" "$(usage)" >&2
      exit 2
    fi
  done
}

# Azure Pipelines obeys lines that hold ##vso[…]. Only `vso` prints them; other people's words never do.
vso() { if [[ -n ${TF_BUILD:-} ]]; then printf '##vso[%s]%s\n' "$1" "$2"; fi; }
harmless() { sed 's/##/# #/g'; }

# cva_json FILE NOUN VERB …: the JSON answer in FILE; what is said to people goes to the log.
cva_json() {
  local file=$1
  shift
  cva --workspace "${CVA_WORKSPACE:-azureml}" --json "$@" 2>&1 >"$file" | harmless >&2
}

setting() { cva settings show "$1"; }

# answers COMMAND …: reads those JSON files (answers.py says how).
answers() { python3 -I -S "$HERE/answers.py" "$@"; }

# summary FILE: shown on the pipeline run's page, and here.
summary() {
  harmless <"$1"
  vso task.uploadsummary "$1"
}
