#!/usr/bin/env bash
# Azure DevOps, once: a pipeline for each file of .pipelines/, the environments they deploy and release to with an
# approval each, what each pipeline may use, build validation of main, and the key that signs releases. Makes only what
# isn't there yet. bootstrap.sh comes first, and a push to Azure Repos. Knows nothing of Azure itself.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=asking.sh
source "$(dirname "${BASH_SOURCE[0]}")/asking.sh"

# What Azure DevOps calls a check by people, and a branch policy that runs a pipeline.
readonly APPROVAL=8c6f20a7-a545-4486-9777-f762fafe0d4d VALIDATION=0609b952-1397-4640-95ec-e00a01b2c241
readonly KEY=model-release.key
readonly VALIDATING=(publish_aml_pipeline deploy_infrastructure)
readonly PIPELINES=("${VALIDATING[@]}" train_model release_model)
readonly ENVIRONMENTS=(cva-dev cva-prod model-release)

usage() {
  cat <<'TEXT'
usage: infrastructure/devops.sh --organization ORG --project PROJECT [options]

  --organization ORG   Azure DevOps organization: dev.azure.com/ORG
  --project PROJECT    its project, which bootstrap.sh made the service connections in
  --repository NAME    repository of the project that this clone was pushed to (default: the project's name)
  --approver ID        Azure DevOps' id of the person or group who approves (default: whoever is logged in)
  --release-key FILE   private key that signs releases, kept as the secure file model-release.key
  --dry-run            print every az command, make nothing

Log in first: az login. You need to be an administrator of the project.
Exit codes: 0 done or nothing to do, 1 a call failed (run again), 2 usage, 3 something must come first (nothing was made).
TEXT
}

read_arguments() {
  organization='' project='' repository='' approver='' release_key='' dry_run=no
  local name
  while [[ $# -gt 0 ]]; do
    case $1 in
      --organization | --project | --repository | --approver | --release-key)
        [[ $# -gt 1 ]] || fail 2 "$1 needs a value" "see --help"
        name=${1#--}
        printf -v "${name//-/_}" '%s' "$2"
        shift
        ;;
      --dry-run) dry_run=yes ;;
      -h | --help) usage && exit 0 ;;
      *) fail 2 "'$1' is not an option" "see --help" ;;
    esac
    shift
  done
  [[ -n $organization && -n $project ]] || fail 2 "--organization and --project are needed" "see --help"
  [[ $approver =~ ^[A-Za-z0-9.-]*$ ]] || fail 2 "--approver is an id, found '$approver'" "see --help"
  [[ -z $release_key || -r $release_key ]] ||
    fail 2 "there is no file $release_key" "make it: cva keys new --out keys --name ${KEY%.key}"
  organization=${organization#https://dev.azure.com/} organization=${organization%/}
  repository=${repository:-$project}
  inside=${project// /%20}/_apis
}

look() {
  local answer name
  ask account show --output none || fail 3 "this machine is not logged in to Azure" "az login"
  answer=$(devops ask get "$inside/git/repositories/${repository// /%20}?api-version=7.1" --query '[id, defaultBranch]' \
    --output tsv) ||
    fail 3 "there is no repository $repository in $organization/$project to be seen" "--repository NAME, of Azure Repos"
  { read -r repository_id && read -r branch; } <<<"$answer" || true
  [[ $branch == refs/heads/* ]] ||
    fail 3 "repository $repository is empty" "push this clone to it first: git push ADDRESS HEAD:main"
  for name in "$deployer" "$publisher"; do
    connections[$name]=$(devops ask get "$inside/serviceendpoint/endpoints?endpointNames=$name&api-version=7.1" \
      --query 'value[0].id' --output tsv)
    [[ -n ${connections[$name]} ]] || fail 3 "there is no service connection $name yet" "infrastructure/bootstrap.sh makes it"
  done
  [[ -n $approver ]] ||
    approver=$(devops ask get "_apis/connectionData?api-version=7.1-preview.1" --query authenticatedUser.id --output tsv)
}

# Bodies of what is made, on one line. They hold ids and names of ours, nothing that would need to be escaped.
json() { tr -d '\n' | sed 's/   */ /g'; }

pipeline_body() { # name
  json <<JSON
{"name": "$1",
  "configuration": {"type": "yaml", "path": "/.pipelines/$1.yml",
    "repository": {"id": "$repository_id", "type": "azureReposGit"}}}
JSON
}

approval_body() { # id and name of an environment; an approval waits for 30 days at most
  json <<JSON
{"type": {"id": "$APPROVAL", "name": "Approval"},
  "settings": {"approvers": [{"id": "$approver"}], "minRequiredApprovers": 0, "requesterCannotBeApprover": false,
    "executionOrder": "anyOrder", "instructions": "", "blockedApprovers": []},
  "resource": {"type": "environment", "id": "$1", "name": "$2"},
  "timeout": 43200}
JSON
}

validation_body() { # id and name of a pipeline
  json <<JSON
{"isEnabled": true, "isBlocking": true, "type": {"id": "$VALIDATION"},
  "settings": {"buildDefinitionId": $1, "displayName": "$2", "validDuration": 720,
    "queueOnSourceUpdateOnly": true, "manualQueueOnly": false,
    "scope": [{"repositoryId": "$repository_id", "refName": "refs/heads/main", "matchKind": "Exact"}]}}
JSON
}

# The id of what has that name in a list: path of the list with its version, name.
named() { devops ask get "$1" --query "value[?name=='$2'].id | [0]" --output tsv; }

# A pipeline of its file's name.
make_pipeline() {
  pipelines[$1]=$(named "$inside/pipelines?api-version=7.1" "$1")
  [[ -z ${pipelines[$1]} ]] || return 0
  pipelines[$1]=$(devops make '<id>' post "$inside/pipelines?api-version=7.1" --body "$(pipeline_body "$1")" \
    --query id --output tsv)
}

# An environment with an approval; one that a pipeline made for itself gets its approval, too.
make_environment() {
  local id checks="$inside/pipelines/checks/configurations" found=''
  id=$(named "$inside/distributedtask/environments?name=$1&api-version=7.1" "$1")
  [[ -n $id ]] || id=$(devops make '<id>' post "$inside/distributedtask/environments?api-version=7.1" \
    --body "{\"name\": \"$1\", \"description\": \"Made by infrastructure/devops.sh\"}" --query id --output tsv)
  environments[$1]=$id
  [[ $id == '<'* ]] || found=$(devops ask get \
    "$checks?resourceType=environment&resourceId=$id&api-version=7.1-preview.1" \
    --query "value[?type.name=='Approval'].id | [0]" --output tsv)
  [[ -n $found ]] || devops make '' post "$checks?api-version=7.1-preview.1" --body "$(approval_body "$id" "$1")" \
    --output none
}

# Each pipeline whose file names something uses it without being asked at its first run: the kind of the resource, its
# id, and how a line of the file names it.
permit() {
  local url="$inside/pipelines/pipelinePermissions/$1/$2?api-version=7.1-preview.1" known='' name id
  [[ $2 == '<'* ]] ||
    known=$(devops ask get "$url" --query '[pipelines[?authorized].id, [allPipelines.authorized]][]' --output tsv)
  for name in "${PIPELINES[@]}"; do
    grep -qE "^ *$3" "$ROOT/.pipelines/$name.yml" || continue
    id=${pipelines[$name]}
    grep -qxE "$id|true" <<<"$known" ||
      devops make '' patch "$url" --output none --body "{\"pipelines\": [{\"id\": $id, \"authorized\": true}]}"
  done
}

# Azure Repos does not read `pr:` in YAML: main takes a pull request once these pipelines have passed for it.
make_validation() {
  local url="$inside/policy/configurations" id=${pipelines[$1]} found=''
  [[ $id == '<'* ]] || found=$(devops ask get "$url?policyType=$VALIDATION&api-version=7.1" \
    --query "value[?settings.buildDefinitionId==\`$id\`].id | [0]" --output tsv)
  [[ -n $found ]] ||
    devops make '' post "$url?api-version=7.1" --body "$(validation_body "$id" "$1")" --output none
}

# The file goes up as it is; its name alone stands in the command.
make_key() {
  local files="$inside/distributedtask/securefiles" id
  id=$(named "$files?api-version=7.1-preview.1" "$KEY")
  if [[ -z $id && -z $release_key ]]; then
    say "no secure file $KEY: releasing needs it; run again with --release-key FILE"
    return
  fi
  [[ -n $id ]] || id=$(devops make '<secure file>' post "$files?name=$KEY&api-version=7.1-preview.1" --query id \
    --output tsv --headers Content-Type=application/octet-stream --body "@$release_key")
  permit securefile "$id" "secureFile: $KEY"
}

main() {
  local name values branch=''
  local -A connections=() pipelines=() environments=()
  read_arguments "$@"
  need_tools
  values=$(settings_of AZURE_RM_SVC_CONNECTION WORKSPACE_SVC_CONNECTION)
  { read -r deployer && read -r publisher; } <<<"$values"
  look
  for name in "${PIPELINES[@]}"; do make_pipeline "$name"; done
  for name in "${ENVIRONMENTS[@]}"; do make_environment "$name"; done
  permit endpoint "${connections[$deployer]}" 'connection: \$\(AZURE_RM_SVC_CONNECTION\)'
  permit endpoint "${connections[$publisher]}" 'connection: \$\(WORKSPACE_SVC_CONNECTION\)'
  permit environment "${environments[cva-dev]}" 'environment: cva-'
  permit environment "${environments[cva-prod]}" 'environment: cva-'
  permit environment "${environments[model-release]}" 'environment: model-release'
  make_key
  for name in "${VALIDATING[@]}"; do make_validation "$name"; done
  if [[ ! -s $scratch/made ]]; then say "nothing to do: everything is there"; fi
}

main "$@"
